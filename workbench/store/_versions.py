"""The tables of releases, updates and what must not be pruned; what `_tables` says holds here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store._tables import Base, UtcDateTime, _Id, _NullableJson


class StoredRelease(Base):
    """A named version of our configuration of models. It never changes; which one is in use tells
    `StoredSwitch`."""

    __tablename__ = "releases"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    version: Mapped[str] = mapped_column(String(64), unique=True)
    parent: Mapped[str] = mapped_column(String(64))  # version; "" for the first
    members: Mapped[list[dict[str, Any]]] = mapped_column(JSON)  # by role
    purpose: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    notes: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]] = mapped_column(JSON)  # what its gates showed
    source: Mapped[str] = mapped_column(Text)  # "" when made here, else what it was read from
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class StoredSwitch(Base):
    """A change of the release in use: the newest line tells which one it is."""

    __tablename__ = "release_switches"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[str] = mapped_column(String(64))
    before: Mapped[str] = mapped_column(String(64))  # "" for none
    why: Mapped[str] = mapped_column(Text)
    # collections of vectors that changed with it: name to [generation before, generation after]
    vectors: Mapped[dict[str, Any]] = mapped_column(JSON)


class StoredAlias(Base):
    """A name for a model beside the roles of a release, such as `candidate`."""

    __tablename__ = "model_aliases"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    alias: Mapped[str] = mapped_column(String(64), unique=True)
    model: Mapped[str] = mapped_column(String(256))
    digest: Mapped[str] = mapped_column(String(80))
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class StoredUpdate(Base):
    """One guided update: what is to change, and how each of its steps went."""

    __tablename__ = "updates"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    job: Mapped[str] = mapped_column(String(32))
    version: Mapped[str] = mapped_column(String(64))  # that it is to make
    before: Mapped[str] = mapped_column(String(64))  # in use when it began; "" for none
    plan: Mapped[dict[str, Any]] = mapped_column(JSON)  # roles and models, suite, gates
    steps: Mapped[dict[str, Any]] = mapped_column(JSON)  # name to state, words, evidence
    state: Mapped[str] = mapped_column(String(16))
    error: Mapped[dict[str, Any] | None] = mapped_column(_NullableJson)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class StoredProtection(Base):
    """A pattern of names that pruning leaves alone."""

    __tablename__ = "protected_patterns"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    pattern: Mapped[str] = mapped_column(String(256), unique=True)
    why: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)

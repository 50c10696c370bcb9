"""The tables of texts that are searched by meaning; what `_tables` says of all tables holds here.

The vectors of a collection come in generations, one for each embedding model that it has had, so
that a new one is made beside the old one and taken into use by changing one number.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store._tables import Base, UtcDateTime, _Id


class StoredCollection(Base):
    """A named set of texts, and which generation of their vectors is in use."""

    __tablename__ = "vector_collections"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    generation: Mapped[int] = mapped_column(Integer)  # in use
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class StoredGeneration(Base):
    """All vectors of a collection that one embedding model made."""

    __tablename__ = "vector_generations"
    __table_args__ = (
        UniqueConstraint("collection", "generation"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    collection: Mapped[int] = mapped_column(
        ForeignKey("vector_collections.number", ondelete="CASCADE")
    )
    generation: Mapped[int] = mapped_column(Integer)
    model: Mapped[str] = mapped_column(String(256))
    digest: Mapped[str] = mapped_column(String(80))  # of the model's manifest
    dimensions: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class StoredText(Base):
    """A text of a collection, under a key of its owner's choice."""

    __tablename__ = "vector_texts"
    __table_args__ = (
        UniqueConstraint("collection", "key"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    collection: Mapped[int] = mapped_column(
        ForeignKey("vector_collections.number", ondelete="CASCADE")
    )
    key: Mapped[str] = mapped_column(String(128))
    text: Mapped[str] = mapped_column(Text)
    about: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class StoredVector(Base):
    """A text's vector in one generation: little-endian float32 of length one."""

    __tablename__ = "vectors"
    __table_args__ = (
        UniqueConstraint("text", "generation"),
        Index("ix_vectors_generation", "generation", "text"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    text: Mapped[int] = mapped_column(ForeignKey("vector_texts.id", ondelete="CASCADE"))
    generation: Mapped[int] = mapped_column(Integer)
    vector: Mapped[bytes] = mapped_column(LargeBinary)

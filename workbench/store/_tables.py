"""The tables, typed. A change here needs a migration in `migrations/versions` (a test compares).

Times are UTC and aware. JSON columns hold strict JSON, since PostgreSQL refuses NaN: who writes
metrics turns what is not finite into words first.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite, which knows no zones, gets it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time in the store must have a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts only INTEGER keys up by itself
_NullableJson = JSON(none_as_null=True)


class Base(DeclarativeBase):
    """Every table of ours."""


class StoredJob(Base):
    """A job: what was asked, how far it is, and which process works on it."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_queue", "home", "state", "queued_at"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    home: Mapped[str] = mapped_column(String(36))  # whose folder holds its files
    title: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(64))
    target: Mapped[str] = mapped_column(Text)
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    fraction: Mapped[float | None] = mapped_column(Float)
    message: Mapped[str] = mapped_column(Text, default="")
    metrics: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    result: Mapped[Any | None] = mapped_column(_NullableJson)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    queued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expected_end: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    pid: Mapped[int | None] = mapped_column(Integer)
    pid_started: Mapped[str | None] = mapped_column(String(32))
    boot: Mapped[str | None] = mapped_column(String(80))  # which start of which machine


class StoredProgress(Base):
    """One report of a job, for curves. Ids grow, so a reader asks for what is new."""

    __tablename__ = "job_progress"
    __table_args__ = (
        Index("ix_job_progress_job", "job", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    job: Mapped[int] = mapped_column(ForeignKey("jobs.number", ondelete="CASCADE"))
    attempt: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    fraction: Mapped[float | None] = mapped_column(Float)
    message: Mapped[str] = mapped_column(Text)
    metrics: Mapped[dict[str, Any]] = mapped_column(JSON)


class StoredEstimate(Base):
    """One line of the ledger: what was measured, beside what had been predicted."""

    __tablename__ = "estimates"
    __table_args__ = (
        Index("ix_estimates_group", "machine", "quantity", "backend", "architecture", "model"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)  # a later report replaces this line
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    machine: Mapped[str] = mapped_column(String(64))
    backend: Mapped[str] = mapped_column(String(32))
    version: Mapped[str] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(256))
    digest: Mapped[str] = mapped_column(String(80))
    architecture: Mapped[str] = mapped_column(String(64))
    quantisation: Mapped[str] = mapped_column(String(32))
    quantity: Mapped[str] = mapped_column(String(32))
    load: Mapped[dict[str, Any]] = mapped_column(JSON)
    formula: Mapped[int] = mapped_column(Integer)  # which version of it predicted
    predicted: Mapped[float | None] = mapped_column(Float)  # by the formula, never corrected
    low: Mapped[float | None] = mapped_column(Float)
    high: Mapped[float | None] = mapped_column(Float)
    basis: Mapped[str] = mapped_column(Text)
    corrected: Mapped[float | None] = mapped_column(Float)  # what was shown to the user
    corrected_low: Mapped[float | None] = mapped_column(Float)
    corrected_high: Mapped[float | None] = mapped_column(Float)
    measured: Mapped[float] = mapped_column(Float)
    counts: Mapped[bool] = mapped_column(Boolean)  # may be compared with the prediction
    details: Mapped[dict[str, Any]] = mapped_column(JSON)


class StoredCalibration(Base):
    """What a machine was measured to do."""

    __tablename__ = "calibrations"
    __table_args__ = (
        Index("ix_calibrations_machine", "machine", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    machine: Mapped[str] = mapped_column(String(64))
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)

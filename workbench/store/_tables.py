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
    UniqueConstraint,
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


class StoredRun(Base):
    """One measurement of one model on one suite: what was asked, under what, how it ended."""

    __tablename__ = "bench_runs"
    __table_args__ = (
        Index("ix_bench_runs_suite", "suite", "number"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    job: Mapped[str] = mapped_column(String(32))  # that made it; "" without one
    cell: Mapped[str] = mapped_column(String(64))  # which cell of the job's matrix
    name: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(String(256))
    digest: Mapped[str] = mapped_column(String(80))
    suite: Mapped[str] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(16))
    plan: Mapped[dict[str, Any]] = mapped_column(JSON)  # limit, seed, options, judge …
    tasks: Mapped[list[dict[str, Any]]] = mapped_column(JSON)  # as they were asked, with weights
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)  # engine, options in effect, machine, load
    canary: Mapped[dict[str, Any] | None] = mapped_column(_NullableJson)
    speed: Mapped[dict[str, Any] | None] = mapped_column(_NullableJson)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class StoredAnswer(Base):
    """One answer of a run, with all that is needed to score it again."""

    __tablename__ = "bench_answers"
    __table_args__ = (
        UniqueConstraint("run", "task", "sample"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    run: Mapped[int] = mapped_column(ForeignKey("bench_runs.number", ondelete="CASCADE"))
    task: Mapped[str] = mapped_column(String(128))
    sample: Mapped[str] = mapped_column(String(128))
    position: Mapped[int] = mapped_column(Integer)  # of the sample in its task
    about: Mapped[dict[str, Any]] = mapped_column(JSON)  # the sample: prompt, target, group …
    how: Mapped[str] = mapped_column(String(16))  # "asked", "generative", "likelihood"
    output: Mapped[str] = mapped_column(Text)
    thinking: Mapped[str] = mapped_column(Text)
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)  # tokens, seconds, log-likelihoods
    value: Mapped[float | None] = mapped_column(Float)  # of the first scorer, 0 to 1
    scores: Mapped[dict[str, Any]] = mapped_column(JSON)  # scorer → value, detail, parts
    error: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class StoredVote(Base):
    """Which of two answers somebody preferred."""

    __tablename__ = "votes"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    voter: Mapped[str] = mapped_column(String(256))  # "user", or the judging model's name
    question: Mapped[str] = mapped_column(Text)
    model_a: Mapped[str] = mapped_column(String(256))
    model_b: Mapped[str] = mapped_column(String(256))
    digest_a: Mapped[str] = mapped_column(String(80))
    digest_b: Mapped[str] = mapped_column(String(80))
    answer_a: Mapped[str] = mapped_column(Text)
    answer_b: Mapped[str] = mapped_column(Text)
    winner: Mapped[str] = mapped_column(String(8))  # "a", "b", "tie", "neither"
    more: Mapped[dict[str, Any]] = mapped_column(JSON)


class StoredDataset(Base):
    """A version of a dataset: a name for a digest, and how it was made; files are in the home."""

    __tablename__ = "datasets"
    __table_args__ = (
        UniqueConstraint("name", "digest"),
        Index("ix_datasets_digest", "digest"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))
    form: Mapped[str] = mapped_column(String(16))
    parent: Mapped[str] = mapped_column(String(64))  # digest; "" for none
    splits: Mapped[dict[str, int]] = mapped_column(JSON)
    characters: Mapped[int] = mapped_column(BigInteger)
    recipe: Mapped[dict[str, Any]] = mapped_column(JSON)
    report: Mapped[dict[str, Any]] = mapped_column(JSON)
    files: Mapped[dict[str, str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class StoredTraining(Base):
    """One training: what from, what with, how it went, and which model came of it."""

    __tablename__ = "trainings"
    __table_args__ = (
        Index("ix_trainings_name", "name", "number"),
        Index("ix_trainings_digest", "digest"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    job: Mapped[str] = mapped_column(String(32))  # that does it; "" for a plain call
    recipe: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(256))  # of the model that it is to make
    base: Mapped[str] = mapped_column(Text)  # as it was asked for; "" for none
    base_digest: Mapped[str] = mapped_column(String(80))
    dataset: Mapped[str] = mapped_column(String(64))  # digest
    dataset_name: Mapped[str] = mapped_column(String(64))
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)
    price: Mapped[dict[str, Any] | None] = mapped_column(_NullableJson)  # as it was predicted
    measured: Mapped[dict[str, Any]] = mapped_column(JSON)  # as it was: seconds, memory, losses
    export: Mapped[dict[str, Any] | None] = mapped_column(_NullableJson)  # files and parity
    digest: Mapped[str] = mapped_column(String(80))  # of the model in the engine; "" before
    card: Mapped[dict[str, Any] | None] = mapped_column(_NullableJson)  # tuned against base
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

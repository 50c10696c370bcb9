"""The table of searches for better settings. Optuna's tables, with the trials, are Optuna's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store._tables import Base, UtcDateTime, _Id


class StoredStudy(Base):
    """A search: what is tuned, how, and what came of it. `id` is the name of Optuna's study."""

    __tablename__ = "tuning_studies"  # Optuna has a table `studies` in the same database
    __table_args__ = (
        Index("ix_tuning_studies_model", "model", "number"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(String(256))
    digest: Mapped[str] = mapped_column(String(80))
    suite: Mapped[str] = mapped_column(Text)
    space: Mapped[dict[str, Any]] = mapped_column(JSON)
    strategy: Mapped[str] = mapped_column(String(64))
    objectives: Mapped[list[str]] = mapped_column(JSON)
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16))
    jobs: Mapped[list[str]] = mapped_column(JSON)  # of the latest start, one for each worker
    finisher: Mapped[str] = mapped_column(String(64))  # the worker that confirms; "" for none
    result: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

"""The tables of tuning, typed; what `_tables` says of all tables holds here as well."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Float, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store._tables import Base, UtcDateTime, _Id


class StoredTuningAnswer(Base):
    """What one answer of a model was worth under settings that can change it: asked once."""

    __tablename__ = "tuning_answers"
    __table_args__ = (
        UniqueConstraint("digest", "setting", "question"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    digest: Mapped[str] = mapped_column(String(80))  # of the model
    setting: Mapped[str] = mapped_column(String(64))  # hash of what can change an answer
    question: Mapped[str] = mapped_column(String(64))  # hash of task, sample, seed
    value: Mapped[float] = mapped_column(Float)  # of the task's first scorer, 0 to 1
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)  # tokens and seconds
    at: Mapped[datetime] = mapped_column(UtcDateTime)

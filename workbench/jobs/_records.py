"""Frozen records of jobs, and the strict JSON in which the store keeps their numbers.

States: queued → running → done | failed | cancelled | interrupted; the last three can be queued
again by `resume`. *Interrupted* means that the process died (killed, reboot) before it was done.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from workbench.errors import JobError
from workbench.store import StoredJob
from workbench.types import Json

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
STATES: tuple[State, ...] = get_args(State)
ENDED_STATES: tuple[State, ...] = ("done", "failed", "cancelled", "interrupted")
_MAX_JSON_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was when it was read. `seconds_left` is an estimate, None when unknown."""

    id: str
    title: str
    kind: str
    target: str
    arguments: Json
    state: State
    fraction: float | None  # 0 to 1
    message: str
    metrics: Mapping[str, float]  # the latest value of each
    created_at: datetime
    started_at: datetime | None  # of the latest attempt
    ended_at: datetime | None
    seconds_left: float | None
    result: Any
    error: str | None  # one sentence; the traceback is in the log
    attempts: int
    folder: Path
    cancelling: bool = False  # cancelled, and not ended yet

    @property
    def ended(self) -> bool:
        """Whether nothing more happens unless it is resumed."""
        return self.state in ENDED_STATES


@dataclass(frozen=True, slots=True)
class ProgressRow:
    """One report of a job. Steps done again after a resume come again, with a higher attempt."""

    id: int
    at: datetime
    fraction: float | None
    message: str
    metrics: Mapping[str, float]
    attempt: int = 1


def job_record(row: StoredJob, folder: Path) -> Job:
    """The record of a stored job."""
    running = row.state == "running"
    left = None
    if running and row.expected_end is not None:
        left = max(0.0, (row.expected_end - now()).total_seconds())
    return Job(
        id=row.id,
        title=row.title,
        kind=row.kind,
        target=row.target,
        arguments=row.arguments,
        state=row.state,  # type: ignore[arg-type]
        fraction=row.fraction,
        message=row.message,
        metrics=decode_metrics(row.metrics),
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        seconds_left=left,
        result=row.result,
        error=row.error,
        attempts=row.attempts,
        folder=folder,
        cancelling=running and row.cancel_requested_at is not None,
    )


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


def encode_metrics(metrics: Mapping[str, float]) -> dict[str, Any]:
    """Numbers as strict JSON: what is not finite becomes "nan", "inf", "-inf"."""
    return {k: v if math.isfinite(v) else str(v) for k, v in metrics.items()}


def decode_metrics(stored: Mapping[str, Any]) -> dict[str, float]:
    """The numbers again."""
    return {k: float(v) for k, v in stored.items()}


def plain_json(value: Any, what: str) -> Any:
    """The value as strict JSON gives it back (tuples become lists). Raises JobError."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise JobError(
            f"{what} must be JSON (text, finite numbers, lists, objects): {error}."
        ) from None
    if len(text) > _MAX_JSON_BYTES:
        raise JobError(
            f"{what} would be {len(text) / 1e6:.1f} MB of JSON. Put what is large into a file "
            "and pass its path."
        )
    return json.loads(text)


def clean_text(text: str, limit: int) -> str:
    """Text that every database takes: no NUL, no lone surrogates, bounded."""
    kept = str(text).replace("\x00", "").encode("utf-8", "replace").decode()
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"

"""Wait for jobs and read what they reported. Everything is read from the store, by polling."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import select

from workbench.jobs import _log
from workbench.jobs._launch import job_folder
from workbench.jobs._queue import _find, get
from workbench.jobs._records import Job, ProgressRow, decode_metrics
from workbench.store import StoredProgress, session

_COLUMNS = (
    StoredProgress.id,
    StoredProgress.at,
    StoredProgress.fraction,
    StoredProgress.message,
    StoredProgress.metrics,
    StoredProgress.attempt,
)
_QUICK, _SLOW = 0.05, 0.5  # seconds between looks, at first and later


def wait(id: str, timeout: float | None = None) -> Job:
    """The job when it has ended, or as it is after `timeout` seconds (look at `ended`)."""
    until = None if timeout is None else time.monotonic() + timeout
    pause = _QUICK
    while True:
        job = get(id)
        left = None if until is None else until - time.monotonic()
        if job.ended or (left is not None and left <= 0):
            return job
        time.sleep(pause if left is None else min(pause, left))
        pause = min(_SLOW, pause * 1.2)


def watch(id: str) -> Iterator[Job]:
    """The job now and after every change that is seen; the last one has ended."""
    last: Job | None = None
    while True:
        job = get(id)
        seen = replace(job, seconds_left=None)  # it changes with every look
        if seen != last:
            yield job
        if job.ended:
            return
        last = seen
        time.sleep(0.2)


def history(id: str, after: int = 0, *, limit: int = 100_000) -> list[ProgressRow]:
    """What the job reported, oldest first; `after` is the id of the last row already known."""
    number = _find(id).number
    with session(read_only=True) as opened:
        rows = opened.execute(
            select(*_COLUMNS)
            .where(StoredProgress.job == number, StoredProgress.id > after)
            .order_by(StoredProgress.id)
            .limit(limit)
        ).all()
    return [
        ProgressRow(id, at, fraction, message, decode_metrics(metrics), attempt)
        for id, at, fraction, message, metrics, attempt in rows
    ]


def log_text(id: str, tail: int | None = 200) -> str:
    """The last `tail` lines that the job wrote to stdout and stderr; None gives all."""
    return _log.tail(job_folder(_find(id).id), tail)

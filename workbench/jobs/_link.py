"""A worker's line to the store: reports and heartbeats out, the wish to cancel in.

A report with a `step` is written before `progress` returns, so a kill -9 a moment later does not
lose it (measured: half a millisecond). Others, and the job's own row, are written at most four
times a second; the thread writes the last one. What the store refuses (a full disk) is kept and
tried again with the next write.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from workbench.errors import StoreError
from workbench.jobs import _log
from workbench.jobs._context import Report
from workbench.jobs._estimate import Estimate
from workbench.jobs._process import HEARTBEAT_SECONDS
from workbench.jobs._records import clean_text, encode_metrics, now
from workbench.store import StoredJob, StoredProgress, session

_BETWEEN_REPORTS = 0.25  # seconds
_BETWEEN_LOOKS = 0.5
_logger = logging.getLogger(__name__)


class Link:
    """One attempt of one job. `stop` is set when the job is to end."""

    def __init__(self, number: int, attempt: int, folder: Path, metrics: dict[str, Any]) -> None:
        self.stop = threading.Event()
        self._number, self._attempt, self._folder = number, attempt, folder
        self._metrics = metrics
        self._estimate = Estimate()
        self._lock = threading.Lock()
        self._kept: list[dict[str, Any]] = []  # not in the store yet, never dropped
        self._shown: dict[str, Any] = {}  # columns of the job's row that changed
        self._last: dict[str, Any] | None = None  # a report that a later one may replace
        self._written = self._looked = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="job-heartbeat")

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def close(self) -> None:
        """Write what is left and end the thread. Raises StoreError when it cannot be written."""
        self._ended.set()
        self._thread.join()
        with self._lock:
            self._write()

    def report(self, report: Report) -> None:
        """Take a report of the job."""
        metrics = encode_metrics(report.metrics)
        row: dict[str, Any] = {
            "job": self._number,
            "attempt": self._attempt,
            "at": now(),
            "fraction": report.fraction,
            "message": clean_text(report.message, 1000),
            "metrics": metrics,
        }
        with self._lock:
            self._metrics.update(metrics)
            if report.fraction is not None:
                self._estimate.add(time.time(), report.fraction)
                self._shown["fraction"] = report.fraction
            self._shown["message"] = row["message"]
            stepped = "step" in report.metrics
            if stepped:
                self._keep_last()
                self._kept.append(row)
            else:
                self._last = row
            if time.monotonic() - self._written >= _BETWEEN_REPORTS:
                self._try(self._write)
            elif stepped:
                self._try(self._write_rows)

    def _run(self) -> None:
        while not self._ended.wait(_BETWEEN_REPORTS):
            if not self._folder.exists():
                os._exit(1)  # the home was deleted: writing would make it again
            _log.bound(self._folder)
            with self._lock:
                since = time.monotonic() - self._written
                if since >= HEARTBEAT_SECONDS or (
                    since >= _BETWEEN_REPORTS and (self._last or self._kept or self._shown)
                ):
                    self._try(self._write)
                elif time.monotonic() - self._looked >= _BETWEEN_LOOKS:
                    self._look()

    def _keep_last(self) -> None:
        if self._last is not None:
            self._kept.append(self._last)
            self._last = None

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except StoreError as error:
            self._written = time.monotonic()  # not again at once
            _logger.warning("The job's progress could not be stored yet: %s", error)

    def _write_rows(self) -> None:
        """The reports."""
        self._keep_last()
        if self._kept:
            with session() as opened:
                opened.execute(insert(StoredProgress), self._kept)
            self._kept.clear()

    def _write(self) -> None:
        """The reports, the job's own row, the heartbeat; and a look at what others want."""
        self._write_rows()
        values: dict[str, Any] = {"heartbeat_at": now(), **self._shown}
        if self._shown:
            end = self._estimate.end()
            values["expected_end"] = None if end is None else _time(end)
            values["metrics"] = dict(self._metrics)
        mine = (StoredJob.number == self._number, StoredJob.attempts == self._attempt)
        with session() as opened:
            opened.execute(update(StoredJob).where(*mine).values(**values))
            # who took us for dead (a paused machine, a skewed clock) was wrong: we hold the lock
            opened.execute(
                update(StoredJob)
                .where(*mine, StoredJob.state.in_(("interrupted", "queued")))
                .values(state="running", error=None, ended_at=None)
            )
        self._shown = {}
        self._written = time.monotonic()
        self._look()

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            with session(read_only=True) as opened:
                row = opened.execute(
                    select(StoredJob.attempts, StoredJob.cancel_requested_at).where(
                        StoredJob.number == self._number
                    )
                ).one_or_none()
        except StoreError:
            return
        if row is None or row.attempts != self._attempt or row.cancel_requested_at is not None:
            self.stop.set()


def _time(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None

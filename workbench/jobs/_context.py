"""What a job's function gets: its folder, its progress, and whether it should stop.

It knows nothing of the store or of processes, so the same function runs without a job:
`JobContext("here", folder, report=print)`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


class JobCancelled(BaseException):
    """Somebody cancelled the job. Not an Exception: `except Exception` must not swallow it."""


@dataclass(frozen=True, slots=True)
class Report:
    """One call of `progress`."""

    fraction: float | None
    message: str
    metrics: Mapping[str, float] = field(default_factory=dict)


def _ignore(report: Report) -> None:
    """For who runs a job's function without caring for its progress."""


class JobContext:
    """Handed to a job's function as its first argument. All of it may be used from any thread."""

    def __init__(
        self,
        id: str,
        folder: Path,
        attempt: int = 1,
        *,
        report: Callable[[Report], None] = _ignore,
        stop: threading.Event | None = None,
    ) -> None:
        self.id = id
        self.folder = folder  # kept over resumes: checkpoints go here
        self.attempt = attempt  # counts from 1
        self._report = report
        self._stop = stop or threading.Event()

    def progress(self, fraction: float | None, message: str = "", **metrics: float) -> None:
        """Tell how far the job is, 0 to 1 (None: unknown), and any numbers worth a curve.

        Every report with a `step` among its metrics is kept, at once; others at most 4 a second,
        the last one always.
        """
        if fraction is not None:
            fraction = float(fraction)
            fraction = None if math.isnan(fraction) else min(1.0, max(0.0, fraction))
        self._report(Report(fraction, str(message), {k: float(v) for k, v in metrics.items()}))

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled the job: save what is worth it and return, soon."""
        return self._stop.is_set()

    def check_cancelled(self) -> None:
        """Raise JobCancelled when the job is to stop. Cheap: call it once per step."""
        if self._stop.is_set():
            raise JobCancelled

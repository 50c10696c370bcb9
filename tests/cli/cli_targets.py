"""Targets of the jobs in these tests; a job's process imports them by name."""

from __future__ import annotations

import time

from workbench.jobs import JobContext


def count(job: JobContext, steps: int = 5, pause: float = 0.05) -> dict[str, int]:
    print("counting")
    for step in range(steps):
        job.check_cancelled()
        job.progress(step / steps, f"step {step}", loss=4.0 - step / 10, step=step)
        time.sleep(pause)
    return {"steps": steps}


def fail(job: JobContext) -> None:
    raise ValueError("there is no such thing")


def last_words(job: JobContext) -> None:
    print("\x1b[2Jcleared\x1b]0;title\x07")

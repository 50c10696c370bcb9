"""A job that is killed at work, and resumed: what tests of exact resumption share."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from workbench import jobs
from workbench.jobs import Job
from workbench.store import StoredJob, session

PATIENCE = 300.0


def killed_and_resumed(
    job: Job, when: Callable[[], object], *, between: Callable[[], None] = lambda: None
) -> Job:
    """The finished job, after a kill -9 as soon as `when()` is true; `between` is called before it
    is resumed. It has gone on from its checkpoint, or this fails."""
    until = time.monotonic() + PATIENCE
    while not when():
        assert time.monotonic() < until and not jobs.get(job.id).ended, jobs.log_text(job.id)
        time.sleep(0.005)
    with session(read_only=True) as opened:
        row = opened.query(StoredJob).filter_by(id=job.id).one()
        assert row.state == "running" and row.pid is not None
        pid = row.pid
    os.kill(pid, signal.SIGKILL)
    assert jobs.wait(job.id, PATIENCE).state == "interrupted"
    between()
    jobs.resume(job.id)
    resumed = jobs.wait(job.id, PATIENCE)
    assert resumed.state == "done", jobs.log_text(job.id)
    assert "Going on from step" in jobs.log_text(job.id)
    return resumed


def has_begun(job: Job) -> bool:
    """Whether a step has been told of."""
    return jobs.get(job.id).metrics.get("step", 0) >= 1

"""The target of a job that waits until it is cancelled."""

from __future__ import annotations

import time
from typing import Any

from workbench.jobs import JobContext


def sleep(job: JobContext, **arguments: Any) -> None:
    for _ in range(6000):
        job.check_cancelled()
        time.sleep(0.01)

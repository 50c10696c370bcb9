"""A job that climbs slowly and tells of a falling loss, until it is cancelled."""

from __future__ import annotations

import time

from workbench.jobs import JobContext


def climb(job: JobContext) -> None:
    for step in range(10, 600):
        print("step", step)
        job.progress(min(0.9, step / 100), "Learning", loss=7 / step**0.5)
        job.check_cancelled()
        time.sleep(0.1)

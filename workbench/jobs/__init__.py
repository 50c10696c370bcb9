"""Long work outside the kernel: a job is a process that survives a closed notebook.

    job = submit("workbench.starter:build_starter", {"minutes": 3})
    job = wait(job.id)                  # or watch(), get(), jobs(), cancel(), resume()

The target is called as `function(context, **arguments)` in a process of its own, with a
`JobContext` for its folder, its progress and its cancelling; what it returns is `Job.result`.
"""

from workbench.jobs._context import JobCancelled, JobContext, Report
from workbench.jobs._queue import cancel, get, jobs, resume, submit
from workbench.jobs._records import ENDED_STATES, STATES, Job, ProgressRow, State
from workbench.jobs._start import stop_supervisor, supervisor_pid
from workbench.jobs._watch import history, log_text, wait, watch

__all__ = [
    "ENDED_STATES",
    "STATES",
    "Job",
    "JobCancelled",
    "JobContext",
    "ProgressRow",
    "Report",
    "State",
    "cancel",
    "get",
    "history",
    "jobs",
    "log_text",
    "resume",
    "stop_supervisor",
    "submit",
    "supervisor_pid",
    "wait",
    "watch",
]

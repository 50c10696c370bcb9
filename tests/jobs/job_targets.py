"""Functions that the tests run as jobs, each in a process of its own."""

from __future__ import annotations

import ctypes
import fcntl
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from workbench.errors import InvalidRequest
from workbench.jobs import JobCancelled, JobContext

CONSTANT = 7


def add(job: JobContext, a: float, b: float = 0) -> dict[str, float]:
    job.progress(0.5, "halfway", step=1, loss=0.25)
    print("adding", a, b)
    return {"sum": a + b}


def where(job: JobContext) -> dict[str, Any]:
    """What a job's process looks like from inside."""
    logging.getLogger("a.library").info("a log line")
    print("printed")
    subprocess.run(["sh", "-c", "echo from a child; echo on stderr >&2"], check=True)
    return {
        "cwd": str(Path.cwd()),
        "folder": str(job.folder),
        "variable": os.environ.get("TEST_VARIABLE"),
        "session": os.getsid(0) == os.getpid(),
        "stdin": sys.stdin.read(),
        "files": sorted(file.name for file in job.folder.iterdir()),
        "pid": os.getpid(),
    }


def give(job: JobContext, what: str) -> Any:
    """Return something that is not JSON."""
    return {"object": object(), "large": "x" * 2_000_000}[what]


def fail(job: JobContext, how: str) -> None:
    if how == "ours":
        raise InvalidRequest("invalid model name")
    if how == "theirs":
        raise ValueError("first line\nsecond line")
    if how == "silent":
        raise RuntimeError
    if how == "exit":
        sys.exit(3)
    if how == "hard exit":
        os._exit(4)
    if how == "segfault":
        ctypes.string_at(0)
    if how == "nul":
        raise ValueError("a\x00b\ud800")


def crawl(job: JobContext, seconds: float = 60, check: bool = True) -> str:
    """Long work that looks whether it should stop, or does not."""
    until = time.monotonic() + seconds
    job.progress(0.0, "begun")
    while time.monotonic() < until:
        time.sleep(0.02)
        if check:
            job.check_cancelled()
    return "all of it"


def stop_early(job: JobContext) -> str:
    """Returns what it has when it is to stop."""
    job.progress(0.1, "begun")
    while not job.cancelled:
        time.sleep(0.02)
    return "half of it"


def tidy(job: JobContext) -> None:
    """Writes a checkpoint when it is cancelled; never looks by itself."""
    try:
        job.progress(0.1, "begun")
        while True:
            time.sleep(0.05)
    except JobCancelled:
        (job.folder / "checkpoint").write_text("saved")
        raise


def stubborn(job: JobContext) -> None:
    """Ignores all that can be ignored, and has a child."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"])
    (job.folder / "child").write_text(str(child.pid))
    job.progress(0.1, "begun")
    while True:
        time.sleep(0.05)


def steps(job: JobContext, count: int, pause: float = 0.0) -> int:
    """Counts on from its checkpoint. Fails when it runs twice at once.

    A step is noted in a file after the store has taken it: what is in the file must be in there.
    """
    with (job.folder / "exclusive").open("a") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        checkpoint = job.folder / "steps"
        done = len(checkpoint.read_text().split()) if checkpoint.exists() else 0
        with checkpoint.open("a") as noted:
            for step in range(done, count):
                job.check_cancelled()
                job.progress((step + 1) / count, f"step {step}", step=step, loss=1 / (step + 1))
                noted.write(f"{step}\n")
                noted.flush()
                time.sleep(pause)
    return count


def report_much(job: JobContext, count: int) -> None:
    for step in range(count):
        job.progress(step / count, f"at {step}", value=step)


def steps_on_a_full_disk(job: JobContext) -> None:
    """For a while nothing can be written to any file."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for step in range(60):
        if step == 10:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        if step == 40:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        job.progress(step / 60, step=step)
        time.sleep(0.02)


def report_oddly(job: JobContext) -> None:
    job.progress(None, "unknown")
    job.progress(7.5, "too much\x00", step=1, loss=float("nan"))
    job.progress(-1, "x" * 5000, step=2, loss=float("inf"))
    job.progress(float("nan"), "no fraction", step=3, loss=-0.5)


def chatter(job: JobContext, megabytes: int) -> None:
    line = "x" * 99
    for _ in range(megabytes):
        print("\n".join([line] * 10_000))
        time.sleep(0.3)
    print("the last words")


def leave_a_thread(job: JobContext) -> int:
    """Done, but a thread keeps the process from ending."""
    threading.Thread(target=time.sleep, args=(600,)).start()
    return os.getpid()


def submit_another(job: JobContext) -> str:
    from workbench.jobs import submit

    return submit("job_targets:add", {"a": 20, "b": 1}).id


class Group:
    """Targets may be attributes of attributes."""

    @staticmethod
    def double(job: JobContext, a: int) -> int:
        return 2 * a

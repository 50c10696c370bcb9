"""Which process works on a job, whether it still lives, and how it is ended.

A process id alone may be another's by now, so it goes with the time at which the process began
and with the name of this start of this machine. In another container or after a reboot ids mean
nothing: then only the age of the last heartbeat tells.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import psutil

from workbench.jobs._records import now

HEARTBEAT_SECONDS = 2.0
_SILENT_SECONDS = 15.0  # no heartbeat for so long: dead, where ids cannot tell
JOB_VARIABLE = "WORKBENCH_JOB"  # marks a job's processes, children included


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process for ever: ids are given again, these three together are not."""

    pid: int
    started: str
    boot: str


@cache
def boot() -> str:
    """This start of this machine (and this container's process ids)."""
    with suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "linux":
            kernel = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            return f"{kernel} {Path('/proc/self/ns/pid').readlink()}"
        found = subprocess.run(
            ["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, timeout=5
        )
        if found.returncode == 0:
            return found.stdout.strip()
    return f"{psutil.boot_time() / 60:.0f}"  # the clock may be set by seconds


def identity(pid: int) -> ProcessIdentity | None:
    """The living process of this id; None when there is none (a zombie counts as dead)."""
    try:
        if sys.platform == "linux":
            # the clock ticks since boot: psutil's time moves with the machine's clock
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            state, started = fields[0], fields[19]
            return None if state in "ZX" else ProcessIdentity(pid, started, boot())
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return ProcessIdentity(pid, f"{process.create_time():.0f}", boot())
    except (OSError, psutil.Error, IndexError):
        return None


def lives(known: ProcessIdentity | None, heartbeat_at: datetime | None) -> bool:
    """Whether the process still works on its job."""
    if known is not None and known.boot == boot():
        return identity(known.pid) == known
    return heartbeat_at is not None and (now() - heartbeat_at).total_seconds() < _SILENT_SECONDS


def end_group(job: str, known: ProcessIdentity, number: signal.Signals) -> None:
    """Send a signal to a job's process and what it started. Never to somebody else's.

    The group has the worker's id. After the worker's death that id may be another's, so then only
    processes that carry the job's mark are meant.
    """
    if known.boot != boot():
        return
    if identity(known.pid) == known:
        with suppress(OSError):
            os.killpg(known.pid, number)
        return
    for process in psutil.process_iter():
        with suppress(OSError, psutil.Error):
            if os.getpgid(process.pid) == known.pid and _carries_mark(process, job):
                process.send_signal(number)


def _carries_mark(process: psutil.Process, job: str) -> bool:
    return bool(process.environ().get(JOB_VARIABLE) == job)

"""The program that runs a home's queue: `python -m workbench.jobs._supervisor`.

One per home, by a lock that it holds for its whole life. It starts workers in the order of the
queue, notices how they end, makes a cancelled job end, and goes away after a minute without work.
It owns nothing that its death would lose: workers are sessions of their own and take their jobs
from the store themselves, so the next supervisor simply goes on.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select, update

from workbench.errors import StoreError
from workbench.jobs import _log
from workbench.jobs._launch import forget_launch, home_id, job_folder, max_jobs, read_launch
from workbench.jobs._process import JOB_VARIABLE, ProcessIdentity, end_group, identity, lives
from workbench.jobs._queue import mark_gone, process_of
from workbench.jobs._records import now
from workbench.jobs._start import lock_file, note_supervisor, take_lock
from workbench.jobs._worker import NOT_TAKEN
from workbench.settings import env_int
from workbench.store import StoredJob, session

_BETWEEN_LOOKS = 0.2  # seconds
_IDLE_SECONDS = 60
_PATIENCE = 300.0  # seconds of a store that cannot be used
_MOST_STARTS = 3  # of a worker that dies before it takes its job
_UNFINISHED = {"running", "interrupted"}
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    job: str
    identity: ProcessIdentity


class Supervisor:
    """One look at a time: `step` does what is due and says whether there is work."""

    def __init__(self) -> None:
        self._home = home_id()
        self._children: list[_Child] = []
        self._starts: dict[str, int] = {}  # failed ones
        self._grace = env_int("WORKBENCH_CANCEL_SECONDS", 5, minimum=0)
        self._pressed: set[tuple[str, int]] = set()  # attempts that got a SIGTERM
        self._overdue: dict[int, float] = {}  # workers that live on after their job's end

    def step(self) -> bool:
        """Collect the dead, press the cancelled, start the next. Whether anything is left."""
        self._collect()
        active = self._active()
        for row in active:
            if row.state == "running":
                self._see_to(row)
        running = [row for row in active if row.state == "running"]
        queued = [row for row in active if row.state == "queued"]
        starting = {child.job for child in self._children} - {row.id for row in running}
        room = max_jobs() - len(running) - len(starting)
        for row in [row for row in queued if row.id not in starting][: max(0, room)]:
            self._start(row)
        return bool(active or self._children)

    def has_work(self) -> bool:
        """Whether anything waits or runs."""
        return bool(self._active())

    def _active(self) -> list[StoredJob]:
        with session(read_only=True) as opened:
            return list(
                opened.scalars(
                    select(StoredJob)
                    .where(StoredJob.home == self._home, StoredJob.state.in_(("queued", "running")))
                    .order_by(StoredJob.queued_at, StoredJob.number)
                )
            )

    def _start(self, row: StoredJob) -> None:
        old = process_of(row)
        if old is not None:  # what a killed worker left running must not meet the new one
            end_group(row.id, old, signal.SIGKILL)
        launch = read_launch(row.id)
        folder = job_folder(row.id)
        folder.mkdir(exist_ok=True, mode=0o700)
        log = _log.open_log(folder)
        try:
            process = subprocess.Popen(
                [launch.executable, "-P", "-m", "workbench.jobs._worker", row.id],
                cwd=folder,
                env={**launch.environment, JOB_VARIABLE: row.id},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            self._failed_to_start(row.id, f"{error.strerror}: {launch.executable}")
            return
        finally:
            os.close(log)
        who = identity(process.pid)
        self._children.append(_Child(process, row.id, who or ProcessIdentity(process.pid, "", "")))

    def _collect(self) -> None:
        """Note the ends of our own workers: only their parent learns what killed them."""
        for child in list(self._children):
            status = child.process.poll()
            row = self._row(child.job)
            if status is None:
                self._hurry(child, row)
                continue
            if row is not None and row.pid == child.process.pid and row.state in _UNFINISHED:
                mark_gone(row, _death(status))
                end_group(child.job, child.identity, signal.SIGKILL)
            elif row is not None and row.state == "queued" and status not in (0, NOT_TAKEN):
                self._failed_to_start(child.job, f"exit status {status}")
            self._overdue.pop(child.process.pid, None)
            self._children.remove(child)

    def _hurry(self, child: _Child, row: StoredJob | None) -> None:
        """A worker whose job has ended and which does not go (a thread of it hangs) is ended."""
        took = row is not None and row.pid == child.process.pid
        if row is not None and row.state == ("running" if took else "queued"):
            self._overdue.pop(child.process.pid, None)
            return  # at work, or about to take the job
        since = self._overdue.setdefault(child.process.pid, time.monotonic())
        wanted_again = row is not None and row.state == "queued"
        if wanted_again or time.monotonic() - since > 2 * self._grace + 5:
            end_group(child.job, child.identity, signal.SIGKILL)

    def _see_to(self, row: StoredJob) -> None:
        """A running job: is it alive, and should it still be?"""
        process = process_of(row)
        if not lives(process, row.heartbeat_at):
            if all(child.job != row.id for child in self._children):  # else _collect knows more
                mark_gone(row)
                row.state = "interrupted"
            return
        if row.cancel_requested_at is None or process is None:
            return
        waited = (now() - row.cancel_requested_at).total_seconds()
        if waited > 2 * self._grace:
            end_group(row.id, process, signal.SIGKILL)
        elif waited > self._grace and (row.id, row.attempts) not in self._pressed:
            self._pressed.add((row.id, row.attempts))
            end_group(row.id, process, signal.SIGTERM)

    def _failed_to_start(self, job: str, reason: str) -> None:
        self._starts[job] = self._starts.get(job, 0) + 1
        _logger.warning("The process of job %s did not start: %s", job, reason)
        if self._starts[job] < _MOST_STARTS:
            return
        del self._starts[job]
        forget_launch(job)
        with session() as opened:
            opened.execute(
                update(StoredJob)
                .where(StoredJob.id == job, StoredJob.state == "queued")
                .values(
                    state="failed",
                    ended_at=now(),
                    error=f"The job's process could not be started ({reason}); its log says why.",
                )
            )

    @staticmethod
    def _row(job: str) -> StoredJob | None:
        with session(read_only=True) as opened:
            return opened.scalar(select(StoredJob).where(StoredJob.id == job))


def _death(status: int) -> str:
    if status >= 0:
        return f"The job's process ended by itself with status {status}; its log may say why."
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
    why = {
        "SIGKILL": "; often the machine had too little memory",
        "SIGSEGV": "; native code crashed, its log shows where",
    }.get(name, "")
    return f"The job's process was ended by {name}{why}. Resume the job to go on."


def main(handed: int | None = None) -> int:
    """Work until there has been nothing to do for a minute. `handed`: the lock, as an open file."""
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    file = lock_file()
    lock = take_lock(file) if handed is None else handed
    supervisor = Supervisor()
    while lock is not None:
        os.set_inheritable(lock, False)  # workers live on without it
        note_supervisor(file)
        _work(supervisor, file, os.fstat(lock).st_ino)
        os.close(lock)
        # who submitted after our last look saw the lock held, and started no other supervisor
        lock = take_lock(file) if file.exists() and supervisor.has_work() else None
    return 0


def _work(supervisor: Supervisor, file: Path, inode: int) -> None:
    """Until idle for long, until the store stays unusable, or until the home was deleted."""
    idle = env_int("WORKBENCH_SUPERVISOR_IDLE", _IDLE_SECONDS, minimum=0)
    busy_at = working_at = time.monotonic()
    while time.monotonic() - busy_at <= idle and time.monotonic() - working_at < _PATIENCE:
        try:
            if file.stat().st_ino != inode:
                return
            if supervisor.step():
                busy_at = time.monotonic()
            working_at = time.monotonic()
        except FileNotFoundError:
            return
        except (StoreError, OSError) as error:
            _logger.warning("%s", error)
        time.sleep(_BETWEEN_LOOKS)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else None))

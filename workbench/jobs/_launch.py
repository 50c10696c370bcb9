"""Where a job's files lie, how its process is described, and how the supervisor is started.

A job runs with the Python, the import path and the environment of the process that submitted (or
resumed) it. They wait in `launch.json`, private to the user, and are deleted when the job has
begun, so that no key from an environment stays on the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from workbench.errors import JobError
from workbench.jobs._process import JOB_VARIABLE
from workbench.settings import database_url, env, env_int, home
from workbench.store import engine

_MAX_SUPERVISOR_LOG = 1_000_000


@dataclass(frozen=True, slots=True)
class Launch:
    """How a job's process is to be started."""

    executable: str = field(default_factory=lambda: sys.executable)
    environment: dict[str, str] = field(default_factory=lambda: _absolute_environment())
    search_path: list[str] = field(
        default_factory=lambda: [str(Path(entry).absolute()) for entry in sys.path]
    )


def max_jobs() -> int:
    """How many jobs run at once (WORKBENCH_MAX_JOBS, default 1)."""
    return env_int("WORKBENCH_MAX_JOBS", 1, minimum=1)


def jobs_folder() -> Path:
    """Every job has a folder in here."""
    folder = home() / "jobs"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def job_folder(job: str) -> Path:
    """The job's own folder; it stays over resumes."""
    return jobs_folder() / job


def home_id() -> str:
    """A name for this home: several homes may share one PostgreSQL, and each runs its own jobs."""
    file = jobs_folder() / "home-id"
    with suppress(OSError):
        found = file.read_text().strip()
        if found:
            return found
    with FileLock(file.with_suffix(".lock"), timeout=10, mode=0o600):
        found = file.read_text().strip() if file.exists() else ""
        if not found:
            found = uuid.uuid4().hex
            _write_private(file, found)
    return found


def write_launch(job: str) -> None:
    """Note how this process would run the job."""
    folder = job_folder(job)
    try:
        folder.mkdir(exist_ok=True, mode=0o700)
        _write_private(folder / "launch.json", json.dumps(asdict(Launch())))
    except OSError as error:
        raise JobError(
            f"The job's folder {folder} cannot be written ({error.strerror}). Free some space, or "
            "set WORKBENCH_HOME to a folder you can write to."
        ) from error


def read_launch(job: str) -> Launch:
    """How the job was submitted; as this process when that was used up or is unreadable."""
    try:
        return Launch(**json.loads((job_folder(job) / "launch.json").read_text()))
    except (OSError, ValueError, TypeError):
        return Launch()


def forget_launch(job: str) -> None:
    """Delete the note: the job has begun."""
    with suppress(OSError):
        (job_folder(job) / "launch.json").unlink()


def supervisor_lock() -> FileLock:
    """Held by the supervisor for its whole life; the kernel frees it, whatever kills it."""
    name = "supervisor"
    if env("WORKBENCH_DATABASE_URL"):  # another store is another queue
        name += "-" + hashlib.sha256(database_url().encode()).hexdigest()[:8]
    return FileLock(jobs_folder() / f"{name}.lock", mode=0o600, thread_local=False)


def supervisor_pid() -> int | None:
    """The supervisor's process id; None when none runs."""
    lock = supervisor_lock()
    if _is_free(lock):
        return None
    with suppress(OSError, ValueError):
        return int(Path(lock.lock_file).with_suffix(".pid").read_text())
    return None


def stop_supervisor() -> bool:
    """End the supervisor. Jobs that run go on; queued ones wait for the next submit or look."""
    pid = supervisor_pid()
    if pid is None:
        return False
    with suppress(OSError):
        os.kill(pid, 15)
    return True


def ensure_supervisor() -> None:
    """Start the supervisor when none runs. Two at once are harmless: the lock lets one live."""
    if not _is_free(supervisor_lock()):
        return
    log = jobs_folder() / "supervisor.log"
    if log.exists() and log.stat().st_size > _MAX_SUPERVISOR_LOG:
        log.replace(log.with_suffix(".1.log"))
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "workbench.jobs._supervisor"],
            cwd=jobs_folder(),
            env=_absolute_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a Ctrl-C or a dying kernel does not reach it
        )
    # somebody has to collect its exit status, else it stays a zombie as long as we live
    threading.Thread(target=process.wait, daemon=True, name="reap-supervisor").start()


def _is_free(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    lock.release()
    return True


def _absolute_environment() -> dict[str, str]:
    """Our environment with paths that mean the same from another folder."""
    environment = dict(os.environ)
    environment.pop(JOB_VARIABLE, None)  # a job may submit jobs
    environment["WORKBENCH_HOME"] = str(home())
    url = engine().url
    if env("WORKBENCH_DATABASE_URL") and url.get_backend_name() == "sqlite":
        environment["WORKBENCH_DATABASE_URL"] = f"sqlite:///{Path(url.database or '').absolute()}"
    return environment


def _write_private(file: Path, text: str) -> None:
    """Write beside and rename, so that nobody ever reads half of it."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    temporary.replace(file)

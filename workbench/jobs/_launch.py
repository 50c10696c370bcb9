"""Where a job's files lie, and how its process is described.

A job runs with the Python, the import path and the environment of the process that submitted (or
resumed) it. They wait in `launch.json`, private to the user, and are deleted when the job has
begun, so that no key from an environment stays on the disk.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock

from workbench.errors import JobError
from workbench.jobs._process import JOB_VARIABLE
from workbench.settings import env, env_int, home
from workbench.store import engine


@dataclass(frozen=True, slots=True)
class Launch:
    """How a job's process is to be started."""

    executable: str = field(default_factory=lambda: sys.executable)
    environment: dict[str, str] = field(default_factory=lambda: absolute_environment())
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
            write_private(file, found)
    return found


def write_launch(job: str) -> None:
    """Note how this process would run the job."""
    folder = job_folder(job)
    try:
        folder.mkdir(exist_ok=True, mode=0o700)
        write_private(folder / "launch.json", json.dumps(asdict(Launch())))
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


def absolute_environment() -> dict[str, str]:
    """Our environment with paths that mean the same from another folder."""
    environment = dict(os.environ)
    environment.pop(JOB_VARIABLE, None)  # a job may submit jobs
    environment["WORKBENCH_HOME"] = str(home())
    url = engine().url
    if env("WORKBENCH_DATABASE_URL") and url.get_backend_name() == "sqlite":
        environment["WORKBENCH_DATABASE_URL"] = f"sqlite:///{Path(url.database or '').absolute()}"
    return environment


def write_private(file: Path, text: str) -> None:
    """Write beside and rename, so that nobody ever reads half of it."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    temporary.replace(file)

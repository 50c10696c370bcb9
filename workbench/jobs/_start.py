"""Start the supervisor when none runs, find it, end it.

Its lock (flock) is taken by who starts it and handed to the new process as an open file, so from
the first instant there is exactly one, however many start it at once; the kernel frees the lock
when that process ends, whatever ends it. Nobody takes the lock just to look.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

from workbench.jobs._launch import absolute_environment, jobs_folder, write_private
from workbench.jobs._process import ProcessIdentity, identity
from workbench.settings import database_url, env

_MAX_LOG = 1_000_000


def lock_file() -> Path:
    """The file whose lock the supervisor of this home (and this store) holds."""
    name = "supervisor"
    if env("WORKBENCH_DATABASE_URL"):  # another store is another queue
        name += "-" + hashlib.sha256(database_url().encode()).hexdigest()[:8]
    return jobs_folder() / f"{name}.lock"


def take_lock(file: Path) -> int | None:
    """An open file with the lock; None when another has it. The lock goes with the file."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def ensure_supervisor() -> None:
    """Start the supervisor when none runs."""
    file = lock_file()
    lock = take_lock(file)
    if lock is None:
        return
    log = file.with_suffix(".log")
    with suppress(OSError):
        if log.stat().st_size > _MAX_LOG:
            log.replace(file.with_suffix(".1.log"))
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "workbench.jobs._supervisor", str(lock)],
            cwd=file.parent,
            env=absolute_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(lock,),
            start_new_session=True,  # a Ctrl-C or a dying kernel does not reach it
        )
    finally:
        os.close(output)
        os.close(lock)
    # somebody has to collect its exit status, else it stays a zombie as long as we live
    threading.Thread(target=process.wait, daemon=True, name="reap-supervisor").start()


def note_supervisor(file: Path) -> None:
    """Called by the supervisor: who it is."""
    me = identity(os.getpid())
    assert me is not None
    write_private(file.with_suffix(".json"), json.dumps(astuple(me)))


def supervisor_pid() -> int | None:
    """The supervisor's process id; None when none runs (or it has only just been started)."""
    try:
        noted = ProcessIdentity(*json.loads(lock_file().with_suffix(".json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return noted.pid if identity(noted.pid) == noted else None


def stop_supervisor() -> bool:
    """End the supervisor. Jobs that run go on; queued ones wait for the next submit or look."""
    pid = supervisor_pid()
    if pid is None:
        return False
    with suppress(OSError):
        os.kill(pid, signal.SIGTERM)
    return True

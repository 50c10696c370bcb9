"""The program in a job's process: `python -m workbench.jobs._worker <id>`.

It takes the job itself: first the lock in the job's folder, which the kernel frees whatever ends
the process, so a job never runs twice at once; then, in one transaction, the queued row. So there
is no moment at which a job is taken and nobody has it.
"""

from __future__ import annotations

import faulthandler
import importlib
import inspect
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import select, update

from workbench.errors import JobError, StoreError, WorkbenchError
from workbench.jobs._context import JobCancelled, JobContext
from workbench.jobs._launch import forget_launch, home_id, job_folder, read_launch
from workbench.jobs._link import Link
from workbench.jobs._process import identity
from workbench.jobs._records import State, clean_text, now, plain_json
from workbench.settings import log_level
from workbench.store import StoredJob, session

NOT_TAKEN = 75  # exit status: another process has the job, or it is not queued any more
_LINGER_SECONDS = 3.0
_STORE_PATIENCE = 120.0  # seconds to try to write the end of a job


class _Interrupted(BaseException):
    """SIGTERM without a cancel: the machine shuts down, or somebody ended the process."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    state: State
    result: Any = None
    error: str | None = None


def main(id: str) -> int:
    """Run the job `id`. Returns the exit status."""
    lock = FileLock(job_folder(id) / "worker.lock", timeout=10, mode=0o600, thread_local=False)
    try:
        lock.acquire()
    except (Timeout, OSError):
        return NOT_TAKEN
    row = _take(id)
    if row is None:
        return NOT_TAKEN
    _prepare(row)
    link = Link(row.number, row.attempts, job_folder(id), dict(row.metrics))
    signal.signal(signal.SIGTERM, lambda *_: _on_terminate(link))
    link.start()
    outcome = _run(row, link)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _finish(row, link, outcome)
    lock.release()
    # Python waits for threads that the job left; the job is done, so not for long
    leave = threading.Timer(_LINGER_SECONDS, os._exit, (0,))
    leave.daemon = True
    leave.start()
    return 0


def _take(id: str) -> StoredJob | None:
    """Make the queued job ours; None when it is not queued."""
    me = identity(os.getpid())
    assert me is not None
    at = now()
    with session() as opened:
        row = opened.scalar(
            select(StoredJob)
            .where(StoredJob.id == id, StoredJob.home == home_id(), StoredJob.state == "queued")
            .with_for_update()
        )
        if row is not None:
            row.state, row.attempts = "running", row.attempts + 1
            row.started_at = row.heartbeat_at = at
            row.ended_at = row.expected_end = row.error = row.result = None
            row.pid, row.pid_started, row.boot = me.pid, me.started, me.boot
    return row


def _prepare(row: StoredJob) -> None:
    """The submitter's import path; readable, prompt logs."""
    for entry in read_launch(row.id).search_path:
        if entry not in sys.path:
            sys.path.append(entry)
    forget_launch(row.id)
    faulthandler.enable()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    with suppress(WorkbenchError):
        logging.basicConfig(level=log_level(), format="%(asctime)s %(levelname)s %(message)s")
    again = f", attempt {row.attempts}" if row.attempts > 1 else ""
    print(f"{now():%Y-%m-%d %H:%M:%S} UTC  {row.target}{again}", flush=True)


def _on_terminate(link: Link) -> None:
    raise JobCancelled if link.stop.is_set() else _Interrupted


def _run(row: StoredJob, link: Link) -> _Outcome:
    """Call the target and say how it ended; its traceback goes to the log."""
    context = JobContext(
        row.id, job_folder(row.id), row.attempts, report=link.report, stop=link.stop
    )
    try:
        function = _resolve(row.target)
        _check_arguments(row, function, context)
        returned = plain_json(function(context, **row.arguments), "What a job returns")
        # a job that saw the wish to stop may return what it has instead of raising
        return _Outcome("cancelled" if context.cancelled else "done", result=returned)
    except JobCancelled:
        return _Outcome("cancelled")
    except (_Interrupted, KeyboardInterrupt):
        return _Outcome(
            "interrupted",
            error="The job's process was asked to end (SIGTERM). Resume the job to go on.",
        )
    except BaseException as error:
        traceback.print_exc()
        return _Outcome("failed", error=_sentence(error))


def _resolve(target: str) -> Callable[..., Any]:
    module_name, _, path = target.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            raise JobError(f"There is no module {error.name!r} to run {target!r} from.") from error
        raise
    for name in path.split("."):
        if not hasattr(found, name):
            raise JobError(f"The module {module_name!r} has no function {path!r}.")
        found = getattr(found, name)
    if not callable(found):
        raise JobError(f"{target!r} is no function, but a {type(found).__name__}.")
    return found  # type: ignore[no-any-return]


def _check_arguments(row: StoredJob, function: Callable[..., Any], context: JobContext) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # some built-in functions tell nothing
    try:
        signature.bind(context, **row.arguments)
    except TypeError as error:
        raise JobError(f"The arguments do not fit {row.target}{signature}: {error}.") from None


def _sentence(error: BaseException) -> str:
    if isinstance(error, WorkbenchError):
        return clean_text(str(error), 1000)
    words = str(error).strip().splitlines()
    return clean_text(
        f"{type(error).__name__}: {words[0]}" if words else type(error).__name__, 1000
    )


def _finish(row: StoredJob, link: Link, outcome: _Outcome) -> None:
    """Write the end. A store that is busy or full for a while gets another chance."""
    until = time.monotonic() + _STORE_PATIENCE
    while True:
        try:
            link.close()
            _store(row, outcome)
            return
        except StoreError as error:
            print(error, file=sys.stderr, flush=True)
            if time.monotonic() > until:
                raise
            time.sleep(1.0)


def _store(row: StoredJob, outcome: _Outcome) -> None:
    values: dict[str, Any] = {
        "state": outcome.state,
        "result": outcome.result,
        "error": outcome.error,
        "ended_at": now(),
        "expected_end": None,
    }
    if outcome.state == "done":
        values["fraction"] = 1.0
    with session() as opened:
        opened.execute(
            update(StoredJob)
            .where(StoredJob.number == row.number, StoredJob.attempts == row.attempts)
            .values(**values)
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

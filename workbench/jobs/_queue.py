"""Submit, look, cancel, resume. All of it works on the store; the supervisor does the rest.

Whoever looks also heals: a running job whose process is gone becomes *interrupted*, and a queue
without a supervisor gets one. So a kill -9 of anything is noticed by the next call of anybody.
"""

from __future__ import annotations

import importlib.util
import re
import secrets
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select, update

from workbench.errors import JobError
from workbench.jobs._launch import forget_launch, home_id, job_folder, max_jobs, write_launch
from workbench.jobs._process import ProcessIdentity, lives
from workbench.jobs._records import (
    ENDED_STATES,
    STATES,
    Job,
    clean_text,
    job_record,
    now,
    plain_json,
)
from workbench.jobs._start import ensure_supervisor
from workbench.store import StoredJob, session

_TARGET = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")
GONE = (
    "The job's process is gone: it was killed, or the machine was restarted. "
    "Resume the job to go on from its last checkpoint."
)


def submit(
    target: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    title: str = "",
    kind: str = "",
) -> Job:
    """Queue `package.module:function`, called as `function(context, **arguments)`.

    It runs as soon as there is room, with this process's Python, import path and environment.
    Raises JobError when the target's name or the arguments cannot be right.
    """
    _check_target(target)
    kept = plain_json(dict(arguments or {}), "A job's arguments")
    if any(not isinstance(key, str) for key in arguments or {}):
        raise JobError("A job's arguments must have text as keys: they become keywords.")
    max_jobs()  # a senseless setting is told here, not in the supervisor's log
    at = now()
    row = StoredJob(
        id=secrets.token_hex(5),
        home=home_id(),
        title=clean_text(title or target, 200),
        kind=clean_text(kind, 64),
        target=target,
        arguments=kept,
        state="queued",
        created_at=at,
        queued_at=at,
    )
    write_launch(row.id)
    try:
        with session() as opened:
            opened.add(row)
    except BaseException:
        forget_launch(row.id)
        raise
    ensure_supervisor()
    return job_record(row, job_folder(row.id))


def get(id: str) -> Job:
    """The job. Raises JobError when there is none of this id."""
    row = _heal([_find(id)])[0]
    return job_record(row, job_folder(row.id))


def jobs(state: str | None = None, *, limit: int = 100) -> list[Job]:
    """This home's jobs, the newest first; `state` keeps those in it."""
    if state is not None and state not in STATES:
        raise JobError(f"A job's state is one of {', '.join(STATES)}, not {state!r}.")
    with session(read_only=True) as opened:
        unsure = select(StoredJob).where(
            StoredJob.home == home_id(), StoredJob.state.in_(("queued", "running"))
        )
        rows = opened.scalars(unsure).all()
    _heal(rows)
    with session(read_only=True) as opened:
        query = select(StoredJob).where(StoredJob.home == home_id())
        if state is not None:
            query = query.where(StoredJob.state == state)
        rows = opened.scalars(query.order_by(StoredJob.number.desc()).limit(limit)).all()
    return [job_record(row, job_folder(row.id)) for row in rows]


def cancel(id: str) -> Job:
    """Ask the job to stop. It is told at its next check, then made to (SIGTERM, SIGKILL).

    A queued job is cancelled at once; one that has ended stays as it is.
    """
    _find(id)  # says it when there is none
    at = now()
    with session() as opened:
        row = opened.scalars(select(StoredJob).where(StoredJob.id == id).with_for_update()).one()
        if row.state == "queued":
            row.state, row.ended_at, row.cancel_requested_at = "cancelled", at, at
            forget_launch(id)
        elif row.state == "running" and row.cancel_requested_at is None:
            row.cancel_requested_at = at
    if row.state == "running":
        ensure_supervisor()
    return get(id)


def resume(id: str) -> Job:
    """Queue again a job that was interrupted, cancelled or failed, with its folder as it is."""
    job = get(id)
    if job.state in {"queued", "running"}:
        raise JobError(f"The job {id} is {job.state} already.")
    if job.state == "done":
        raise JobError(f"The job {id} is done. Submit it anew to do it once more.")
    write_launch(id)
    with session() as opened:
        opened.execute(
            update(StoredJob)
            .where(StoredJob.id == id, StoredJob.state.in_(ENDED_STATES))
            .values(
                state="queued",
                queued_at=now(),
                ended_at=None,
                error=None,
                expected_end=None,
                cancel_requested_at=None,
            )
        )
    ensure_supervisor()
    return get(id)


def process_of(row: StoredJob) -> ProcessIdentity | None:
    """The process that took the job, living or not."""
    if row.pid is None:
        return None
    return ProcessIdentity(row.pid, row.pid_started or "", row.boot or "")


def mark_gone(row: StoredJob, reason: str = GONE) -> None:
    """Note that a running job's process died, unless the job ended or was taken meanwhile.

    The parent of the process knows more than who looked first: its reason replaces the general one.
    """
    cancelled = row.cancel_requested_at is not None
    unexplained = (StoredJob.state == "interrupted") & (StoredJob.error == GONE)
    with session() as opened:
        opened.execute(
            update(StoredJob)
            .where(
                StoredJob.number == row.number,
                StoredJob.attempts == row.attempts,
                (StoredJob.state == "running") | unexplained,
            )
            .values(
                state="cancelled" if cancelled else "interrupted",
                error=None if cancelled else reason,
                ended_at=row.heartbeat_at or now(),
                expected_end=None,
            )
        )


def _find(id: str) -> StoredJob:
    with session(read_only=True) as opened:
        row = opened.scalar(
            select(StoredJob).where(StoredJob.id == str(id), StoredJob.home == home_id())
        )
    if row is None:
        raise JobError(f"There is no job {id!r}. `workbench jobs list` shows them.")
    return row


def _heal(rows: Iterable[StoredJob]) -> list[StoredJob]:
    """Correct what a death left behind; the rows as they are then."""
    healed = []
    waiting = False
    for row in rows:
        if row.state == "running" and not lives(process_of(row), row.heartbeat_at):
            mark_gone(row)
            row = _find(row.id)
        waiting = waiting or row.state == "queued"
        healed.append(row)
    if waiting:
        ensure_supervisor()
    return healed


def _check_target(target: str) -> None:
    found = _TARGET.fullmatch(target) if isinstance(target, str) else None
    if found is None:
        raise JobError(f"A job's target is written package.module:function, not {target!r}.")
    root = found.group(1).partition(".")[0]
    if root == "__main__":
        raise JobError(
            "A function of a notebook or a script cannot run in another process. Put it into a "
            "module (a .py file beside the notebook) and name it module:function."
        )
    if root not in sys.modules and importlib.util.find_spec(root) is None:
        raise JobError(f"There is no module {root!r} to run {target!r} from.")

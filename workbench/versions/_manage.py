"""Updates begun, stopped, taken up again, undone."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from workbench import jobs, releases
from workbench.errors import JobError, ReleaseError
from workbench.versions import _keep as keep
from workbench.versions._plan import plan
from workbench.versions._records import Update
from workbench.versions._rollback import rollback
from workbench.versions._run import check_goes_on

_TARGET = "workbench.versions:run_update"


def start(roles: Mapping[str, str], **same: Any) -> Update:
    """Begin an update in a job; the arguments are those of `plan`, which says what they mean.

    Raises ReleaseError before anything is begun, also where another update is under way;
    EngineError, JobError.
    """
    checked = plan(roles, **same)
    busy = next((one for one in keep.updates() if one.state in {"waiting", "running"}), None)
    if busy is not None:
        raise ReleaseError(
            f"The update {busy.id} ({busy.label}) is under way. Wait for it, or stop it: "
            f"`workbench versions stop {busy.id}`."
        )
    return _submitted(keep.begin(checked))


def stop(update: Update | str = "") -> Update:
    """End an update before it has taken anything into use; then nothing was changed.

    Raises ReleaseError for one that has ended, or has switched.
    """
    found = keep.find(update)
    with keep.locked(found.id) as row:
        if (row.steps.get("switch") or {}).get("state") == "done":
            raise ReleaseError(
                f"{found.version} was taken into use already, so there is nothing to stop. Go "
                f"back: `workbench versions rollback`."
            )
        if row.state in {"done", "failed", "undone"} or row.ended_at is not None:
            raise ReleaseError(f"The update {found.id} has ended: it is {row.state}.")
        row.state, row.ended_at = "stopped", datetime.now(UTC)
        row.error = {"words": "It was stopped. Nothing was changed."}
    if found.job:
        with suppress(JobError):  # of another home: it sees that it is stopped before it switches
            jobs.cancel(found.job)
    return keep.find(found.id)


def resume(update: Update | str = "") -> Update:
    """Go on after a stop, a kill or a failure; what was done is not done again.

    Raises ReleaseError for one that is under way, done, or has gone back; JobError.
    """
    found = keep.find(update)
    if found.state in {"waiting", "running"} and found.job:
        raise ReleaseError(f"The update {found.id} is under way already.")
    if found.state in {"done", "undone"}:
        raise ReleaseError(f"The update {found.id} is {found.state}. Begin another one.")
    check_goes_on(found)
    found = keep.note(found.id, state="waiting", error=None, ended_at=None)
    with suppress(JobError):
        if found.job and jobs.get(found.job).state not in {"done", "queued", "running"}:
            jobs.resume(found.job)
            return keep.find(found.id)
    return _submitted(found)


def undo(update: Update | str = "") -> Update:
    """Go back to what was in use before an update, with the vectors. Raises as `rollback`, and
    where the update's release is not the one in use."""
    found = keep.find(update)
    used = releases.current()
    if not found.switched or used is None or used.version != found.version:
        raise ReleaseError(
            f"{found.version} is not in use, so there is nothing to undo. To have another release: "
            "`workbench versions rollback --to VERSION`."
        )
    if not found.before:
        raise ReleaseError(f"There is no release before {found.version} to go back to.")
    rollback(to=found.before, why=f"The update {found.id} was undone.",
             engine=found.plan["engine"])  # fmt: skip
    return keep.find(found.id)


def _submitted(update: Update) -> Update:
    title = f"Update to {update.label}"
    job = jobs.submit(_TARGET, {"update": update.id}, title=title, kind="update")
    return keep.note(update.id, job=job.id)

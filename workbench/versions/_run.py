"""The job of an update: its steps in order, each noted when it begins and when it ends.

A step that is done is not done again, so a job that was killed goes on where it was; each step can
be begun twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workbench import releases
from workbench.errors import ReleaseError, WorkbenchError
from workbench.jobs import JobCancelled, JobContext
from workbench.versions import _keep as keep
from workbench.versions._pull import pull_step
from workbench.versions._record import record_step
from workbench.versions._records import ENDED, STEPS, TITLES, GateClosed, Outcome, Update
from workbench.versions._reembed import reembed_step
from workbench.versions._shelf import opened
from workbench.versions._smoke import smoke_step
from workbench.versions._suite import measure_step
from workbench.versions._switch import switch_step
from workbench.versions._validate import validate_step
from workbench.versions._work import Work

_WORK: Mapping[str, Callable[[Work], Outcome | None]] = {
    "pull": pull_step, "smoke": smoke_step, "suite": measure_step, "reembed": reembed_step,
    "switch": switch_step, "validate": validate_step, "record": record_step,
}  # fmt: skip


def run_update(context: JobContext, update: str) -> dict[str, Any]:
    """Go on with an update until it is done. Raises WorkbenchError where a gate said no or a step
    could not be done; what was in use is in use then.

    Started as a job by `start`; called directly it works here and now.
    """
    found = keep.find(update)
    if found.state in {"done", "undone"}:
        return _told(found)
    check_goes_on(found)
    found = keep.note(found.id, state="running", error=None, ended_at=None)
    try:
        _steps(context, found)
    except JobCancelled:
        keep.finish(found.id, "stopped", "It was stopped.", ended=False)
        raise
    except WorkbenchError as error:
        keep.finish(found.id, "failed", str(error))
        raise
    done = keep.finish(found.id, "done")
    context.progress(1.0, f"{done.version} is in use")
    return _told(done)


def _steps(context: JobContext, update: Update) -> None:
    with opened(update.plan["engine"]) as engine:
        for name in STEPS:
            update = keep.find(update)
            if update.step(name).state in ENDED:
                continue
            if not update.switched:  # after it, what was begun is brought to its end
                context.check_cancelled()
            keep.step_begun(update.id, name)
            work = Work(update, engine, context, name)
            work.context.progress(0.0, TITLES[name])
            try:
                outcome = _WORK[name](work)
            except WorkbenchError as error:
                shown = error.evidence if isinstance(error, GateClosed) else {}
                keep.step_ended(update.id, name, Outcome(str(error), shown, "failed"))
                raise
            if outcome is not None:
                keep.step_ended(update.id, name, outcome)


def check_goes_on(update: Update) -> None:
    """Raise ReleaseError for an update that has made its release, which is in use no more."""
    used = releases.current()
    if update.switched and (used is None or used.version != update.version):
        raise ReleaseError(
            f"{update.version} was made and is not in use any more, and versions are made once. "
            "Begin another update, or take it into use: `workbench versions rollback --to "
            f"{update.version}`."
        )


def _told(update: Update) -> dict[str, Any]:
    return {
        "update": update.id, "version": update.version, "state": update.state,
        "words": " ".join(one.words for one in update.steps if one.state == "done"),
    }  # fmt: skip

"""Updates in the store: begun, noted step by step, found; what a kill left is told as stopped."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.errors import JobError, ReleaseError
from workbench.store import StoredJob, StoredUpdate, clean, session
from workbench.versions._records import STEPS, TITLES, Outcome, Step, StepState, Update

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_SHORTEST = 4  # characters of an id that are enough to name it
_SILENT = timedelta(seconds=30)  # without a heartbeat a job is taken for dead
_GONE = "Its job was killed or cancelled. Resume it: what was done is not done again."


def begin(plan: Mapping[str, Any]) -> Update:
    """A new update, whose steps wait."""
    steps = {name: {"state": "waiting", "words": plan["steps"][name]} for name in STEPS}
    row = StoredUpdate(
        id=secrets.token_hex(5), job="", version=plan["version"], before=plan["before"],
        plan=clean(plan), steps=clean(steps), state="waiting", error=None,
        created_at=datetime.now(UTC),
    )  # fmt: skip
    with session() as s:
        s.add(row)
        s.flush()
    return _record(row)


def updates() -> list[Update]:
    """All of them, the newest first."""
    query = select(StoredUpdate).order_by(StoredUpdate.number.desc())
    with session(read_only=True) as s:
        found = [_record(row) for row in s.scalars(query)]
    return [_healed(one) for one in found]


def find(update: Update | str = "") -> Update:
    """The update with this id, or its beginning, or of this version; "" is the newest one.

    One whose job is gone is "stopped". Raises ReleaseError.
    """
    wanted = update.id if isinstance(update, Update) else str(update).strip()
    newest = select(StoredUpdate).order_by(StoredUpdate.number.desc()).limit(1)
    tries = [StoredUpdate.id == wanted, StoredUpdate.version == wanted]
    if len(wanted) >= _SHORTEST:
        tries.append(StoredUpdate.id.startswith(wanted, autoescape=True))
    with session(read_only=True) as s:
        asked = [newest.where(one) for one in tries] if wanted else [newest]
        found = next((row for one in asked if (row := s.scalar(one)) is not None), None)
    if found is not None:
        return _healed(_record(found))
    if not wanted:
        raise ReleaseError("There is no update yet. Begin one: `workbench versions update`.")
    raise ReleaseError(
        f"There is no update {wanted!r:.80}. Give its id or its version; `workbench versions "
        "updates` lists them."
    )


@contextmanager
def locked(id: str, opened: Session | None = None) -> Iterator[StoredUpdate]:
    """An update's row in a transaction of its own, or in one that is open. Raises ReleaseError."""
    if opened is None:
        with session() as s, locked(id, s) as own:
            yield own
        return
    row = opened.scalar(
        select(StoredUpdate).where(StoredUpdate.id == id).with_for_update(),
        execution_options={"populate_existing": True},
    )
    if row is None:
        raise ReleaseError(f"The update {id} is gone. `workbench versions updates` lists them.")
    yield row
    opened.flush()


def note(id: str, opened: Session | None = None, **values: Any) -> Update:
    """Change state, job, error (in words), ended_at."""
    with locked(id, opened) as row:
        for name, value in values.items():
            setattr(row, name, _stored(name, value))
        return _record(row)


def finish(id: str, state: str, error: str | None = None, *, ended: bool = True) -> Update:
    """Note how a run of it ended, unless somebody has stopped or undone it meanwhile."""
    with locked(id) as row:
        meant = row.state == "undone" or (row.state == "stopped" and row.ended_at is not None)
        if not meant:
            row.state, row.error = state, _stored("error", error)
            row.ended_at = datetime.now(UTC) if ended else None
        return _record(row)


def step_begun(id: str, name: str) -> None:
    """Note that a step is under way."""
    with locked(id) as row:
        kept = {**row.steps.get(name, {}), "state": "running"}
        kept.setdefault("started_at", _now())
        row.steps = {**row.steps, name: kept}


def step_ended(id: str, name: str, outcome: Outcome, opened: Session | None = None) -> None:
    """Note how a step ended."""
    with locked(id, opened) as row:
        put_step(row, name, outcome)


def put_step(row: StoredUpdate, name: str, outcome: Outcome) -> None:
    """The same, in a row that is locked."""
    told = {"state": outcome.state, "words": outcome.words, "evidence": outcome.evidence}
    kept = {"started_at": _now(), **row.steps.get(name, {}), **clean(told), "ended_at": _now()}
    row.steps = {**row.steps, name: kept}


def alive(job: str) -> bool:
    """Whether this job waits or runs, here or on another machine."""
    from workbench import jobs

    try:
        return not jobs.get(job).ended  # who looks heals what a kill left
    except JobError:
        since = datetime.now(UTC) - _SILENT
    query = select(StoredJob.id).where(
        StoredJob.id == job,
        (StoredJob.state == "queued")
        | ((StoredJob.state == "running") & (StoredJob.heartbeat_at >= since)),
    )
    with session(read_only=True) as s:
        return s.scalar(query) is not None


def _healed(update: Update) -> Update:
    """As it is; one that nobody works on any more is stopped."""
    begun = update.created_at > datetime.now(UTC) - _SILENT  # its job is being submitted
    if update.state not in {"waiting", "running"} or (alive(update.job) if update.job else begun):
        return update
    if not update.job and update.state == "running":  # somebody runs it without a job
        return update
    with locked(update.id) as row:
        if (row.state, row.job) == (update.state, update.job):  # not resumed meanwhile
            row.state, row.error = "stopped", _stored("error", _fault(update.job) or _GONE)
        return _record(row)


def _fault(job: str) -> str:
    """What broke a job that was not killed; "" for others."""
    with session(read_only=True) as s:
        query = select(StoredJob.error).where(StoredJob.id == job, StoredJob.state == "failed")
        return s.scalar(query) or ""


def _stored(name: str, value: Any) -> Any:
    if name == "error":
        return None if value is None else {"words": clean(str(value))}
    return value


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _record(row: StoredUpdate) -> Update:
    values = {one.name: getattr(row, one.name) for one in fields(Update)}
    values["steps"] = tuple(_step(name, row.steps.get(name) or {}) for name in STEPS)
    values["error"] = None if row.error is None else str(row.error.get("words") or "")
    return Update(**values)


def _step(name: str, kept: Mapping[str, Any]) -> Step:
    times = [kept.get(at) for at in ("started_at", "ended_at")]
    state: StepState = kept.get("state", "waiting")
    return Step(
        name, TITLES[name], state, kept.get("words", ""), kept.get("evidence") or {},
        *(datetime.fromisoformat(at) if at else None for at in times),
    )  # fmt: skip

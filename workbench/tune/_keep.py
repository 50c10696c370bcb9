"""Studies in the store: begun, noted, found, claimed by the worker that finishes them, removed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete as deleted
from sqlalchemy import select

from workbench.errors import TuneError
from workbench.search import unrecorded
from workbench.space import Space
from workbench.store import StoredJob, StoredStudy, clean, session
from workbench.tune._records import Study
from workbench.types import Json

_SHORTEST = 4  # characters of an id that are enough to name it
_SILENT = timedelta(seconds=30)  # without a heartbeat a job is taken for dead


def begin(**values: Any) -> Study:
    """A new study. Raises StoreError."""
    row = StoredStudy(
        id=secrets.token_hex(5), state="created", jobs=[], finisher="",
        created_at=datetime.now(UTC), **{name: clean(value) for name, value in values.items()},
    )  # fmt: skip
    with session() as opened:
        opened.add(row)
        opened.flush()
    return _record(row)


def note(study: Study | str, **values: Any) -> Study:
    """Change state, jobs, name, settings, ended_at, finisher; `result` is added to what it was."""
    id = study if isinstance(study, str) else study.id
    with session() as opened:
        row = opened.scalar(select(StoredStudy).where(StoredStudy.id == id).with_for_update())
        if row is None:
            raise _unknown(id)
        for name, value in values.items():
            if name == "result":
                value = {**row.result, **clean(value)}
            setattr(row, name, value if name == "ended_at" else clean(value))
        opened.flush()
        return _record(row)


def find(text: str) -> Study:
    """The study with this id or its beginning, else the newest of this name or of this model.

    One that was under way and whose jobs are gone is "paused". Raises TuneError.
    """
    wanted = str(text).strip()
    newest = select(StoredStudy).order_by(StoredStudy.number.desc()).limit(1)
    tries = [StoredStudy.id == wanted, StoredStudy.name == wanted]
    tries.append(StoredStudy.model.in_((wanted, f"{wanted}:latest")))
    if len(wanted) >= _SHORTEST:
        tries.append(StoredStudy.id.startswith(wanted, autoescape=True))
    with session(read_only=True) as opened:
        for condition in tries if wanted else ():
            row = opened.scalar(newest.where(condition))
            if row is not None:
                return _healed(_record(row))
    raise _unknown(wanted)


def studies(*, model: str = "", suite: str = "", limit: int = 500) -> list[Study]:
    """All of them, the newest first; of one model, on one suite."""
    query = select(StoredStudy).order_by(StoredStudy.number.desc()).limit(limit)
    if model:
        query = query.where(StoredStudy.model.in_((model, f"{model}:latest")))
    if suite:
        query = query.where(StoredStudy.suite == suite)
    with session(read_only=True) as opened:
        rows = opened.scalars(query).all()
    return [_healed(_record(row)) for row in rows]


def forget(study: Study) -> None:
    """Delete a study and its trials."""
    unrecorded(study.id)
    with session() as opened:
        opened.execute(deleted(StoredStudy).where(StoredStudy.id == study.id))


def standing(study: Study) -> tuple[Json, Json]:
    """Settings and result as they are now: somebody may extend or end a search that runs."""
    query = select(StoredStudy.settings, StoredStudy.result).where(StoredStudy.id == study.id)
    with session(read_only=True) as opened:
        found = opened.execute(query).one_or_none()
    if found is None:
        raise _unknown(study.id)
    return found[0], found[1]


def claim(study: Study, worker: str) -> bool:
    """Whether this worker is the one that finishes the study: nobody else does, or who did died."""
    with session() as opened:
        row = opened.scalar(select(StoredStudy).where(StoredStudy.id == study.id).with_for_update())
        if row is None:
            raise _unknown(study.id)
        if row.finisher not in ("", worker) and row.finisher in alive([row.finisher]):
            return False
        row.finisher = worker
    return True


def alive(workers: Sequence[str]) -> set[str]:
    """Those of these workers (`job/attempt`) whose jobs run, on whatever machine.

    A job that writes no heartbeat for half a minute is dead; jobs of this home are looked at more
    closely by `under_way`. Who works without a job cannot be told from the dead.
    """
    ids = {worker.partition("/")[0] for worker in workers} - {""}
    if not ids:
        return set()
    since = datetime.now(UTC) - _SILENT
    query = select(StoredJob.id, StoredJob.attempts).where(
        StoredJob.id.in_(ids), StoredJob.state == "running", StoredJob.heartbeat_at >= since
    )
    with session(read_only=True) as opened:
        running = {f"{id}/{attempts}" for id, attempts in opened.execute(query)}
    return running & set(workers)


def under_way(ids: Sequence[str]) -> set[str]:
    """Those of these jobs that wait or run."""
    from workbench import jobs
    from workbench.errors import JobError

    for id in ids:
        try:
            jobs.get(id)  # who looks heals what a kill left
        except JobError:
            continue  # of another home
    since = datetime.now(UTC) - _SILENT
    query = select(StoredJob.id).where(
        StoredJob.id.in_(ids),
        (StoredJob.state == "queued")
        | ((StoredJob.state == "running") & (StoredJob.heartbeat_at >= since)),
    )
    with session(read_only=True) as opened:
        return set(opened.scalars(query)) if ids else set()


def _healed(study: Study) -> Study:
    if study.state != "running" or not study.jobs or under_way(study.jobs):
        return study
    query = select(StoredStudy).where(StoredStudy.id == study.id).with_for_update()
    with session() as opened:
        row = opened.scalar(query)
        if row is None:
            return study
        if row.state == "running" and tuple(row.jobs) == study.jobs:  # not started again meanwhile
            row.state = "paused"
            opened.flush()
        return _record(row)


def _unknown(text: str) -> TuneError:
    return TuneError(
        f"There is no study {text!r}. Give its id, its name or its model's; `workbench tune list` "
        "shows all."
    )


def _record(row: StoredStudy) -> Study:
    values = {one.name: getattr(row, one.name) for one in fields(Study)}
    values |= {"space": Space.of(row.space), "jobs": tuple(row.jobs)}
    return Study(**values | {"objectives": tuple(row.objectives)})

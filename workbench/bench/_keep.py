"""Runs, answers and votes in the store. Each answer is written when it is there, so that a kill
loses none; texts are what every database takes."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select, update

from workbench.bench._records import Answer, Plan, Run
from workbench.errors import BenchError
from workbench.store import StoredAnswer, StoredRun, clean, session


def begin(
    plan: Plan,
    *,
    digest: str,
    tasks: Sequence[Mapping[str, Any]],
    suite: str,
    facts: Mapping[str, Any],
    job: str = "",
    cell: str = "",
) -> Run:
    """A new run, or the one that this job began for this cell: then what it has stays."""
    same = select(StoredRun).where(StoredRun.job == job, StoredRun.cell == cell)
    with session() as opened:
        row = opened.scalar(same) if job else None
        if row is None:
            row = StoredRun(
                id=secrets.token_hex(5), job=job, cell=cell, model=clean(plan.model)[:256],
                digest=digest[:80], suite=clean(suite)[:128], created_at=datetime.now(UTC),
                name=clean(plan.name), plan=clean(asdict(plan)), tasks=clean(tasks),
            )  # fmt: skip
            opened.add(row)
        row.facts, row.state, row.error, row.ended_at = clean(facts), "running", None, None
    return _run(row)


def find(job: str, cell: str) -> Run | None:
    """The run that this job began for this cell of its matrix."""
    query = select(StoredRun).where(StoredRun.job == job, StoredRun.cell == cell)
    with session(read_only=True) as opened:
        row = opened.scalar(query) if job else None
    return None if row is None else _run(row)


def note(run: Run, **values: Any) -> Run:
    """Change some columns of a run: state, error, canary, speed, facts, tasks, ended_at."""
    kept = {k: v if k == "ended_at" else clean(v) for k, v in values.items()}
    with session() as opened:
        opened.execute(update(StoredRun).where(StoredRun.number == run.number).values(**kept))
        row = opened.get_one(StoredRun, run.number)
        opened.refresh(row)
    return _run(row)


def save(run: Run, *answers: Answer) -> None:
    """Keep answers; those that were there for their samples are replaced."""
    at = datetime.now(UTC)
    with session() as opened:
        for answer in answers:
            facts = {name: clean(value) for name, value in asdict(answer).items()}
            key = (StoredAnswer.run == run.number, StoredAnswer.task == facts["task"],
                   StoredAnswer.sample == facts["sample"])  # fmt: skip
            opened.execute(delete(StoredAnswer).where(*key))
            opened.add(StoredAnswer(run=run.number, at=at, **facts))


def answers(run: Run | str, task: str | None = None) -> list[Answer]:
    """A run's answers in the order of the tasks' samples."""
    number = (run if isinstance(run, Run) else get_run(run)).number
    query = select(StoredAnswer).where(StoredAnswer.run == number)
    if task is not None:
        query = query.where(StoredAnswer.task == task)
    with session(read_only=True) as opened:
        rows = opened.scalars(query.order_by(StoredAnswer.task, StoredAnswer.position)).all()
    names = Answer.__dataclass_fields__
    return [Answer(**{name: getattr(row, name) for name in names}) for row in rows]


def answered(run: Run) -> set[tuple[str, str]]:
    """(task, sample) of all that need not be asked again."""
    columns = (StoredAnswer.task, StoredAnswer.sample)
    with session(read_only=True) as opened:
        rows = opened.execute(select(*columns).where(StoredAnswer.run == run.number)).all()
    return {(task, sample) for task, sample in rows}


def runs(
    *, model: str | None = None, suite: str | None = None, job: str | None = None,
    limit: int = 500,
) -> list[Run]:  # fmt: skip
    """Runs, the newest first."""
    query = select(StoredRun).order_by(StoredRun.number.desc()).limit(limit)
    columns = ((StoredRun.model, model), (StoredRun.suite, suite), (StoredRun.job, job))
    for column, wanted in columns:
        if wanted is not None:
            query = query.where(column == wanted)
    with session(read_only=True) as opened:
        return [_run(row) for row in opened.scalars(query).all()]


def get_run(id: str) -> Run:
    """The run with this id (or its beginning, or the newest of this name). Raises BenchError."""
    wanted = str(id).strip()
    with session(read_only=True) as opened:
        newest = select(StoredRun).order_by(StoredRun.number.desc())
        row = opened.scalar(newest.where(StoredRun.id == wanted))
        if row is None and wanted:
            row = opened.scalar(newest.where(StoredRun.name == wanted).limit(1))
        if row is None and len(wanted) >= 4:
            begins = StoredRun.id.startswith(wanted, autoescape=True)
            near = opened.scalars(newest.where(begins)).all()
            row = near[0] if len(near) == 1 else None
    if row is None:
        raise BenchError(f"There is no run {wanted[:60]!r}. `workbench bench show` lists them.")
    return _run(row)


def delete_runs(ids: Iterable[str]) -> int:
    """Remove runs with their answers; how many there were."""
    numbers = [get_run(id).number for id in ids]
    with session() as opened:
        opened.execute(delete(StoredAnswer).where(StoredAnswer.run.in_(numbers)))
        opened.execute(delete(StoredRun).where(StoredRun.number.in_(numbers)))
    return len(numbers)


def _run(row: StoredRun) -> Run:
    names = [name for name in Run.__dataclass_fields__ if name != "tasks"]
    return Run(**{name: getattr(row, name) for name in names}, tasks=tuple(row.tasks))

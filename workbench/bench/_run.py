"""The job that measures: models times settings times suites, one model in memory at a time.

Each cell of the matrix is a run. Questions go to the engine as many at once as it has slots, all
of a task in a row, so that what the prompts share is read once per slot. An answer is kept at the
moment it is there, with its score; a job that was killed goes on with the questions that have no
answer. A cell that cannot be measured (no such model, not enough memory) is kept with the reason,
and the matrix goes on. What is asked is decided by the canary, before the first question.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import product
from typing import Any, TypeVar

from workbench.bench import _keep as keep
from workbench.bench._cell import Cell
from workbench.bench._records import Answer, Plan, Run
from workbench.bench._score import scored
from workbench.bench._summary import summarise
from workbench.bench._tools import Helpers
from workbench.engines import AsyncEngine, connect
from workbench.errors import BenchError, EngineError, WorkbenchError
from workbench.jobs import Job, JobContext, submit
from workbench.meter import Canary
from workbench.scorers import Tools
from workbench.settings import home
from workbench.tasks import Task, find_any
from workbench.texts import nearest

T = TypeVar("T")
_TARGET = "workbench.bench:run_matrix"


def submit_matrix(
    models: Sequence[str],
    suites: Sequence[str],
    settings: Sequence[Mapping[str, Any]] = ({},),
    **more: Any,
) -> Job:
    """Measure in a job: every model, with every setting of options, on every suite.

    `more` are fields of `Plan` for all of them (limit, seed, speed, judge …), and `engine`, an
    address. Raises BenchError, TaskError before anything is queued.
    """
    engine = more.pop("engine", None)
    plans = plans_of(models, suites, settings, **more)
    for name in suites:
        find_any(name)
    arguments = {"models": [*models], "suites": [*suites], "settings": [*map(dict, settings)]}
    title = f"Measure {_several(models, 'model')} on {_several(suites, 'suite')}"
    arguments |= {"engine": engine, **more}
    if len(plans) > len(models) * len(suites):
        title += f" under {len(settings)} settings"
    return submit(_TARGET, arguments, title=title, kind="bench")


def run_matrix(
    context: JobContext,
    models: Sequence[str],
    suites: Sequence[str],
    settings: Sequence[Mapping[str, Any]] = ({},),
    engine: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The job itself: ids of the runs, and why some cells have none. Raises EngineUnreachable."""
    plans = plans_of(models, suites, settings, **more)
    return _finish(_measure_all(context, plans, engine))


def measure(
    plan: Plan, *, engine: str | None = None, context: JobContext | None = None,
    canaries: dict[str, Canary] | None = None, given: Sequence[Answer] = (),
) -> Run:  # fmt: skip
    """Measure one model on one suite, here and now. `canaries` are those of earlier measurements,
    which are not made again (`meter.probed`); `given` are scored answers that the model gave under
    this plan already: only the other questions are asked. Raises WorkbenchError."""
    context = context or JobContext("", home())
    return _finish(Cell(context, plan, engine, canaries=canaries, given=given).run())


def rescore(run: Run | str, *, judge: str = "", engine: str | None = None) -> Run:
    """Score a run's answers anew, by today's scorers and without asking again.

    `engine` is asked for embeddings and the judge's grades only. Raises TaskError where the run's
    suite is gone.
    """
    run = run if isinstance(run, Run) else keep.get_run(run)
    plan = Plan(**{**run.plan, **({"judge": judge} if judge else {})})
    tasks = {task.name: task for task in find_any(plan.suite).tasks}
    needs = {"similarity", "judge"} & {use.name for t in tasks.values() for use in t.scorers}
    tools = Tools()
    if needs:
        with connect(engine) as opened:
            tools = _finish(_helpers(opened.url, plan, list(tasks.values())))
    for answer in keep.answers(run):
        if answer.task in tasks:
            keep.save(run, scored(tasks[answer.task], answer, tools))
    return summarise(keep.note(run, ended_at=datetime.now(UTC), plan=asdict(plan)))


async def _helpers(url: str, plan: Plan, tasks: Sequence[Task]) -> Tools:
    async with AsyncEngine(url) as engine:
        return (await Helpers.find(engine, plan, tasks)).tools(judging=True)


def _finish(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; in a thread of its own where a loop runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def plans_of(
    models: Sequence[str],
    suites: Sequence[str],
    settings: Sequence[Mapping[str, Any]] = ({},),
    **more: Any,
) -> list[Plan]:
    """The matrix's cells, ordered so that a model is loaded as seldom as can be."""
    from workbench.protocol import check_options

    known = set(Plan.__dataclass_fields__) - {"model", "suite", "options"}
    for name in set(more) - known:
        raise BenchError(f"A measurement has no field {name!r}.{nearest(name, known)}")
    if not models or not suites or not settings:
        raise BenchError("Nothing to measure: name at least one model and one suite.")
    limit, seed = more.get("limit"), more.get("seed", 0)
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise BenchError(f"The number of samples must be 1 or more, not {limit!r}.")
    if not isinstance(seed, int) or seed < 0:
        raise BenchError(f"A seed is a whole number from 0 on, not {seed!r}.")
    cells = product(dict.fromkeys(models), settings, dict.fromkeys(suites))
    return [Plan(model, suite, options=check_options(o), **more) for model, o, suite in cells]


async def _measure_all(
    context: JobContext, plans: Sequence[Plan], url: str | None
) -> dict[str, Any]:
    done: list[str] = []
    failed: list[dict[str, str]] = []
    last: Cell | None = None
    canaries: dict[str, Canary] = {}
    for number, plan in enumerate(plans):
        context.check_cancelled()
        key = _key(plan)
        kept = keep.find(context.id, key)
        if kept is not None and kept.state == "done":
            done.append(kept.id)
            continue
        if last is not None and last.plan.model != plan.model:
            await last.unload()  # its memory is the next one's
        share = (number, len(plans))
        last = Cell(context, plan, url, job=context.id, key=key, share=share, canaries=canaries)
        try:
            done.append((await last.run()).id)
        except EngineError as error:
            if error.status is None and not await last.answers():
                raise  # no engine: nothing further can be measured
            failed.append(_failure(plan, error))
        except WorkbenchError as error:
            failed.append(_failure(plan, error))
    if last is not None:
        await last.unload()
    if failed and not done:
        reasons = "; ".join(f"{one['model']}: {one['reason']}" for one in failed[:3])
        raise BenchError(f"None of the {len(plans)} runs could be made. {reasons}")
    return {"runs": done, "failed": failed}


def _failure(plan: Plan, error: WorkbenchError) -> dict[str, str]:
    return {"model": plan.model, "suite": plan.suite, "reason": str(error)}


def _key(plan: Plan) -> str:
    told = {name: value for name, value in asdict(plan).items() if value != ()}
    text = json.dumps(told, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _several(names: Sequence[str], what: str) -> str:
    unique = list(dict.fromkeys(names))
    return unique[0] if len(unique) == 1 else f"{len(unique)} {what}s"

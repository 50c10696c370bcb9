"""From a run's answers to its figures: a score with its interval for each task and for the suite.

A suite's score is the mean of its tasks' scores, weighted; tasks that were refused or of which
nothing could be scored are left out, and the result says so. Figures of speed are medians over the
answers, as they came while several were asked at once; where answers are too short to tell, those
of the run's own measurement of speed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import fmean, median
from typing import Any

from workbench.bench import _keep as keep
from workbench.bench._records import Answer, How, Run, RunResult, TaskResult
from workbench.statistics import mean, weighted
from workbench.types import Json

_LOW = 0.15  # seconds of generation below which a speed says little


def result(run: Run | str) -> RunResult:
    """The run with its figures. Raises BenchError when there is no such run."""
    run = run if isinstance(run, Run) else keep.get_run(run)
    if run.state == "running":
        return _result(run, keep.answers(run))
    return _kept(run.id, run.number, str(run.ended_at)) or _result(run, keep.answers(run))


@lru_cache(maxsize=256)
def _kept(id: str, number: int, ended: str) -> RunResult | None:
    """A finished run's result is worked out once; `ended` changes when it is scored anew."""
    run = keep.get_run(id)
    return _result(run, keep.answers(run))


def _result(run: Run, answers: Sequence[Answer]) -> RunResult:
    found: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        found[answer.task].append(answer)
    tasks = tuple(_task(facts, found[facts["name"]]) for facts in run.tasks)
    parts = [
        ([a.value for a in scored], [a.group for a in scored], task.weight)
        for task in tasks
        if (scored := _scored(found[task.task]))
    ]
    costs = [answer.figures for answer in answers if answer.error is None]
    memory = run.facts.get("memory") or {}
    return RunResult(
        run=run,
        tasks=tasks,
        score=weighted(parts) if parts else None,  # type: ignore[arg-type]
        seconds_per_answer=_median(cost.get("seconds") for cost in costs),
        tokens_per_second=_median(_speed(c, "tokens", "generation_seconds") for c in costs)
        or _measured(run, "generation_speed"),
        first_token=_median(cost.get("first_token") for cost in costs)
        or _measured(run, "first_token"),
        prompt_speed=_median(_speed(c, "prompt_tokens", "prompt_seconds") for c in costs)
        or _measured(run, "prompt_speed"),
        memory=memory.get("peak") or memory.get("held"),
    )


def _scored(answers: Sequence[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.value is not None]


def _task(facts: Json, answers: Sequence[Answer]) -> TaskResult:
    scored = _scored(answers)
    values, groups = [float(a.value or 0) for a in scored], [a.group for a in scored]
    sums: dict[str, list[float]] = defaultdict(list)
    for answer in scored:
        for name, value in (answer.scores.get(facts["metric"]) or {}).get("parts", {}).items():
            sums[name] += [value] if isinstance(value, int | float) else []
    how: How = facts.get("how", "asked")
    return TaskResult(
        task=facts["name"],
        title=facts["title"],
        weight=facts["weight"],
        mode=facts["mode"],
        how=how,
        metric=facts["metric"],
        score=mean(values, groups) if values else None,
        answered=len(answers),
        unscored=len(answers) - len(scored),
        refused=facts.get("refused", ""),
        fingerprint=facts.get("fingerprint", ""),
        parts={name: fmean(all_of) for name, all_of in sums.items() if all_of},
    )


def _speed(cost: Mapping[str, Any], tokens: str, seconds: str) -> float | None:
    """Tokens per second of one answer; None where too little was done to tell."""
    time, count = cost.get(seconds) or 0.0, cost.get(tokens) or 0
    enough = count >= 16 and (time >= _LOW or count >= 128)
    return count / time if enough and time > 0 else None


def _measured(run: Run, name: str) -> float | None:
    """A figure of the speed measurement's longest prompt, where the answers tell none."""
    told = [point.get(name) for point in (run.speed or {}).get("points", ())]
    return next((float(one["median"]) for one in reversed(told) if one), None)


def _median(values: Any) -> float | None:
    known = [float(value) for value in values if value is not None]
    return median(known) if known else None

"""Whether the best holds on questions that the search never saw, beside the default settings.

Picked out of many, the best looks better than it is: chance had many tries. So it (of several
objectives, up to five points of the front, both its ends and some between) is asked new questions,
and so are the default settings.
The answers of a point whose settings are all the engine's options become a run of the Benchmarks
room, where they can be seen; a run cannot say others (a system text, examples, other weights).

All are measured as trials are. Speed is, of all points one after the other and then once more,
after another load: what comes first would otherwise find an engine that is still cold. An
objective is better for certain where it is so at all ends of the intervals of the paired
differences in quality and of the paired ratios of seconds; memory and throughput count where they
differ by more than 2 and 10 %. Where nothing is better for certain, the default settings are best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain, product
from statistics import fmean
from typing import TYPE_CHECKING, Any

from workbench.errors import BenchError, TuneError
from workbench.jobs import JobContext
from workbench.protocol import OPTIONS
from workbench.search import Objective
from workbench.statistics import Difference, weighted_paired
from workbench.trial import Bench, Measured, Question, limit, other_seed, ratio, unseen
from workbench.tune._race import figures_of, timed, wanted
from workbench.tune._within import Within
from workbench.types import Json

if TYPE_CHECKING:
    from workbench.bench import Answer, Run
    from workbench.meter import Canary
    from workbench.space import Point
    from workbench.tune._records import Study, Trial

Key = tuple[str, str]
MOST = 5  # points of a front
_ONCE = {"memory": 0.02, "throughput": 0.1}  # what two single measurements differ by chance


@dataclass(frozen=True, slots=True)
class Held:
    """What a point is worth on the held-out questions; values by task and sample."""

    run: str
    values: Mapping[Key, float | None]
    groups: Mapping[Key, str]
    speed: Measured
    told: Mapping[str, float | None]  # latency, throughput, memory as the run told them


class Confirmation:
    """Of one study. `asked` are the questions of the search, `canaries` what it found of how the
    model is served; `trained` makes a point's model where its settings are a training's."""

    def __init__(
        self, context: JobContext, study: Study, goals: Sequence[Objective],
        asked: Sequence[Question], canaries: dict[str, Canary],
        trained: Callable[[Point], str] | None = None,
    ) -> None:  # fmt: skip
        self._context, self._study, self._goals = context, study, goals
        self._canaries, self._trained = canaries, trained
        seed, count = int(study.settings["seed"]), int(study.settings["held_out"])
        self._seed = other_seed(seed)
        self._fresh = unseen(asked, study.suite, seed, count)
        if not self._fresh:
            raise TuneError(
                "No question is left that the search did not ask: nothing is confirmed."
            )
        self._wanted = wanted(goals)
        self._weights = {one.task.name: one.weight for one in self._fresh}
        self._engine: str | None = study.settings.get("engine")

    def of(
        self, points: Mapping[int, Point], default: Trial, known: Json,
        note: Callable[[dict[str, str]], object],
    ) -> Json:  # fmt: skip
        """The points beside the default: `seed`, `questions`, `runs` (trial → run), `default` and
        `points`, which are rows of figures, a verdict and words. `known` are the `runs` of a
        confirmation that was interrupted; `note` is told each run as soon as it is made."""
        runs: dict[str, str] = dict(known.get("runs") or {})
        plain = all(set(point) <= set(OPTIONS) for point in (default.point, *points.values()))
        first = default.number
        every = {first: default.point, **points}
        held: dict[int, Held] = {}
        twice = timed(self._goals)
        with self._bench() as bench, bench.held():  # nobody takes the model away before its run
            for group in bench.groups(every):
                self._context.progress(None, f"Asking the best {len(self._fresh)} new questions")
                bench.prepare(every[number] for number in group)
                for number in group if twice else ():
                    self._measured(bench, number, every[number])
            for number in chain(*bench.groups(every)):
                point = every[number]
                found = self._measured(bench, number, point, again=twice)
                held[number] = self._held(found)
                if plain:
                    words = "the default settings" if number == first else f"trial {number}"
                    run = self._run(point, words, runs.get(str(number), ""), bench.heard(point))
                    held[number] = self._seen(run, found)
                    runs[str(number)] = run.id
                    note(runs)
        rows = [self._row(number, held[number], held[first]) for number in points]
        told = {"trial": first, "run": held[first].run, **self._figures(held[first], held[first])}
        return {
            "seed": self._seed, "questions": len(self._fresh), "runs": runs, "default": told,
            "points": rows,
        }  # fmt: skip

    def _run(self, point: Point, words: str, before: str, given: Sequence[Answer]) -> Run:
        """A run of the Benchmarks room, of the given answers; or the one that was made before."""
        from workbench import bench

        study = self._study
        plan = bench.Plan(
            study.model, study.suite, limit=limit(self._fresh, self._seed), seed=self._seed,
            options=dict(point), judge=str(study.settings.get("judge") or ""),
            name=f"{study.name}: {words}, held out",
            only=tuple(f"{one.task.name}/{one.sample.id}" for one in self._fresh),
        )  # fmt: skip
        with suppress(BenchError):
            if before and (run := bench.get_run(before)).state == "done":
                return run
        return bench.measure(
            plan, engine=self._engine, context=Within(self._context, f"Confirming {words}"),
            canaries=self._canaries, given=given,
        )  # fmt: skip

    def _seen(self, run: Run, speed: Measured) -> Held:
        """What a run tells, with the speed that was measured."""
        from workbench import bench

        # a run that was made by an older version has others, too
        fresh = {f"{one.task.name}/{one.sample.id}" for one in self._fresh}
        answers = [one for one in bench.answers(run) if f"{one.task}/{one.sample}" in fresh]
        result = bench.result(run.id)
        told_by = [one.figures for one in answers if not one.error]
        seconds = [float(one["seconds"]) for one in told_by if one.get("seconds") is not None]
        told = {
            "latency": fmean(seconds) if seconds else None,
            "throughput": result.tokens_per_second,
            "memory": float(result.memory) if result.memory else None,
        }
        values = {(a.task, a.sample): 0.0 if a.error else a.value for a in answers}
        groups = {(a.task, a.sample): a.group for a in answers}
        return Held(run.id, values, groups, speed, told)

    def _bench(self) -> Bench:
        study = self._study
        return Bench(
            study.model, self._fresh, study.space, engine=self._engine, figures=self._wanted,
            stop=self._context.check_cancelled, judge=str(study.settings.get("judge") or ""),
            trained=self._trained, canaries=self._canaries, texts=True,
        )  # fmt: skip

    def _measured(
        self, bench: Bench, number: int, point: Point, *, again: bool = False
    ) -> Measured:
        words = f"Measuring trial {number} on {len(self._fresh)} new questions"
        self._context.progress(None, words)
        return bench.measure(point, len(self._fresh), again=again)

    def _held(self, found: Measured) -> Held:
        values = {(one.task, one.question): one.value for one in found.answers}
        groups = {(one.task, one.question): one.group for one in found.answers}
        return Held("", values, groups, found, {})

    def _figures(self, one: Held, other: Held) -> dict[str, float | None]:
        """The four figures; quality on the questions that both were scored on."""
        means = [
            (fmean(float(one.values[key] or 0.0) for key in same), self._weights[task])
            for task, same in self._both(one, other).items()
        ]
        whole = sum(weight for _, weight in means)
        quality = sum(mean * weight for mean, weight in means) / whole if whole else None
        measured = {name: it for name, it in figures_of(one.speed).items() if it is not None}
        told = {**one.told, **measured}
        return {"latency": None, "throughput": None, "memory": None, **told, "quality": quality}

    def _both(self, one: Held, other: Held) -> dict[str, list[Key]]:
        """Task → keys of the questions that both were scored on."""
        found: dict[str, list[Key]] = {}
        for key in sorted(one.values.keys() & other.values.keys()):
            if one.values[key] is not None and other.values[key] is not None:
                found.setdefault(key[0], []).append(key)
        return found

    def _difference(self, one: Held, other: Held) -> Difference:
        """In quality, paired."""
        return weighted_paired(
            [
                (
                    [float(one.values[key] or 0.0) for key in same],
                    [float(other.values[key] or 0.0) for key in same],
                    [one.groups[key] for key in same],
                    self._weights[task],
                )
                for task, same in self._both(one, other).items()
            ]
        )

    def _row(self, number: int, one: Held, default: Held) -> Json:
        quality = self._difference(one, default)
        seconds = ratio(one.speed, default.speed)
        mine, theirs = self._figures(one, default), self._figures(default, one)
        ends: dict[str, tuple[float, float]] = {}
        base = theirs["quality"]
        if base is not None and quality.value is not None:
            ends["quality"] = base + quality.low, base + quality.high
        if theirs["latency"] is not None and seconds is not None:
            value, low, high = (
                theirs["latency"] * math.exp(end or 0.0)
                for end in (seconds.value, seconds.low, seconds.high)
            )
            mine["latency"], ends["latency"] = value, (low, high)
        for name, share in _ONCE.items():
            if (once := mine[name]) is not None:
                ends[name] = once * (1 - share), once * (1 + share)
        aims = [_aim(goal, mine, ends, theirs) for goal in self._goals]
        verdict = _verdict([aim["verdict"] for aim in aims])
        guarded = not any("quality" in goal.needs for goal in self._goals)
        if guarded and quality.value is not None and quality.high < 0:
            verdict = "worse"
        row: dict[str, Any] = {"trial": number, "run": one.run, **mine}
        row |= {"verdict": verdict, "objectives": aims}
        row["difference"] = asdict(quality)
        return {**row, "words": _words(number, row, quality)}


def _aim(
    goal: Objective, mine: Mapping[str, float | None], ends: Mapping[str, tuple[float, float]],
    theirs: Mapping[str, float | None],
) -> Json:  # fmt: skip
    """One objective: its value, the ends of its interval, the default's, and the verdict.

    Whether a figure is to grow or to fall is the formula's own business, so the interval is that of
    the values at all corners of the figures' intervals (exact where the formula only rises or only
    falls with each of them).
    """
    unsure = sorted(goal.needs & ends.keys())
    corners = product(*(ends[name] for name in unsure))
    places = [mine, *({**mine, **dict(zip(unsure, corner, strict=True))} for corner in corners)]
    try:
        default = goal.value(theirs, theirs)
        value, *rest = (goal.value(place, theirs) for place in places)
    except TuneError as error:
        return {"name": goal.name, "value": None, "default": None, "verdict": "undecided",
                "words": str(error)}  # fmt: skip
    low, high = min(value, *rest), max(value, *rest)
    verdict = "undecided"
    if goal.better(low, default) and goal.better(high, default):
        verdict = "better"
    elif goal.better(default, low) and goal.better(default, high):
        verdict = "worse"
    return {"name": goal.name, "title": goal.title, "value": value, "low": low, "high": high,
            "default": default, "verdict": verdict}  # fmt: skip


def _verdict(parts: Sequence[str]) -> str:
    """Of several: "trade" where it is better in something and worse in something."""
    if "better" in parts:
        return "trade" if "worse" in parts else "better"
    return "worse" if "worse" in parts else "undecided"


def _words(number: int, row: Json, quality: Difference) -> str:
    told = {
        "better": "holds: it is better than the default settings",
        "worse": "does not hold: it is worse than the default settings",
        "trade": "is a trade: better than the default settings in something, worse in something",
        "undecided": "cannot be told apart from the default settings",
    }[str(row["verdict"])]
    points = "no question was scored twice"
    if quality.value is not None:
        ends = f"{quality.low * 100:+.1f} to {quality.high * 100:+.1f}"
        points = f"quality {quality.value * 100:+.1f} points (95 %: {ends})"
    parts = [f"{aim['title']}: {aim['verdict']}" for aim in row["objectives"] if "title" in aim]
    aims = f"; {', '.join(parts)}" if len(parts) > 1 else ""
    return f"Trial {number} {told} on {quality.n} questions that it never saw: {points}{aims}."

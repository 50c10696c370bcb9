"""The leaderboard of a suite, its Pareto line, and how one model did over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.bench import _keep as keep
from workbench.bench._compare import labels_of
from workbench.bench._records import Run, RunResult
from workbench.bench._results import result


@dataclass(frozen=True, slots=True)
class Row:
    """One run's place. `first` and `last` are the ranks that its interval allows."""

    rank: int
    first: int
    last: int
    label: str
    result: RunResult


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The newest run of each model and setting on a suite, the best first."""

    suite: str
    seed: int
    rows: tuple[Row, ...]

    @property
    def tasks(self) -> tuple[tuple[str, str], ...]:
        """(name, title) of every task that one of them was asked."""
        return tuple({t.task: t.title for row in self.rows for t in row.result.tasks}.items())


def leaderboard(suite: str, *, seed: int | None = None, filter: str = "") -> Leaderboard:
    """The suite's runs that are done, of the newest seed unless told.

    `filter` keeps labels which contain it. A run's rank may be anything from one more than the
    runs whose intervals lie above its own to as many as do not lie below it: intervals that
    overlap leave the order open, also where a paired comparison may close it.
    """
    found = [run for run in keep.runs(suite=suite) if run.state == "done"]
    if seed is None:
        seed = found[0].seed if found else 0
    newest: dict[tuple[str, str], Run] = {}
    for run in found:
        if run.seed == seed and filter.lower() in run.label.lower():
            newest.setdefault((run.digest, run.setting), run)
    results = [one for run in newest.values() if (one := result(run)).score is not None]
    results.sort(key=lambda one: -(one.score.value or 0.0) if one.score else 0.0)
    labels = labels_of([one.run.id for one in results], results)
    rows = [
        Row(place, *_ranks(one, results), labels[one.run.id], one)
        for place, one in enumerate(results, 1)
    ]
    return Leaderboard(suite, seed, tuple(rows))


def _ranks(one: RunResult, others: Sequence[RunResult]) -> tuple[int, int]:
    mine = one.score
    assert mine is not None
    intervals = [other.score for other in others if other is not one and other.score is not None]
    above = sum(other.low > mine.high for other in intervals)
    below = sum(other.high < mine.low for other in intervals)
    return above + 1, len(others) - below


def pareto(results: Sequence[RunResult], cost: str = "memory") -> list[RunResult]:
    """The runs that no other beats in score and in cost at once, the cheapest first.

    `cost` is "memory" (bytes), "seconds_per_answer", "first_token" (less is better) or
    "tokens_per_second" (more is better).
    """
    sign = -1.0 if cost == "tokens_per_second" else 1.0
    known = [
        (sign * float(value), one.score.value, one)
        for one in results
        if (value := getattr(one, cost)) is not None and one.score and one.score.value is not None
    ]
    known.sort(key=lambda entry: (entry[0], -entry[1]))
    best, line = float("-inf"), []
    for _, score, one in known:
        if score > best:
            best = score
            line.append(one)
    return line


def history(model: str, suite: str | None = None) -> list[RunResult]:
    """How a model did, the oldest first, over all its versions (digests)."""
    found = [run for run in keep.runs(model=model, suite=suite) if run.state == "done"]
    return [result(run) for run in reversed(found)]

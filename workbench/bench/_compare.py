"""Which run is better, and how sure that is: paired, sample by sample, corrected for many looks.

Only samples that both answered, of tasks that were asked in the same words and the same way, are
compared; what is left out is counted and said. "Undecided" is a verdict: it says how many samples
would tell a difference of the size that was seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from workbench.bench import _keep as keep
from workbench.bench._records import Answer, RunResult
from workbench.bench._results import result
from workbench.errors import BenchError
from workbench.statistics import Difference, decide, paired, weighted_paired

MOST = 24  # runs side by side


@dataclass(frozen=True, slots=True)
class Pair:
    """How run a does against run b."""

    a: str  # ids of runs
    b: str
    overall: Difference | None  # None: they share no sample
    tasks: Mapping[str, Difference]  # by task
    words: str


@dataclass(frozen=True, slots=True)
class BenchComparison:
    """Runs side by side."""

    results: tuple[RunResult, ...]
    pairs: tuple[Pair, ...]  # every run against every later one
    left_out: tuple[str, ...]  # what could not be compared, and why

    def pair(self, a: str, b: str) -> Pair | None:
        """The pair in this order or None; `a` against `b` may be stored as `b` against `a`."""
        return next((p for p in self.pairs if (p.a, p.b) == (a, b)), None)


@dataclass(frozen=True, slots=True)
class Flip:
    """A sample on which two runs differ."""

    task: str
    sample: str
    a: Answer
    b: Answer

    @property
    def gain(self) -> float:
        """Value of a less that of b."""
        return (self.a.value or 0.0) - (self.b.value or 0.0)


def compare(ids: Sequence[str]) -> BenchComparison:
    """Put runs side by side. Raises BenchError for fewer than two, or of different suites."""
    results = [result(id) for id in dict.fromkeys(ids)]
    if not 2 <= len(results) <= MOST:
        raise BenchError(f"Compare between 2 and {MOST} runs, not {len(results)}.")
    suites = {one.run.suite for one in results}
    if len(suites) > 1:
        raise BenchError(
            f"These runs are of different suites ({', '.join(sorted(suites))}), whose questions "
            "differ. Compare runs of one suite."
        )
    answers = {one.run.id: _by_sample(one) for one in results}
    left_out: list[str] = []
    parts = {
        (a.run.id, b.run.id): _shared(a, b, answers, left_out) for a, b in combinations(results, 2)
    }
    overall = {
        key: weighted_paired([(*found[name], weight) for name, weight in _weights(results, found)])
        for key, found in parts.items()
        if found
    }
    decided = dict(zip(overall, decide(list(overall.values())), strict=True))
    single = {
        (*key, name): paired(*values)
        for key, found in parts.items()
        for name, values in found.items()
    }
    told = dict(zip(single, decide(list(single.values())), strict=True))
    titles = {task.task: task.title for one in results for task in one.tasks}
    pairs = []
    for (a, b), found in parts.items():
        tasks = {name: told[a, b, name] for name in found}
        whole = decided.get((a, b))
        words = _words(a, b, whole, results) + _by_task(a, b, tasks, titles, results)
        pairs.append(Pair(a, b, whole, tasks, words))
    return BenchComparison(tuple(results), tuple(pairs), tuple(dict.fromkeys(left_out)))


def flips(a: str, b: str, task: str | None = None) -> list[Flip]:
    """The samples on which two runs differ, the largest differences first."""
    first, second = result(a), result(b)
    answers = {one.run.id: _by_sample(one) for one in (first, second)}
    asked = {one.task: one for one in second.tasks}
    found = []
    for mine in first.tasks:
        other = asked.get(mine.task)
        if other is None or _unlike(mine, other) or task not in {None, mine.task}:
            continue
        ours, theirs = answers[first.run.id][mine.task], answers[second.run.id][mine.task]
        for sample in ours.keys() & theirs.keys():
            one = Flip(mine.task, sample, ours[sample], theirs[sample])
            if abs(one.gain) > 1e-9:
                found.append(one)
    return sorted(found, key=lambda flip: (-abs(flip.gain), flip.task, flip.a.position))


def _by_sample(one: RunResult) -> dict[str, dict[str, Answer]]:
    """Task → sample → answer, of those with a value."""
    found: dict[str, dict[str, Answer]] = {task.task: {} for task in one.tasks}
    for answer in keep.answers(one.run):
        if answer.value is not None:
            found[answer.task][answer.sample] = answer
    return found


def _unlike(mine: Any, other: Any) -> str:
    """Why two results of one task do not compare; empty where they do."""
    if mine.refused or other.refused:
        return str(mine.refused or other.refused)
    if mine.how != other.how:
        return f"it was scored in two ways ({mine.how} and {other.how})"
    if mine.fingerprint != other.fingerprint:
        return "its questions differ (another seed, number of samples or version of the task)"
    return ""


def _shared(
    a: RunResult,
    b: RunResult,
    answers: Mapping[str, Mapping[str, Mapping[str, Answer]]],
    left_out: list[str],
) -> dict[str, tuple[list[float], list[float], list[str]]]:
    """Task → values of both and groups, of the samples that both have."""
    found: dict[str, tuple[list[float], list[float], list[str]]] = {}
    asked = {task.task: task for task in b.tasks}
    for mine in a.tasks:
        other = asked.get(mine.task)
        why = "only one of them was asked it" if other is None else _unlike(mine, other)
        if why:
            left_out.append(f"{mine.title} ({a.run.label} and {b.run.label}): {why}")
            continue
        ours, theirs = answers[a.run.id][mine.task], answers[b.run.id][mine.task]
        both = sorted(ours.keys() & theirs.keys(), key=lambda s: (ours[s].position, s))
        lost = len(ours.keys() | theirs.keys()) - len(both)
        if lost:
            left_out.append(
                f"{mine.title}: {lost} samples that {a.run.label} or {b.run.label} has no score of"
            )
        if both:
            values = ([float(side[s].value or 0) for s in both] for side in (ours, theirs))
            found[mine.task] = (*values, [ours[s].group for s in both])  # type: ignore[assignment]
    return found


def _weights(results: Sequence[RunResult], found: Mapping[str, Any]) -> list[tuple[str, float]]:
    weights = {task.task: task.weight for one in results for task in one.tasks}
    return [(name, weights[name]) for name in found]


def _words(a: str, b: str, difference: Difference | None, results: Sequence[RunResult]) -> str:
    """The verdict as a sentence."""
    labels = labels_of([one.run.id for one in results], results)
    mine, other = labels[a], labels[b]
    if difference is None or difference.value is None:
        return f"{mine} and {other} share no question that both were scored on."
    if difference.verdict == "undecided":
        more = ""
        if difference.samples_needed and difference.samples_needed > difference.n:
            more = f" About {_round(difference.samples_needed):,} samples would tell"
            more += f" a difference of this size apart; {difference.n} were asked."
        return (
            f"{mine} and {other} cannot be told apart: the difference is {_points(difference)}, "
            f"p = {difference.p_adjusted:.2f}).{more}"
        )
    if difference.verdict == "worse":
        mine, other, difference = other, mine, swapped(difference)
    p = f"p = {difference.p_adjusted:.3f}" if difference.p_adjusted >= 0.001 else "p < 0.001"
    return f"{mine} is better than {other} by {_points(difference)}, {p})."


def _by_task(
    a: str,
    b: str,
    tasks: Mapping[str, Difference],
    titles: Mapping[str, str],
    results: Sequence[RunResult],
) -> str:
    """The tasks on which one of them is better for certain, where there are several tasks."""
    if len(tasks) < 2:
        return ""
    labels, said = labels_of([one.run.id for one in results], results), []
    for id, verdict in ((a, "better"), (b, "worse")):
        better = [
            f"{titles[name]} ({abs(one.value or 0) * 100:.1f} points)"
            for name, one in tasks.items()
            if one.verdict == verdict
        ]
        said += [f" {labels[id]} is better at {', '.join(better)}."] if better else []
    return "".join(said)


def _points(difference: Difference) -> str:
    """`5.3 points (95 %: +1.8 to +8.8`, with as many digits as a small difference needs."""
    value = difference.value or 0.0
    digits = 1
    if 0 < abs(value) < 0.001:
        digits = min(6, 1 - math.floor(math.log10(abs(value) * 100)))
    low, high = (f"{edge * 100:+.{digits}f}" for edge in (difference.low, difference.high))
    return f"{abs(value) * 100:.{digits}f} points (95 %: {low} to {high}"


def labels_of(ids: Sequence[str], results: Sequence[RunResult]) -> dict[str, str]:
    """A name for each run, with its id's beginning where model and setting do not tell apart."""
    names = {one.run.id: one.run.label for one in results}
    often = [name for name in names.values() if list(names.values()).count(name) > 1]
    return {
        id: f"{names[id]} [{id[:4]}]" if names[id] in often else names[id]
        for id in ids if id in names
    }  # fmt: skip


def _round(count: int) -> int:
    """Two digits are all that such a number has."""
    digits = max(0, len(str(count)) - 2)
    return int(round(count, -digits))


def swapped(difference: Difference) -> Difference:
    """b against a."""
    value = None if difference.value is None else -difference.value
    return replace(
        difference, value=value, low=-difference.high, high=-difference.low,
        wins=difference.losses, losses=difference.wins,
        verdict="worse" if difference.verdict == "better"
        else "better" if difference.verdict == "worse" else "undecided",
    )  # fmt: skip

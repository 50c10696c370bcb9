"""Which trials are not worth more questions, and what their figures are.

A trial is measured on growing parts of the same questions. After each part its figures are taken
as well as they can still be: quality at the upper end of the paired difference from a rival (equal,
where both give the same answers), latency at the lower end of the paired ratio of seconds. Where a
trial of the front is better even than that, the rest is not asked. There are many looks, so the
ends are half as far again as those of a 95 % interval (p about 0.003).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, exp
from typing import TYPE_CHECKING

from workbench.errors import TuneError
from workbench.search import Objective, Strategy, dominates
from workbench.trial import difference, ratio, same_answers

if TYPE_CHECKING:
    from workbench.trial import Measured

Figures = dict[str, float | None]
_FEWEST = 6  # questions of a first part: fewer cannot tell anything for sure
_PARTS = (0.25, 0.5, 1.0)
_WIDER = 1.5
_DRIFT = 1.1  # times as long as before, the same may take at another moment


def parts(count: int, strategy: Strategy) -> list[int]:
    """After how many of the questions to look."""
    shares = [strategy.eta**-rung for rung in (2, 1, 0)] if strategy.eta else _PARTS
    wanted = [ceil(count * share) for share in shares]
    return [n for n in dict.fromkeys(wanted) if n >= _FEWEST or n == count]


def figures_of(measured: Measured) -> Figures:
    """The four figures by name."""
    return {
        "quality": measured.quality.value if measured.quality else None,
        "latency": measured.latency.value if measured.latency else None,
        "throughput": measured.throughput,
        "memory": float(measured.memory) if measured.memory else None,
    }


def values_of(
    goals: Sequence[Objective], figures: Mapping[str, float | None], default: Figures
) -> tuple[float, ...]:
    """The objectives' values. Raises TuneError where one has none."""
    return tuple(goal.value(figures, default) for goal in goals)


def wanted(goals: Sequence[Objective]) -> frozenset[str]:
    """The figures that have to be measured. Quality always: no setting may win by bad answers."""
    return frozenset({"quality"}).union(*(goal.needs for goal in goals))


def timed(goals: Sequence[Objective]) -> bool:
    """Whether speed or memory have to be measured."""
    return bool(wanted(goals) - {"quality"})


def hopeless(
    goals: Sequence[Objective], mine: Measured, default: Measured,
    rivals: Mapping[int, Measured],
) -> str:  # fmt: skip
    """Why this trial cannot win any more; empty while it can. `rivals` are the front's trials."""
    told = figures_of(default)
    for number, rival in rivals.items():
        figures = figures_of(mine)
        figures["quality"] = _quality(mine, rival)
        figures["latency"] = _latency(mine, rival)
        try:
            best = values_of(goals, figures, told)
            theirs = values_of(goals, figures_of(rival), told)
        except TuneError:
            continue  # something was not measured yet
        if dominates(theirs, best, goals):
            return f"It cannot get better than trial {number} any more."
    return worse_than_default(goals, mine, default)


def worse_than_default(goals: Sequence[Objective], mine: Measured, default: Measured) -> str:
    """Where quality is no objective: why the quality is surely below the default's."""
    if any("quality" in goal.needs for goal in goals):
        return ""
    most, theirs = _quality(mine, default), figures_of(default)["quality"]
    if most is None or theirs is None or most >= theirs:
        return ""
    return "Its quality is surely below that of the default settings."


def _quality(mine: Measured, rival: Measured) -> float | None:
    """The most that quality can be, by the paired difference from a rival."""
    theirs, found = figures_of(rival)["quality"], difference(mine, rival)
    if same_answers(mine.point, rival.point):
        return theirs
    if theirs is None or found is None or found.value is None:
        return None
    return min(1.0, theirs + found.value + _WIDER * (found.high - found.value))


def _latency(mine: Measured, rival: Measured) -> float | None:
    """The least that latency can be, by the paired ratio to a rival's, which was measured at
    another moment."""
    theirs, found = figures_of(rival)["latency"], ratio(mine, rival)
    if theirs is None or found is None or found.value is None:
        return None
    return theirs * exp(found.value - _WIDER * (found.value - found.low)) / _DRIFT

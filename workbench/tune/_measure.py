"""One trial: measured part by part, and ended early where it cannot win."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from workbench.errors import TrialFailed, TuneError
from workbench.search import TWICE, Objective, front_of
from workbench.tune._race import (
    figures_of,
    hopeless,
    parts,
    values_of,
    worse_than_default,
)

if TYPE_CHECKING:
    from workbench.search import Asked, Search
    from workbench.space import Point
    from workbench.trial import Bench, Measured

_RIVALS = 5  # of the front, that a trial is compared with while it goes on


@dataclass(frozen=True, slots=True)
class Ended:
    """How a trial ended: "done", "pruned", or "twice" for one that was measured once more."""

    state: str
    values: tuple[float, ...]
    measured: Measured
    why: str = ""


@dataclass(slots=True)
class Judge:
    """Measures points for one study, and knows what was measured in full before."""

    bench: Bench
    goals: Sequence[Objective]
    default: Measured | None = None
    whole: dict[int, Measured] = field(default_factory=dict)  # by the trial's number
    values: dict[int, tuple[float, ...]] = field(default_factory=dict)
    twice: set[int] = field(default_factory=set)  # numbers of those that were measured again

    def keep(self, number: int, ended: Ended) -> None:
        """Later trials are compared with this one."""
        if ended.state in ("done", TWICE):
            self.whole[number], self.values[number] = ended.measured, ended.values
        if ended.state == TWICE:
            self.twice.add(number)

    def front(self) -> list[int]:
        """Numbers of the best trials so far."""
        numbers = sorted(self.values)
        places = front_of([self.values[number] for number in numbers], self.goals)
        return [numbers[place] for place in places]

    def measured(self, asked: Asked, steps: Search) -> Ended:
        """Measure a point. Raises TrialFailed where the engine cannot work under it."""
        looks, requests = parts(len(self.bench.questions), steps.strategy), 0
        for rung, count in enumerate(looks[:-1] if self.default is not None else ()):
            found = self._measure(asked.point, count, requests)
            requests = found.asked
            values = self._values(found)
            on = steps.goes_on(asked, rung, count, values[0])
            why = "" if on else "Others did better on the same questions."
            why = hopeless(self.goals, found, self._default, self._rivals()) or why
            if why:
                return Ended("pruned", values, found, why)
        found = self._measure(asked.point, looks[-1], requests)
        if self.default is None:
            self.default = found
            return Ended("done", self._values(found), found)
        why = worse_than_default(self.goals, found, self.default)
        return Ended("pruned" if why else "done", self._values(found), found, why)

    def again(self, point: Point) -> Ended:
        """Measure a point once more. Raises TrialFailed."""
        found = self._measure(point, len(self.bench.questions), again=True)
        return Ended(TWICE, self._values(found), found)

    @property
    def _default(self) -> Measured:
        assert self.default is not None, "the default settings are measured first"
        return self.default

    def _rivals(self) -> Mapping[int, Measured]:
        return {number: self.whole[number] for number in self.front()[:_RIVALS]}

    def _values(self, found: Measured) -> tuple[float, ...]:
        try:
            return values_of(self.goals, figures_of(found), figures_of(self._default))
        except TuneError as error:
            raise TrialFailed(str(error)) from error

    def _measure(self, point: Point, count: int, before: int = 0, **more: Any) -> Measured:
        """On so many questions; `before` are the trial's requests until now."""
        try:
            found = self.bench.measure(point, count, **more)
            return replace(found, asked=before + found.asked)
        except TrialFailed:
            raise
        except TuneError as error:  # settings that no question can be asked under
            raise TrialFailed(str(error)) from error

"""What trials cost: whether they need another load, and whether their answers are known."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import TYPE_CHECKING, Any

from workbench.protocol import OPTIONS
from workbench.space import RELOADS

if TYPE_CHECKING:
    from workbench.search._points import Asked
    from workbench.space import Point, Space

Kind = tuple[bool, bool]  # whether it needs a load, and whether it needs answers
_PAYS = 1.1  # what a load costs at least, where planning for it is worth what it delays to learn
_GUESS = 2.0  # what a load, or answers, multiply the cost by, until such trials were seen


class Cost:
    """Learns from trials. A load costs more than its seconds: what the engine had read of the
    prompts is lost with it, and each is read from its beginning again. Answers are known where a
    point that differs in the order of sums alone was tried."""

    def __init__(self, space: Space) -> None:
        self._loading = [one.name for one in space.parameters if one.part in RELOADS]
        self._answering = [
            name for name in space.names if name not in OPTIONS or not OPTIONS[name].order_only
        ]
        self._there: tuple[Any, ...] | None = None  # the last trial's load
        self._known: set[tuple[Any, ...]] = set()  # settings that were answered under
        self._seconds: dict[Kind, list[float]] = {}

    def note(self, point: Point, seconds: float, asked: int) -> None:
        """A trial took so long, and so many questions were asked in it: without any, it needed no
        model."""
        if asked:
            self._seconds.setdefault(self._kind(point), []).append(seconds)
            self._there = self._load(point)
        self._known.add(self._answers(point))

    @property
    def of_load(self) -> float:
        """How many times as long a trial takes that needs a load."""
        if not self._loading:
            return 1.0
        seen = self._ratios()
        return max(1.0, median(seen)) if seen else _GUESS

    @property
    def pays(self) -> bool:
        """Whether points of one load are better tried together, as was seen."""
        return bool(self._ratios()) and self.of_load > _PAYS

    def of(self, point: Point) -> float:
        """Seconds of a trial of this point, next; in some other unit before any was seen."""
        kind = self._kind(point)
        if kind in self._seconds:
            return median(self._seconds[kind])
        bases = [median(some) / _GUESS ** sum(one) for one, some in self._seconds.items()]
        return (median(bases) if bases else 1.0) * _GUESS ** sum(kind)

    def in_order(self, batch: Iterable[Asked]) -> list[Asked]:
        """Those of one load together, those of the load that is there first."""
        groups: dict[tuple[Any, ...] | None, list[Asked]] = {self._there: []}
        for asked in batch:
            groups.setdefault(self._load(asked.point), []).append(asked)
        return [asked for group in groups.values() for asked in group]

    def _ratios(self) -> list[float]:
        """Of trials that need a load to those that do not."""
        told = self._seconds
        return [
            median(told[True, needs]) / median(told[False, needs])
            for needs in (False, True) if (True, needs) in told and (False, needs) in told
        ]  # fmt: skip

    def _kind(self, point: Point) -> Kind:
        return self._load(point) != self._there, self._answers(point) not in self._known

    def _load(self, point: Point) -> tuple[Any, ...]:
        return tuple(point.get(name) for name in self._loading)

    def _answers(self, point: Point) -> tuple[Any, ...]:
        return tuple(point.get(name) for name in self._answering)

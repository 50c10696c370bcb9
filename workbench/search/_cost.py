"""What trials cost: those that need another load, beside those that do not."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import TYPE_CHECKING, Any

from workbench.space import RELOADS

if TYPE_CHECKING:
    from workbench.search._points import Asked
    from workbench.space import Point, Space

_PAYS = 1.1  # what a load costs at least, where planning for it is worth what it delays to learn
_GUESS = 2.0  # what a load multiplies the cost by, until both kinds of trials were seen


class Cost:
    """Learns from trials. A load costs more than its seconds: what the engine had read of the
    prompts is lost with it, and each is read from its beginning again."""

    def __init__(self, space: Space) -> None:
        self._names = [one.name for one in space.parameters if one.part in RELOADS]
        self._there: tuple[Any, ...] | None = None  # the last trial's load
        self._stayed: list[float] = []  # seconds per question that was asked
        self._loaded: list[float] = []

    def note(self, point: Point, seconds: float, asked: int) -> None:
        """A trial took so long, and so many questions were asked in it: without any, it needed no
        model."""
        if asked:
            kind = self._stayed if self._load(point) == self._there else self._loaded
            kind.append(seconds / asked)
            self._there = self._load(point)

    @property
    def of_load(self) -> float:
        """Of a trial that needs a load, where one that needs none costs 1."""
        if not self._names:
            return 1.0
        if not (self._stayed and self._loaded):
            return _GUESS
        return max(1.0, median(self._loaded) / median(self._stayed))

    @property
    def pays(self) -> bool:
        """Whether points of one load are better tried together, as was seen."""
        return bool(self._stayed and self._loaded) and self.of_load > _PAYS

    def of(self, point: Point) -> float:
        """Of a trial of this point, next."""
        return 1.0 if self._load(point) == self._there else self.of_load

    def in_order(self, batch: Iterable[Asked]) -> list[Asked]:
        """Those of one load together, those of the load that is there first."""
        groups: dict[tuple[Any, ...] | None, list[Asked]] = {self._there: []}
        for asked in batch:
            groups.setdefault(self._load(asked.point), []).append(asked)
        return [asked for group in groups.values() for asked in group]

    def _load(self, point: Point) -> tuple[Any, ...]:
        return tuple(point.get(name) for name in self._names)

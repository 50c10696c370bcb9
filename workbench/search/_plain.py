"""A search over a plain function: for tables that were recorded, and for functions of your own.

    found = search(space, "bayesian_optimization", ["maximize_quality"], evaluate, 40, seed=1)

`evaluate(point, share)` answers with figures (`quality`, `latency` …) after this share of the
questions; only strategies with successive halving ask for less than all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import TuneError
from workbench.search._ask import Search
from workbench.search._objectives import front_of, objectives
from workbench.search._points import Asked
from workbench.search._record import Record
from workbench.search._strategies import strategy

if TYPE_CHECKING:
    from workbench.space import Point, Space

Figures = Mapping[str, float | None]
_RUNGS = 3


@dataclass(frozen=True, slots=True)
class Tried:
    """A point, the objectives' values after this share of the questions, and how it ended."""

    point: Point
    state: str
    values: tuple[float, ...] | None
    share: float


@dataclass(frozen=True, slots=True)
class Found:
    """What a search tried, in this order; `front` are the places of the best ones."""

    trials: tuple[Tried, ...]
    front: tuple[int, ...]

    @property
    def best(self) -> Tried | None:
        """The best by the first objective."""
        return self.trials[self.front[0]] if self.front else None

    @property
    def cost(self) -> float:
        """How many full evaluations it took."""
        return sum(one.share for one in self.trials)


def search(
    space: Space,
    by: str,
    wanted: str | Sequence[str] | Mapping[str, float],
    evaluate: Callable[[Point, float], Figures],
    iterations: int,
    *,
    seed: int = 0,
    storage: str = "",
) -> Found:
    """Try `iterations` points, the default first. With `storage` the trials are kept in the store
    under that name, and a search of that name goes on. Raises TuneError."""
    goals = objectives(wanted)
    chosen = strategy(by, len(goals))
    directions, names = [goal.direction for goal in goals], [goal.name for goal in goals]
    record = Record(storage, directions, names) if storage else None
    steps = Search(
        space, chosen, goals, seed=seed, record=record,
        iterations=iterations + (len(record.trials()) if record else 0),
        first=[(space.default(), "default")],
    )  # fmt: skip
    default = evaluate(space.default(), 1.0)
    trials: list[Tried] = []
    while len(trials) < iterations and (asked := steps.ask()) is not None:
        steps.begin(asked)
        tried = _tried(steps, asked, evaluate, default)
        steps.tell(asked, tried.state, tried.values)
        trials.append(tried)
    whole = [place for place, one in enumerate(trials) if one.state == "done"]
    front = front_of([trials[place].values or () for place in whole], goals)
    return Found(tuple(trials), tuple(whole[place] for place in front))


def _tried(
    steps: Search, asked: Asked, evaluate: Callable[[Point, float], Figures], default: Figures
) -> Tried:
    eta = steps.strategy.eta
    shares = [eta**-rung for rung in range(_RUNGS - 1, -1, -1)] if eta else [1.0]
    values, share = None, 0.0
    try:
        for rung, share in enumerate(shares):
            figures = evaluate(asked.point, share)
            values = tuple(goal.value(figures, default) for goal in steps.goals)
            step = round(share * 1000)
            if share < 1 and not steps.goes_on(asked, rung, step, values[0]):
                return Tried(asked.point, "pruned", values, share)
    except TuneError:
        return Tried(asked.point, "failed", None, share)
    return Tried(asked.point, "done", values, 1.0)

"""A Gaussian process over the points of a space: which untried one promises most.

Settings become numbers from 0 to 1: a range by the place in it, a choice of numbers by rank, other
choices by one coordinate each. The value of a point is a smooth function of them (Matérn 5/2, a
length for each coordinate) and noise; what is most probable is fitted, within lengths that few
points can tell. The point with the largest expected improvement is next (Jones, Schonlau & Welch
1998). Points that are still being tried count as if they came out as expected (Ginsbourger, Le
Riche & Carraro 2010). Several objectives become one by weights that are drawn anew every few
choices (ParEGO: Knowles 2006), their ranks standing for their values. Where points cost
differently, the expected improvement for the cost counts (Snoek, Larochelle & Adams 2012).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.search._gaussian import Fit, fitted
from workbench.search._points import Known, Values
from workbench.search._scripted import drawn
from workbench.space import key_of

if TYPE_CHECKING:
    import numpy as np

    from workbench.search._objectives import Objective
    from workbench.space import Parameter, Point, Space

    Vector = np.ndarray[Any, np.dtype[np.float64]]

_TOLD = 8  # points whose values are known before anything can be learnt
_MOST = 5_000  # points that are looked at one by one; of larger spaces some are drawn
_DRAWS = 128
_LEARNT = 240  # points that are learnt from: the time grows with their third power
_ANEW = 0.1  # part of new points after which lengths and noise are fitted anew
_LENGTHS = (0.3, 3.0)  # shorter ones learn nothing from few points, longer ones are flat
_NOISE = (0.01, 0.5)  # part of the variance that chance may have
_START = (0.7, 0.05)  # a length and the noise that are tried first
_SAME = 3  # choices by the same weights: near points share a load more often
_AUGMENT = 0.05  # of the sum of all objectives, beside the worst (Knowles 2006)
_TAIL = 3.0  # how far below the median counts, in distances from the median to the best


class Process:
    """Chooses points of one space for some objectives."""

    def __init__(self, space: Space, goals: Sequence[Objective], seed: int) -> None:
        import numpy as np

        self._space, self._goals = space, goals
        self._numbers, self._random = np.random.default_rng(seed), random.Random(seed)  # noqa: S311
        size = space.size()
        self._size = size if size is not None and size <= _MOST else None
        self._all: dict[str, tuple[Point, list[float]]] = {}
        self._found: Fit | None = None  # as it was fitted last, to so many points
        self._learnt = 0
        self._weights: Any = None  # of the objectives
        self._asked = 0
        self._coordinates = [_coordinates(one) for one in space.parameters]

    def next(
        self, known: Mapping[str, Known], best: Sequence[Point], worst: Values | None,
        cost: Callable[[Point], float] = lambda point: 1.0,
    ) -> Point | None:  # fmt: skip
        """The untried point of which most is to be expected for its `cost`; None where too little
        is known, or all is. `best` are the front's points; those that failed are worth `worst`."""
        told = [(one.point, one.values) for one in known.values() if one.values]
        told += [(one.point, worst) for one in known.values() if one.failed and worst]
        candidates = self._untried(known, best) if len(told) >= _TOLD else []
        if not candidates:
            return None
        tried = [one.point for one in known.values() if not (one.values or one.failed)]
        promise = self._promise(told, tried, [place for _, place in candidates])
        promise /= [cost(point) for point, _ in candidates]
        return candidates[int(promise.argmax())][0]

    def _untried(
        self, known: Mapping[str, Known], best: Sequence[Point]
    ) -> list[tuple[Point, list[float]]]:
        """Points and their places: all, where they can be counted, else some, half of them beside
        the best."""
        if self._size is not None:
            if not self._all:
                points = self._space.grid(self._size + 1)
                self._all = {key_of(point): (point, self._place(point)) for point in points}
            return [one for key, one in self._all.items() if key not in known]
        found: dict[str, Point] = {}
        for draw in range(_DRAWS):
            near = self._random.choice(best) if best and draw % 2 else None
            point = drawn(self._space, self._random, near, 1 + draw // (_DRAWS // 2))
            found[key_of(point)] = point
        return [(point, self._place(point)) for key, point in found.items() if key not in known]

    def _place(self, point: Point) -> list[float]:
        return [number for of in self._coordinates for number in of(point)]

    def _promise(
        self, told: Sequence[tuple[Point, Values]], tried: Sequence[Point],
        candidates: Sequence[Sequence[float]],
    ) -> Vector:  # fmt: skip
        """The expected improvement at each of the candidates' places. `tried` are under way."""
        import numpy as np

        y = self._worth(np.array([values for _, values in told], dtype=float))
        if len(told) > _LEARNT:  # the better half of them, and others by chance
            order = np.argsort(-y)
            rest = self._numbers.permutation(order[_LEARNT // 2 :])[: _LEARNT // 2]
            kept = [*order[: _LEARNT // 2], *rest]
            told, y = [told[place] for place in kept], y[kept]
        x = np.array([self._place(point) for point, _ in told])
        if self._found is None:
            start = np.log([*[_START[0]] * x.shape[1], _START[1]])
        else:
            start = self._found.theta
        if len(told) > (1 + _ANEW) * self._learnt:
            self._found, self._learnt = fitted(x, y, start, _LENGTHS, _NOISE), len(told)
        found = Fit(x, y, self._found.theta if self._found is not None else start)
        if tried:
            more = np.array([self._place(point) for point in tried])
            y = np.concatenate([y, found.predict(more)[0]])
            found = Fit(np.concatenate([x, more]), y, found.theta)
        return _improvement(*found.predict(np.array(candidates)), float(y.max()))

    def _worth(self, values: Vector) -> Vector:
        """One number for each point, more is better."""
        import numpy as np

        signs = np.array([1.0 if goal.direction == "maximize" else -1.0 for goal in self._goals])
        better = values * signs
        if len(self._goals) == 1:
            worth: Vector = better[:, 0]
            # how bad the worst is says nothing of where the best lies
            middle, best = float(np.median(worth)), float(worth.max())
            least = middle - _TAIL * (best - middle)
            return worth if best == middle else np.asarray(np.maximum(worth, least))
        away = 1 - _ranks(better) / max(1, len(better) - 1)
        if self._asked % _SAME == 0:
            self._weights = self._numbers.dirichlet(np.ones(len(self._goals)))
        self._asked += 1
        weighed = away * self._weights
        worth = -(weighed.max(axis=1) + _AUGMENT * weighed.sum(axis=1))
        return np.asarray(worth, dtype=float)


def _improvement(mean: Vector, deviation: Vector, best: float) -> Vector:
    """Expected improvement over the best."""
    import numpy as np
    from scipy.special import ndtr

    step = (mean - best) / deviation
    density = np.exp(-(step**2) / 2) / math.sqrt(2 * math.pi)
    found: Vector = (mean - best) * ndtr(step) + deviation * density
    return found


def _ranks(values: Vector) -> Vector:
    """How many others each is above, column by column; those that are alike count half."""
    lower = (values[:, None] > values[None]).sum(axis=1)
    alike = (values[:, None] == values[None]).sum(axis=1) - 1
    found: Vector = lower + alike / 2
    return found


def _coordinates(one: Parameter) -> Callable[[Point], list[float]]:
    """From a point to this parameter's numbers. Where it does not apply, or the engine decides, it
    stands in the middle; whether it applies is a number of its own."""
    values = _scale(one)

    def numbers(point: Point) -> list[float]:
        applies = [float(one.name in point)] if one.when else []
        return [*values(point.get(one.name)), *applies]

    return numbers


def _scale(one: Parameter) -> Callable[[Any], list[float]]:
    numeric = all(isinstance(c, int | float) and not isinstance(c, bool) for c in one.choices)
    if one.kind == "choice" and not numeric:
        known = one.choices if len(one.choices) > 2 else one.choices[:1]
        return lambda value: [0.5 if value is None else float(value == c) for c in known]
    if one.kind == "choice":
        ordered = sorted(one.choices)
        ranks = [place / max(1, len(ordered) - 1) for place in range(len(ordered))]
    else:
        assert one.low is not None and one.high is not None
        by = math.log if one.log else float
        ordered, ranks = [by(one.low), by(one.high)], [0.0, 1.0]

    def placed(value: Any) -> list[float]:
        import numpy as np

        if value is None:
            return [0.5]
        at = (
            math.log(max(float(value), 1e-12)) if one.log and one.kind != "choice" else float(value)
        )
        return [float(np.interp(at, ordered, ranks))]

    return placed

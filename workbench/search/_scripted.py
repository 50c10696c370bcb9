"""Points that no sampler chose, walked through a space as Optuna's trials walk."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from workbench.space import Point, Space


class Scripted:
    """As an Optuna trial, with values from `choose(name, distribution)`."""

    def __init__(self, choose: Callable[[str, BaseDistribution], Any]) -> None:
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, BaseDistribution] = {}
        self._choose = choose

    def suggest_float(self, name: str, low: float, high: float, **more: Any) -> float:
        """See Optuna."""
        from optuna.distributions import FloatDistribution

        return float(self._take(name, FloatDistribution(low, high, **more)))

    def suggest_int(self, name: str, low: int, high: int, **more: Any) -> int:
        """See Optuna."""
        from optuna.distributions import IntDistribution

        return int(self._take(name, IntDistribution(low, high, **more)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """See Optuna."""
        from optuna.distributions import CategoricalDistribution

        return self._take(name, CategoricalDistribution(choices))

    def _take(self, name: str, distribution: BaseDistribution) -> Any:
        value = self._choose(name, distribution)
        self.params[name], self.distributions[name] = value, distribution
        return value


def given(space: Space, point: Point) -> tuple[Point, Scripted]:
    """The point again, as the space would draw it. Raises ValueError for a value that it cannot
    draw: a default of the engine's, or one outside the range."""
    script = Scripted(lambda name, distribution: _fitting(point.get(name), distribution))
    return space.suggest(script), script


def drawn(
    space: Space, by: random.Random, near: Point | None, changes: int | Collection[str]
) -> Point:
    """A random point; beside `near`, it differs in these parameters, or in up to so many."""
    names = [one.name for one in space.parameters]
    if isinstance(changes, int):
        changes = by.sample(names, min(changes, len(names)))
    changed = {*names} if near is None else {*changes}

    def choose(name: str, distribution: BaseDistribution) -> Any:
        if near is not None and name not in changed:
            try:
                return _fitting(near.get(name), distribution)
            except ValueError:
                pass
        return _random(by, distribution)

    return space.suggest(Scripted(choose))


def _fitting(value: Any, distribution: BaseDistribution) -> Any:
    """The value, where this distribution can have it. Raises ValueError."""
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        if value in choices:
            return value
    elif isinstance(value, int | float) and distribution.low <= value <= distribution.high:
        low, step = distribution.low, distribution.step
        if not step or abs((value - low) / step - round((value - low) / step)) < 1e-8:
            return value
    raise ValueError(f"{value!r} is not drawn here")


def _random(by: random.Random, distribution: BaseDistribution) -> Any:
    import math

    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return by.choice(choices)
    low, high, step = distribution.low, distribution.high, distribution.step
    if distribution.log:
        value = math.exp(by.uniform(math.log(low), math.log(high)))
        return round(value) if isinstance(low, int) else value
    if step:
        return low + step * by.randint(0, round((high - low) / step))
    return by.uniform(low, high)

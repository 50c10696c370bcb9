"""One task's scores as units: what is independent of each other, and how much each unit weighs.

A unit is a sample, or all samples of one group: samples of one document or one function are
right or wrong together, and only their groups are independent of each other.

Influence e of a unit on the mean m of n values, by the jackknife (what the mean changes by when
the unit is left out), and the variance of m from it, with G units of size s and sum S:

    e = (S - s m) / (n - s)        v = (G - 1) / G  Σ e²

Without groups it is the usual variance of a mean, s² / n; with few groups it leans to the safe
side (CR3 in Cameron and Miller 2015, "A practitioner's guide to cluster-robust inference").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

from workbench.errors import BenchError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

_LARGEST = 1e100  # its square can still be computed
ALIKE = 1e-12  # values no further apart are the same: what is left is rounding


@dataclass(frozen=True, slots=True)
class Part:
    """One task's scores (or differences), summed up by unit."""

    n: int  # samples
    weight: float  # the weights of all parts sum to 1
    mean: float
    shares: Array  # of each unit in the mean: its sum / n
    influence: Array  # of each unit on the mean
    variance: float  # of the mean, as the values show it; of 0/1 scores p (1 - p) / n
    events: float  # how many units deviate from the usual value, effectively
    plain: bool  # values are -1, 0 or 1 and every sample is a unit
    silent: bool  # all units are alike, so that nothing is to be seen of how far they lie apart

    @property
    def units(self) -> int:
        return len(self.shares)


def numbers(values: Iterable[object], what: str = "A score") -> Array:
    """Finite numbers (True is 1) as an array. Raises BenchError with the place of what is none."""
    import numpy as np

    found = list(values)
    for place, value in enumerate(found):
        if not _is_finite(value):
            raise BenchError(
                f"{what} must be a finite number; number {place + 1} is {value!r:.60}. "
                "Leave out what could not be scored."
            )
    return np.array(found, dtype=np.float64)


def _is_finite(value: object) -> bool:
    import numpy as np

    try:
        return isinstance(value, Real | np.bool_) and abs(float(value)) <= _LARGEST
    except OverflowError:  # an integer too large for a float
        return False


def weights(given: Iterable[object]) -> list[float]:
    """Weights that sum to 1. Raises BenchError where none can be made of what is given.

    What is less than a thousand-millionth of the largest becomes 0.
    """
    found = numbers(given, "A weight")
    if len(found) and (found.min() < 0 or found.max() <= 0):
        raise BenchError("Weights must be 0 or more, and one at least above 0. Correct the suite.")
    found[found < 1e-9 * max(found, default=1.0)] = 0.0
    return [float(weight) for weight in found / found.sum()]


def part(values: Array, groups: Sequence[str] | None, weight: float = 1.0) -> Part:
    """Sum up at least one value. Raises BenchError when there is not one group for each value."""
    import numpy as np

    n, mean = len(values), _mean(values)
    units = np.arange(n) if groups is None else _units(groups, n)
    sizes = np.bincount(units).astype(np.float64)
    sums = np.bincount(units, weights=values)
    count = len(sizes)
    residual = sums - sizes * mean
    silent = bool((abs(residual) <= ALIKE * max(1.0, abs(values).max()) * sizes).all())
    influence = np.zeros(count) if silent else residual / (n - sizes)
    plain = count == n and bool(np.isin(values, (-1, 0, 1)).all())
    variance = float((count - 1) / count * (influence @ influence))
    away = np.abs(sums - sizes * np.median(values))
    away = away / (away.max() or 1.0)
    return Part(
        n=n,
        weight=weight,
        mean=mean,
        shares=sums / n,
        influence=influence,
        variance=variance * (n - 1) / n if plain else variance,
        events=float(away.sum() ** 2 / (away @ away)) if away.any() else math.inf,
        plain=plain,
        silent=silent,
    )


def _mean(values: Array) -> float:
    """The same whatever the order of the values, and within their range."""
    mean = math.fsum(values.tolist()) / len(values)
    return min(max(mean, float(values.min())), float(values.max()))


def _units(groups: Sequence[str], n: int) -> Any:
    """A number for each sample's unit. An empty name is no group: the sample stands alone."""
    if len(groups) != n:
        raise BenchError(
            f"There are {n} scores and {len(groups)} groups. Give one group for each score."
        )
    keys = [(name, 0) if name else ("", place) for place, name in enumerate(groups)]
    numbered = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return [numbered[key] for key in keys]

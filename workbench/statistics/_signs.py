"""Tests that ask what other signs the differences could have had, and Tango's interval.

Were two models interchangeable, the scores of each sample could be swapped: every combination of
signs of the differences is as likely as the one observed, and p is the share of combinations that
come out at least as far from 0 (Fisher 1935). A group's samples flip together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from workbench.statistics._parts import Part
from workbench.statistics._records import Z

if TYPE_CHECKING:
    from workbench.statistics._parts import Array

_FLIPS = 4999  # combinations drawn where there are too many to try all
_ALL = 12  # up to so many units all are tried
_MANY = 5000  # with more units that differ the test is the interval's, by the central limit


def mcnemar(wins: int, losses: int) -> float:
    """Two-sided p of so uneven a split in wins + losses fair throws (McNemar's exact test)."""
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(wins, losses), wins + losses, 0.5)))


def tango(wins: int, losses: int, n: int) -> tuple[float, float]:
    """95 % score interval for the difference of two paired proportions (Tango 1998).

    All d for which (wins - losses - n d) / √(n (2 q + d (1 - d))) lies within z; q is the
    likeliest share of losses if the difference is d.
    """

    def inside(d: float) -> bool:
        linear = (2 * n - wins + losses) * d - wins - losses
        root = math.sqrt(max(linear * linear + 8 * n * losses * d * (1 - d), 0.0))
        variance = n * ((root - linear) / (2 * n) + d * (1 - d))
        return (wins - losses - n * d) ** 2 <= Z * Z * max(variance, 0.0)

    value = (wins - losses) / n
    return _edge(inside, value, -1.0), _edge(inside, value, 1.0)


def _edge(inside: Callable[[float], bool], near: float, far: float) -> float:
    """Where `inside` ends between a point inside and one that may be outside."""
    for _ in range(50):
        middle = (near + far) / 2
        near, far = (middle, far) if inside(middle) else (near, middle)
    return near


def sign_flips(found: Sequence[Part], seed: int) -> float:
    """Two-sided p of the weighted mean difference.

    The statistic is the mean over its error within tasks, so that the test also holds for many
    units where tasks differ in opposite directions (Chung and Romano 2013). Units are sorted, so
    that p depends neither on the samples' order nor on which model is a.
    """
    import numpy as np

    columns = [np.sort(abs(one.weight * one.shares)) for one in found]
    differing = sum(int(np.count_nonzero(column)) for column in columns)
    if not differing or differing > _MANY:
        return 0.0 if differing else 1.0
    squares = np.array([column @ column for column in columns])
    units = np.array([float(one.units) for one in found])

    def statistic(means: Array) -> Array:
        errors = ((squares - means**2 / units) * units / np.maximum(units - 1, 1)).sum(axis=-1)
        result: Array = means.sum(axis=-1) ** 2 / np.maximum(errors, 1e-12 * squares.sum())
        return result

    observed = statistic(np.array([one.weight * one.mean for one in found])) * (1 - 1e-9)
    flipped = _every(columns) if differing <= _ALL else _drawn(columns, seed)
    more = int((statistic(flipped) >= observed).sum())
    return more / len(flipped) if differing <= _ALL else (more + 1) / (len(flipped) + 1)


def _every(columns: Sequence[Array]) -> Array:
    """The columns' sums (one row each) under every combination of signs."""
    import numpy as np

    sums = np.zeros((1, len(columns)))
    for place, column in enumerate(columns):
        for value in column[column > 0]:
            step = np.zeros(len(columns))
            step[place] = value
            sums = np.concatenate([sums + step, sums - step])
    return sums


def _drawn(columns: Sequence[Array], seed: int) -> Array:
    """The columns' sums under drawn signs. A byte is the signs of eight units, whose sums under
    all 256 bytes are looked up."""
    import numpy as np

    random = np.random.default_rng(seed)
    signs = np.unpackbits(np.arange(256, dtype=np.uint8)[None, :], axis=0) * 2.0 - 1
    sums = np.zeros((_FLIPS, len(columns)))
    for place, column in enumerate(columns):
        values = column[column > 0]
        eights = np.pad(values, (0, -len(values) % 8)).reshape(-1, 8)
        table = (eights @ signs).ravel()
        drawn = random.integers(0, 256, (_FLIPS, len(eights)))
        sums[:, place] = table[drawn + 256 * np.arange(len(eights))].sum(axis=1)
    return sums

"""How far a weighted mean may be off, and how well that itself is known.

The error of an estimated variance V decides which quantile an interval needs: Student's t with

    2 / var(log V)        degrees of freedom (Satterthwaite 1946)

var(log V) is the sum of squares of the units' influences on log V, and for each task 1 / E², if
only E of its units deviate from the usual value: what was seen once or twice says little about
its size. There are never more than the units allow (G - 1 for each task, pooled in the same way).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from workbench.statistics._parts import Part
from workbench.statistics._records import Z


def error(
    found: Sequence[Part], variances: Sequence[float], slope: float = 0.0, known: bool = False
) -> tuple[float, float]:
    """V, the sum of the tasks' `variances` (with their weights), and its degrees of freedom.

    With `slope`, of V / f(m) instead: d log f / dm at the weighted mean m. `known`: the variance of
    plain tasks is known once their mean is.
    """
    whole = math.fsum(variances)
    rough = pooled = 0.0
    for one, variance in zip(found, variances, strict=True):
        squares = one.influence * one.influence
        total = float(squares.sum())
        influence = (squares * (variance / total if total else 0.0) - variance / one.units) / whole
        influence -= one.weight * slope * (one.units - 1) / one.units * one.influence
        rough += float(influence @ influence)
        if not (known and one.plain):
            rough += (variance / whole / one.events) ** 2
            pooled += (variance / whole) ** 2 / max(one.units - 1, 1)
    return whole, max(1.0, 1 / max(rough / 2, pooled, 1e-12))


def quantile(freedom: float) -> float:
    """Student's t, above which lie 2.5 %."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975)) if freedom < 1e9 else Z


def two_sided(t: float, freedom: float) -> float:
    """p of a t that far from 0."""
    from scipy.special import stdtr

    return min(1.0, 2 * float(stdtr(min(freedom, 1e9), -abs(t))))


def unseen(one: Part) -> float:
    """The share of other values that a silent task may have, times its weight.

    Wilson's bound for 0 of n; of equal tasks, that for all their units together. (The "rule of
    three", 3 / n, says much the same.)
    """
    return one.weight * Z * Z / (one.units + one.weight * Z * Z)


def in_words(method: str, found: Sequence[Part]) -> str:
    """The method's name, with what the samples are made of."""
    tasks = f", {len(found)} tasks" if len(found) > 1 else ""
    return method + tasks + ", by group" * any(one.units < one.n for one in found)

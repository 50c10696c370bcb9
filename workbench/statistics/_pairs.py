"""Two models on the same samples: how far apart, how sure, and how many samples would tell.

Test: were the models interchangeable, each difference could as well have the other sign (see
`_signs`; for the 0/1 scores of one task it is McNemar's exact test). Interval: Tango's score
interval for 0/1 scores of one task, else the difference ± t √V (see `_spread`), which also
holds where the models are equal on the whole and not interchangeable. Tasks in which all
differences are the same widen it as in `_means`.

Both must agree before a difference is told: p is the larger of the test's and the interval's, and
an interval that excludes 0 although p is not below 0.05 is stretched to 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.errors import BenchError
from workbench.statistics._parts import ALIKE, Part, numbers, part, weights
from workbench.statistics._records import ALPHA, Z_POWER, Difference, Z, verdict
from workbench.statistics._signs import mcnemar, sign_flips, tango
from workbench.statistics._spread import error, in_words, quantile, two_sided, unseen

if TYPE_CHECKING:
    from workbench.statistics._parts import Array

_FEWEST = 6  # units of one sign that are told from chance: 2 / 2^6 < 0.05


def paired(
    a: Sequence[float], b: Sequence[float], groups: Sequence[str] | None = None, *, seed: int = 0
) -> Difference:
    """a - b, from scores of the same samples in the same order.

    Raises BenchError for lists of different lengths and for what is no finite number.
    """
    return weighted_paired([(a, b, groups, 1.0)], seed=seed)


def weighted_paired(
    parts: Sequence[tuple[Sequence[float], Sequence[float], Sequence[str] | None, float]],
    *,
    seed: int = 0,
) -> Difference:
    """The weighted mean of tasks' differences, from (a, b, groups, weight) of each task.

    Tasks of weight 0 do not count. A task without samples leaves the whole unknown (None, -1 to
    1). Raises BenchError as `paired` does.
    """
    shares = weights(weight for *_, weight in parts)
    used = [
        (_scores(a, b), groups, share)
        for (a, b, groups, _), share in zip(parts, shares, strict=True)
        if share
    ]
    if not used or not all(pair.size for pair, *_ in used):
        n = sum(pair.shape[1] for pair, *_ in used)
        return Difference(None, -1.0, 1.0, 1.0, n, 0, 0, 0, "no samples", "undecided", None)
    largest = max(float(abs(pair).max()) for pair, *_ in used)
    bounded = largest <= 1 and all(pair.min() >= 0 for pair, *_ in used)
    largest = max(largest, 1.0)
    found, wins, losses = [], 0, 0
    for (a, b), groups, share in used:
        difference = a - b
        difference[abs(difference) <= ALIKE * largest] = 0.0
        wins, losses = wins + int((difference > 0).sum()), losses + int((difference < 0).sum())
        found.append(part(difference, groups, share))
    n = sum(one.n for one in found)
    counts = (n, wins, losses, n - wins - losses)
    if bounded and len(found) == 1 and found[0].plain:
        return _zero_one(found[0], counts)
    return _graded(found, counts, largest, bounded, seed)


def _scores(a: Sequence[float], b: Sequence[float]) -> Array:
    """Both models' scores as two rows."""
    import numpy as np

    first, second = numbers(a), numbers(b)
    if len(first) != len(second):
        raise BenchError(
            f"{len(first)} scores cannot be compared with {len(second)}. "
            "Give both models' scores of the same samples in the same order."
        )
    return np.stack([first, second])


def _value(found: Sequence[Part]) -> float:
    value = math.fsum(one.weight * one.mean for one in found)
    return value if abs(value) > ALIKE * max(abs(one.mean) for one in found) else 0.0


def _zero_one(one: Part, counts: tuple[int, int, int, int]) -> Difference:
    n, wins, losses, _ = counts
    limits = tango(wins, losses, n)
    return _told(
        [one], counts, limits, mcnemar(wins, losses), one.variance * n, "McNemar exact, Tango"
    )


def _graded(
    found: Sequence[Part],
    counts: tuple[int, int, int, int],
    largest: float,
    bounded: bool,
    seed: int,
) -> Difference:
    """`largest`: how large a difference may be that was not seen."""
    value = _value(found)
    variances = [one.weight**2 * one.variance for one in found]
    whole, freedom, method = 0.0, math.inf, "sign flips, all alike"
    if any(variances):
        whole, freedom = error(found, variances)
        method = "sign flips, Student's t"
    half = quantile(freedom) * math.sqrt(whole)
    below = math.hypot(half, _unseen(found, largest, 1))
    above = math.hypot(half, _unseen(found, largest, -1))
    t = quantile(freedom) * value / (below if value > 0 else above)
    p = max(two_sided(t, freedom), sign_flips(found, seed))
    limits = value - below, value + above
    if bounded:
        limits = max(limits[0], -1.0), min(limits[1], 1.0)
    return _told(found, counts, limits, p, whole * counts[0], in_words(method, found))


def _unseen(found: Sequence[Part], largest: float, sign: int) -> float:
    """How far silent tasks may take the difference down (sign 1) or up (-1)."""
    silent = [one for one in found if one.silent]
    return max(((largest + sign * one.mean) * unseen(one) for one in silent), default=0.0)


def _told(
    found: Sequence[Part],
    counts: tuple[int, int, int, int],
    limits: tuple[float, float],
    p: float,
    spread: float,
    method: str,
) -> Difference:
    """The difference, its interval and p made to agree. `spread`: variance of one sample."""
    value = _value(found)
    ends = [*limits, value] if p < ALPHA else [*limits, value, 0.0]
    needed = _samples_needed(found, counts[0], value, spread)
    said = verdict(value, p)
    return Difference(value, min(ends), max(ends), p, *counts, method, said, needed, p)


def _samples_needed(found: Sequence[Part], n: int, value: float, spread: float) -> int | None:
    """Samples, in the same mix, with which such a difference would be told in 80 of 100 tries.

    (z √(spread + n/G d²) + z' √spread)² / d², G units: the variance were the models equal under
    z for 5 %, as it is under z' for 80 % (Connor 1987, which is its case for 0/1 scores).
    """
    if not value:
        return None
    units = sum(one.units for one in found)
    equal = spread + value * value * n / units
    needed = ((Z * math.sqrt(equal) + Z_POWER * math.sqrt(max(spread, 0.0))) / value) ** 2
    return math.ceil(max(needed, _FEWEST * n / units))

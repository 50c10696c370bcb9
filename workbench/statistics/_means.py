"""Intervals for proportions and means: Wilson's score interval, and what it becomes in general.

Wilson (1927) asks which true p could have given the observed share: those for which it lies
within z standard errors, with the error that *this p* would have, p (1 - p) / n. Scores from 0 to
1 vary less than coin throws or, where samples are related, more. With V the variance of the
mean m as the data show it, they are worth

    n_e = m (1 - m) / V

throws, the effective sample size of survey statistics (Korn and Graubard 1998; Dean and Pagano
2015 compare such intervals). n_e is itself estimated, so z becomes a quantile of Student's t (see
`_spread`). For plain 0/1 scores V is m (1 - m) / n, the units' influences on log n_e cancel, and
what is left is Wilson's own interval. Of several tasks, m and V are the weighted sums: tasks are
strata, chosen and not drawn. Scores outside 0 to 1 have m ± t √V.

A silent task, whose scores are all the same, adds nothing to V, and is not certain for that: a
share u of other scores may have gone unseen. There cannot be many unseen ones in all tasks
together, and the worst is that they are all in the task where they move m most; so far the
interval's arms grow, as √(x² + y²).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral

from workbench.errors import BenchError
from workbench.statistics._parts import ALIKE, Part, numbers, part, weights
from workbench.statistics._records import Interval, Z
from workbench.statistics._spread import error, in_words, quantile, unseen

_ONE_VALUE = 9.68  # x ± 9.68 |x| covers a normal mean in 95 %: Wall, Boen and Tweedie 2001


def proportion(successes: int, n: int) -> Interval:
    """Wilson's interval for `successes` of `n`. Raises BenchError unless 0 <= successes <= n."""
    for count in (successes, n):
        if isinstance(count, bool) or not isinstance(count, Integral):
            raise BenchError(f"{count!r} is no count. Give whole numbers.")
    if not 0 <= successes <= n:
        raise BenchError(f"{successes} successes of {n} cannot be. Count them again.")
    if n == 0:
        return _nothing()
    share = int(successes) / int(n)
    return Interval(share, *_wilson(share, int(n), Z), int(n), "Wilson")


def mean(
    values: Iterable[float], groups: Sequence[str] | None = None, *, seed: int = 0
) -> Interval:
    """The mean of one task's scores. `groups` names what belongs together; "" stands alone.

    Raises BenchError for what is no finite number. `seed` changes nothing: nothing is drawn.
    """
    return weighted([(list(values), groups, 1.0)], seed=seed)


def weighted(
    parts: Sequence[tuple[Sequence[float], Sequence[str] | None, float]], *, seed: int = 0
) -> Interval:
    """The weighted mean of tasks' means, from (values, groups, weight) of each.

    Tasks of weight 0 do not count. A task without scores leaves the whole unknown (None, 0 to 1).
    """
    shares = weights(weight for *_, weight in parts)
    used = [(numbers(v), g, share) for (v, g, _), share in zip(parts, shares, strict=True) if share]
    n = sum(len(values) for values, *_ in used)
    if not used or not all(len(values) for values, *_ in used):
        return _nothing(n)
    found = [part(*one) for one in used]
    value = math.fsum(one.weight * one.mean for one in found)
    bounded = all(values.min() >= 0 and values.max() <= 1 for values, *_ in used)
    variances = [one.weight**2 * one.variance for one in found]
    low, high, method = value, value, "all alike, Wilson's bound"
    if any(variances):
        low, high, method = (_bounded if bounded else _unbounded)(found, variances, value)
    unseen_arms = [_arms(one, bounded) for one in found if one.silent]
    below, above = (max(arms) for arms in zip((0.0, 0.0), *unseen_arms, strict=True))
    low, high = value - math.hypot(value - low, below), value + math.hypot(high - value, above)
    if bounded:
        low, high = max(low, 0.0), min(high, 1.0)
    return Interval(value, min(low, value), max(high, value), n, in_words(method, found))


def _wilson(share: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's score interval for a share of n throws; n need not be whole."""
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half) if share > 0 else 0.0, min(1.0, middle + half)


def _bounded(
    found: Sequence[Part], variances: Sequence[float], value: float
) -> tuple[float, float, str]:
    value = min(max(value, ALIKE), 1 - ALIKE)  # where rounding made it 0 or 1
    spread = value * (1 - value)
    whole, freedom = error(found, variances, slope=(1 - 2 * value) / spread, known=True)
    low, high = _wilson(value, spread / whole, quantile(freedom))
    exact = len(found) == 1 and found[0].plain
    return low, high, "Wilson" if exact else "Wilson with effective n"


def _unbounded(
    found: Sequence[Part], variances: Sequence[float], value: float
) -> tuple[float, float, str]:
    whole, freedom = error(found, variances)
    half = quantile(freedom) * math.sqrt(whole)
    return value - half, value + half, "Student's t"


def _arms(one: Part, bounded: bool) -> tuple[float, float]:
    """How far below and above its mean a silent task may take the whole: to unseen 0s and 1s.

    Of scores without bounds an unseen one may differ by as much as the mean is large.
    """
    if bounded:
        return one.mean * unseen(one), (1 - one.mean) * unseen(one)
    half = abs(one.mean) * (one.weight * _ONE_VALUE if one.units == 1 else unseen(one))
    return half, half


def _nothing(n: int = 0) -> Interval:
    return Interval(None, 0.0, 1.0, n, "no samples")

"""Many comparisons at once: each may be wrong in 5 of 100, so that of twenty one is expected to be.

Holm's step-down correction (1979): the smallest of m p-values is multiplied by m, the next by
m - 1, and so on; none becomes smaller than the one before it. The chance that any difference at
all is told wrongly is at most 5 %, whatever the comparisons have to do with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workbench.errors import BenchError
from workbench.statistics._parts import numbers
from workbench.statistics._records import Difference, verdict


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given. Raises BenchError for what is no probability."""
    found = [float(p) for p in numbers(p_values, "A p-value")]
    if any(not 0 <= p <= 1 for p in found):
        raise BenchError("A p-value lies between 0 and 1. Compute them again.")
    adjusted, highest = list(found), 0.0
    for rank, place in enumerate(sorted(range(len(found)), key=found.__getitem__)):
        highest = max(highest, min(1.0, found[place] * (len(found) - rank)))
        adjusted[place] = highest
    return adjusted


def decide(differences: Sequence[Difference]) -> list[Difference]:
    """The same comparisons, judged together: `p_adjusted` and `verdict` are new.

    Comparisons without samples stay undecided and do not count as tests.
    """
    adjusted = iter(holm([one.p for one in differences if one.value is not None]))
    return [
        one
        if one.value is None
        else replace(one, p_adjusted=(p := next(adjusted)), verdict=verdict(one.value, p))
        for one in differences
    ]

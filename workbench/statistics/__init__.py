"""How sure: intervals of scores, differences between models, ratings from duels.

Pure functions of numbers; what they compute, by which formula and how well that holds is told in
docs/statistics.md and measured by benchmarks/evaluation_intervals.py.
"""

from __future__ import annotations

from workbench.statistics._many import decide, holm
from workbench.statistics._means import mean, proportion, weighted
from workbench.statistics._pairs import paired, weighted_paired
from workbench.statistics._ratings import bradley_terry
from workbench.statistics._records import ALPHA, Difference, Interval, Rating

__all__ = [
    "ALPHA",
    "Difference",
    "Interval",
    "Rating",
    "bradley_terry",
    "decide",
    "holm",
    "mean",
    "paired",
    "proportion",
    "weighted",
    "weighted_paired",
]

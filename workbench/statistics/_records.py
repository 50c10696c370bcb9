"""What the room answers with: an interval, a difference with its verdict, a rating."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ALPHA = 0.05  # a difference is told when its (adjusted) p lies below
CONFIDENCE = 0.95
POWER = 0.8  # with which `samples_needed` samples would tell a difference apart
Z = 1.959963984540054  # quantile of the normal distribution at 1 - ALPHA / 2
Z_POWER = 0.8416212335729143  # and at POWER

Verdict = Literal["better", "worse", "undecided"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and where the true one lies in 95 of 100 such experiments.

    Without samples `value` is None and the interval is 0 to 1.
    """

    value: float | None
    low: float
    high: float
    n: int  # samples
    method: str  # in words, for a footnote
    confidence: float = CONFIDENCE


@dataclass(frozen=True, slots=True)
class Difference:
    """How a differs from b (a - b) on the same samples.

    `verdict` follows `p_adjusted`, which is `p` until `decide` looked at several comparisons
    together. The interval belongs to this comparison alone: it excludes 0 exactly if p < 0.05.
    """

    value: float | None  # None without samples
    low: float
    high: float
    p: float  # two-sided
    n: int  # samples, in all tasks
    wins: int  # samples on which a is above b
    losses: int
    ties: int
    method: str
    verdict: Verdict
    samples_needed: int | None  # in all; None when the observed difference is 0
    p_adjusted: float = 1.0


@dataclass(frozen=True, slots=True)
class Rating:
    """How strong a player is, on Elo's scale: 400 more means winning 10 of 11 games.

    The players of one component have mean 1000. Two components never met, not even through
    others, so ratings of different components cannot be compared.
    """

    name: str
    rating: float
    low: float
    high: float
    games: int
    wins: int
    losses: int
    ties: int
    component: int = 0  # 0 is the one of most players


def verdict(value: float | None, p: float) -> Verdict:
    """What may be said of a difference whose (adjusted) p this is."""
    if not value or p >= ALPHA:
        return "undecided"
    return "better" if value > 0 else "worse"

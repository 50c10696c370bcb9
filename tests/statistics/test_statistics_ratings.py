"""Ratings: a textbook's table, strengths that are recovered, and what cannot be compared."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from workbench.errors import BenchError
from workbench.statistics import bradley_terry

# American League 1987, wins of the row's team against the column's (Agresti, Categorical Data
# Analysis, table 10.10), and the log strengths he gives, Baltimore being 0
TEAMS = ["Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore"]
WINS = [
    [0, 7, 9, 7, 7, 9, 11],
    [6, 0, 7, 5, 11, 9, 9],
    [4, 6, 0, 7, 7, 8, 12],
    [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6],
    [2, 4, 1, 3, 1, 7, 0],
]
STRENGTHS = [1.58, 1.44, 1.29, 1.25, 1.11, 0.68, 0.0]


def played(strength: Any, games: int, random: Any, ties: float = 0.0) -> list[Any]:
    """So many games of each pair. Ties are likelier the more equal two are."""
    found = []
    for i in range(len(strength)):
        for j in range(i):
            p = 1 / (1 + 10 ** ((strength[j] - strength[i]) / 400))
            u, tied = random.random(games), ties * 4 * p * (1 - p)
            scores = np.where(u < p - tied / 2, 1.0, np.where(u < p + tied / 2, 0.5, 0.0))
            found += [(str(i), str(j), score) for score in scores.tolist()]
    return found


def test_a_season_of_baseball() -> None:
    games = [
        (TEAMS[row], TEAMS[column], 1)
        for row, line in enumerate(WINS)
        for column, count in enumerate(line)
        for _ in range(count)
    ]
    found = bradley_terry(games)
    assert [one.name for one in found] == TEAMS
    assert all(one.games == 78 and one.wins + one.losses == 78 for one in found)
    baltimore = found[-1].rating
    for one, strength in zip(found, STRENGTHS, strict=True):
        # the prior's half game draws a little to the middle: 1.58 becomes 1.56
        assert (one.rating - baltimore) * math.log(10) / 400 == pytest.approx(strength, abs=0.03)
    assert sum(one.rating for one in found) == pytest.approx(7000)


def test_strengths_are_recovered_and_intervals_hold_them() -> None:
    """95 % is meant; 100 simulations of 5 players have a standard error of about 1 %."""
    random, inside, widths = np.random.default_rng(0), [], []
    for _ in range(100):
        strength = random.normal(1000, 200, 5)
        for one in bradley_terry(played(strength, 12, random, ties=0.3)):
            true = 1000 + strength[int(one.name)] - strength.mean()
            inside.append(one.low <= true <= one.high)
            widths.append(one.high - one.low)
    assert 0.92 <= np.mean(inside) <= 0.98
    strength = np.array([800.0, 1000.0, 1200.0])
    many = bradley_terry(played(strength, 3000, random))
    assert [one.name for one in many] == ["2", "1", "0"]
    assert [one.rating for one in many] == pytest.approx([1200, 1000, 800], abs=15)
    assert many[0].high - many[0].low < np.mean(widths) / 5


def test_who_never_lost_has_a_rating() -> None:
    few, many = ({one.name: one for one in bradley_terry([("a", "b", 1)] * n)} for n in (1, 50))
    assert 1000 < few["a"].rating < many["a"].rating < 3000
    assert few["a"].low < 1000 < few["a"].high
    assert many["a"].low > 1000
    assert few["a"].rating - 1000 == pytest.approx(1000 - few["b"].rating)


def test_ties_are_half_a_win_and_no_certainty() -> None:
    tied = bradley_terry([("a", "b", 0.5)] * 20)
    mixed = bradley_terry([("a", "b", 1), ("a", "b", 0)] * 10)
    assert [one.rating for one in tied] == pytest.approx([1000, 1000])
    assert (tied[0].wins, tied[0].losses, tied[0].ties) == (0, 0, 20)
    width, wide = (found[0].high - found[0].low for found in (tied, mixed))
    assert 10 < width < wide


def test_who_never_met_is_not_compared() -> None:
    found = bradley_terry([("x", "y", 0)] * 3 + [("a", "b", 1), ("b", "c", 1), ("c", "a", 1)])
    assert [(one.name, one.component) for one in found] == [
        ("a", 0), ("b", 0), ("c", 0), ("y", 1), ("x", 1),
    ]  # fmt: skip
    assert [one.rating for one in found[:3]] == pytest.approx([1000] * 3)
    assert found[3].rating + found[4].rating == pytest.approx(2000)


def test_the_order_of_games_and_sides_does_not_matter() -> None:
    games = played(np.array([900.0, 1000.0, 1100.0]), 9, np.random.default_rng(5), ties=0.2)
    turned = [(b, a, 1 - score) for a, b, score in reversed(games)]
    for one, other in zip(bradley_terry(games), bradley_terry(turned), strict=True):
        assert one.name == other.name
        assert (one.rating, one.low, one.wins) == pytest.approx(
            (other.rating, other.low, other.wins)
        )


def test_a_landslide_is_survived() -> None:
    chain = [(str(place), str(place + 1), 1.0) for place in range(30)] * 200
    found = bradley_terry(chain)
    assert [one.name for one in found] == [str(place) for place in range(31)]
    assert all(math.isfinite(one.low) and one.low < one.rating < one.high for one in found)


def test_rubbish_is_refused() -> None:
    assert bradley_terry([]) == []
    for bad in (("a", "a", 1), ("a", "b", 0.7), ("a", "b", math.nan), ("a", "b", "1")):
        with pytest.raises(BenchError, match="Game 2"):
            bradley_terry([("a", "b", 1), bad])  # type: ignore[list-item]

"""Differences of two models: known values, what must always hold, and how often they are right."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import BenchError
from workbench.statistics import Difference, decide, holm, paired, weighted_paired

always = settings(deadline=None)
scores = st.floats(0, 1, width=16)
pairs = st.lists(st.tuples(scores, scores), min_size=1, max_size=30)
bits = st.lists(
    st.tuples(st.sampled_from([0, 1]), st.sampled_from([0, 1])), min_size=1, max_size=60
)
named = st.lists(
    st.tuples(scores, scores, st.sampled_from(["", "a", "b", "c"])), min_size=1, max_size=30
)


def table(wins: int, losses: int, ties: int) -> Difference:
    rest = [1] * (ties // 2) + [0] * (ties - ties // 2)
    return paired([1] * wins + [0] * losses + rest, [0] * wins + [1] * losses + rest)


def sane(found: Difference) -> None:
    assert found.value is not None
    assert -math.inf < found.low <= found.value <= found.high < math.inf
    assert 0 <= found.p <= 1
    assert found.wins + found.losses + found.ties == found.n
    assert (found.p < 0.05) == (found.low > 0 or found.high < 0) == (found.verdict != "undecided")
    assert (found.samples_needed is None) == (found.value == 0)


def test_mcnemar_and_tango_are_the_literatures() -> None:
    """Airway hyper-responsiveness before and after (Bentur and others 2009), the example of
    Fagerland, Lydersen and Laake 2014: 1 and 7 discordant pairs of 21; exact p 0.0703, and
    Tango's interval -0.517 to -0.026, which is stretched to 0 since the test decides."""
    found = table(1, 7, 13)
    assert found.p == pytest.approx(0.0703, abs=5e-5)
    assert found.low == pytest.approx(-0.517, abs=5e-4)
    assert (found.high, found.verdict, found.ties) == (0.0, "undecided", 13)


def test_approval_of_the_prime_minister() -> None:
    """Agresti, Categorical Data Analysis, table 10.1: 150 and 86 of 1,600; Wald 0.021 to 0.059."""
    found = table(150, 86, 1600 - 236)
    assert found.p == pytest.approx(3.7e-5, rel=0.05)
    assert (found.low, found.high) == pytest.approx((0.021, 0.059), abs=1e-3)
    assert found.verdict == "better"


def test_mcnemar_is_the_binomial_test() -> None:
    from scipy.stats import binomtest

    for wins, losses in ((0, 5), (0, 6), (3, 17), (40, 61), (200, 243)):
        expected = binomtest(wins, wins + losses, 0.5).pvalue
        assert table(wins, losses, 10).p == pytest.approx(expected)


@always
@given(bits, st.integers(0, 60))
def test_right_and_wrong(rows: list[tuple[int, int]], ties: int) -> None:
    found = paired(*zip(*rows, *[(1, 1)] * ties, strict=True))
    sane(found)
    assert found.low >= -1 and found.high <= 1
    assert found.low < found.high


@always
@given(named)
def test_swapping_the_models_changes_the_sign(rows: list[tuple[float, float, str]]) -> None:
    a, b, groups = zip(*rows, strict=True)
    first, second = paired(a, b, groups), paired(b, a, groups)
    sane(first)
    assert first.value == -(second.value or 0.0)
    assert (first.low, first.high) == pytest.approx((-second.high, -second.low), abs=1e-9)
    assert first.p == second.p
    assert (first.wins, first.losses) == (second.losses, second.wins)
    assert first.samples_needed == second.samples_needed


@always
@given(named, st.randoms())
def test_order_does_not_matter(rows: list[tuple[float, float, str]], random: Any) -> None:
    first = paired(*zip(*rows, strict=True))
    second = paired(*zip(*random.sample(rows, len(rows)), strict=True))
    assert astuple(first)[:5] == pytest.approx(astuple(second)[:5], abs=1e-9)


@always
@given(pairs)
def test_a_task_without_difference_halves_it(rows: list[tuple[float, float]]) -> None:
    a, b = zip(*rows, strict=True)
    alone = paired(a, b)
    both = weighted_paired([(a, b, None, 1), ([0.5] * 30, [0.5] * 30, None, 1)])
    sane(both)
    assert both.value == pytest.approx((alone.value or 0.0) / 2)
    assert both.ties == alone.ties + 30


@always
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=30))
def test_any_finite_numbers_can_be_compared(rows: list[tuple[float, float]]) -> None:
    sane(paired(*zip(*rows, strict=True)))


@always
@given(pairs)
def test_one_task_is_no_suite(rows: list[tuple[float, float]]) -> None:
    a, b = zip(*rows, strict=True)
    assert weighted_paired([(a, b, None, 7)]) == paired(a, b)
    assert weighted_paired([(a, b, None, 7), ([], [], None, 0)]) == paired(a, b)


def test_the_same_seed_gives_the_same() -> None:
    random = np.random.default_rng(0)
    a, b = random.random(50), random.random(50)
    assert paired(a, b, seed=3) == paired(a, b, seed=3)
    assert abs(paired(a, b, seed=3).p - paired(a, b, seed=4).p) < 0.03


def test_a_draw_of_signs_knows_no_order_and_no_side() -> None:
    random = np.random.default_rng(8)
    a, b = random.random(60), random.random(60)
    order = random.permutation(60)
    assert paired(a, b).p == paired(a[order], b[order]).p == paired(b, a).p


def test_both_the_signs_and_the_interval_have_to_tell() -> None:
    """b loses 8 times, once nearly everything: the signs' p is 2 / 2^8, but what b loses on the
    average hangs on one sample."""
    b = np.ones(100)
    b[:8] = [0.02, 0.98, 0.97, 0.98, 0.99, 0.96, 0.98, 0.99]
    found = paired(np.ones(100), b)
    sane(found)
    assert found.wins == 8 and found.verdict == "undecided" and found.p > 0.05


def test_a_task_without_a_difference_is_not_certain_beside_others() -> None:
    """5 of 5 the same does not mean that the models never differ there."""
    rows = ([1] * 30 + [0] * 20, [0] * 10 + [1] * 40, None, 1)
    few, many = (weighted_paired([rows, ([1] * n, [1] * n, None, 1)]) for n in (5, 500))
    assert few.value == many.value
    assert few.high - few.low > 1.2 * (many.high - many.low)


def test_sign_flips_agree_with_scipy() -> None:
    from scipy.stats import permutation_test

    random = np.random.default_rng(1)
    for n in (8, 40):  # all combinations of signs, and a draw of them
        difference = random.normal(0.35, 1, n)
        expected = permutation_test(
            (difference,), np.mean, permutation_type="samples", n_resamples=20_000, rng=random
        ).pvalue
        found = paired(difference, np.zeros(n))
        assert found.p == pytest.approx(expected, abs=0.03)


def test_few_samples_are_never_certain() -> None:
    for n in range(1, 6):
        found = paired([1.0] * n, [0.1] * n)  # p of the signs is 2 / 2^n
        assert found.verdict == "undecided" and found.low <= 0
        assert found.samples_needed is not None and found.samples_needed >= 6
    assert paired([1] * 6, [0] * 6).verdict == "better"
    assert paired([1] * 3, [0] * 3).samples_needed == 6
    assert paired([1] * 60, [0] * 60, ["a"] * 60).verdict == "undecided"  # one group
    same = paired([0.7] * 30, [0.7] * 30)
    assert (same.value, same.verdict, same.samples_needed) == (0, "undecided", None)
    assert same.low < -0.05 and same.high > 0.05


def test_rounding_is_no_difference() -> None:
    found = paired([0.1 + 0.2] * 20, [0.3] * 20)
    assert (found.value, found.wins, found.ties, found.samples_needed) == (0, 0, 20, None)


def test_groups_count_once() -> None:
    a, b = [1] * 12 + [0] * 4, [0] * 12 + [1] * 4
    groups = [str(place // 4) for place in range(16)]
    assert paired(a * 3, b * 3).verdict == "better"
    assert paired(a * 3, b * 3, groups * 3).verdict == "undecided"


def test_nothing_is_known_without_samples() -> None:
    for found in (paired([], []), weighted_paired([]), weighted_paired([([], [], None, 1)])):
        assert (found.value, found.low, found.high, found.p) == (None, -1.0, 1.0, 1.0)
        assert (found.verdict, found.samples_needed, found.n) == ("undecided", None, 0)
    assert weighted_paired([([1], [0], None, 1), ([], [], None, 1)]).value is None


def test_rubbish_is_refused() -> None:
    with pytest.raises(BenchError, match="2 scores cannot be compared with 1"):
        paired([1, 0], [1])
    for bad in (math.nan, math.inf, "1", None):
        with pytest.raises(BenchError, match="number 1"):
            paired([bad], [1])  # type: ignore[list-item]
        with pytest.raises(BenchError, match="number 2"):
            paired([1, 0], [0, bad])  # type: ignore[list-item]
    with pytest.raises(BenchError, match="groups"):
        paired([1, 0], [1, 0], ["a"])


def test_holm_is_the_literatures() -> None:
    """The example of the article on the Holm-Bonferroni method: of four, two are rejected."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    for bad in (-0.1, 1.1, math.nan):
        with pytest.raises(BenchError):
            holm([0.5, bad])


def test_decide_together_is_harder_than_alone() -> None:
    near, clear, nothing = table(10, 2, 40), table(30, 2, 40), paired([], [])
    assert near.verdict == clear.verdict == "better"
    judged = decide([near, nothing, clear, table(5, 5, 40), table(3, 3, 9)])
    assert [one.verdict for one in judged] == ["undecided"] * 2 + ["better"] + ["undecided"] * 2
    assert judged[0].p == near.p and judged[0].p_adjusted == pytest.approx(3 * near.p)
    assert judged[1] == nothing
    assert decide([near, nothing]) == [near, nothing]  # what was not compared is no test
    assert decide([]) == []


Draw = Callable[[Any], list[Any]]


def graded(n: int, first: float, second: float) -> Draw:
    """Scores on samples equally hard for both, many of them exactly 0 or 1."""

    def draw(random: Any) -> list[Any]:
        hard = 0.2 * random.normal(size=n)
        a, b = (np.clip(m + hard + 0.15 * random.normal(size=n), 0, 1) for m in (first, second))
        return [(a, b, None, 1)]

    return draw


def discordant(n: int, wins: float, losses: float) -> Draw:
    def draw(random: Any) -> list[Any]:
        d = random.choice([1, -1, 0], n, p=[wins, losses, 1 - wins - losses])
        return [(np.maximum(d, 0), np.maximum(-d, 0), None, 1)]

    return draw


def grouped(random: Any) -> list[Any]:
    of = np.repeat(np.arange(15), random.integers(2, 11, 15))
    hard, own = random.beta(1, 1, 15), 0.15 * random.normal(size=15)
    a, b = (random.random(len(of)) < np.clip(hard + sign * own, 0, 1)[of] for sign in (1, -1))
    return [(a * 1, b * 1, [str(group) for group in of], 1)]


def opposed(random: Any) -> list[Any]:
    """Better at one task by as much as worse at the other."""
    return [*discordant(60, 0.3, 0.05)(random), *discordant(60, 0.05, 0.3)(random)]


def rarely(random: Any) -> list[Any]:
    """a never fails, b loses a part of the marks on 5 %."""
    return [(np.ones(50), np.where(random.random(50) < 0.05, random.random(50), 1.0), None, 1)]


# in brackets: what the mean difference ± 1.96 standard errors covers
@pytest.mark.parametrize(
    ("draw", "true", "low", "high"),
    [
        (graded(20, 0.5, 0.5), 0.0, 0.925, 0.98),  # [93 %]
        (grouped, 0.0, 0.925, 0.99),  # [81 %]
        (opposed, 0.0, 0.925, 0.98),  # [94 %]
        (discordant(50, 0.15, 0.05), 0.1, 0.925, 0.98),  # [94 %]
        (rarely, 0.025, 0.93, 0.99),  # [81 %]
    ],
    ids=["graded", "groups", "opposed", "0/1", "rare"],
)
def test_intervals_hold_the_truth(draw: Draw, true: float, low: float, high: float) -> None:
    """500 simulations: one standard error is 1 %. Of equal models, at most 5 % are told apart."""
    random = np.random.default_rng(3)
    found = [weighted_paired(draw(random), seed=run) for run in range(500)]
    assert low <= sum(one.low <= true <= one.high for one in found) / 500 <= high
    if not true:
        assert sum(one.verdict != "undecided" for one in found) / 500 <= 0.07


def test_mcnemar_errs_in_at_most_5_percent() -> None:
    """Exact, over all numbers of discordant pairs; without the exact test it is up to 7 %."""
    from scipy.stats import binom

    for discordant_pairs in range(1, 80):
        told = [table(k, discordant_pairs - k, 5).verdict for k in range(discordant_pairs + 1)]
        chances = binom.pmf(np.arange(discordant_pairs + 1), discordant_pairs, 0.5)
        assert chances @ [verdict != "undecided" for verdict in told] <= 0.05


@pytest.mark.parametrize(
    "make", [lambda n: discordant(n, 0.15, 0.05), lambda n: graded(n, 0.6, 0.5)]
)
def test_so_many_samples_tell_the_difference(make: Callable[[int], Draw]) -> None:
    """80 % of 300 simulations are meant; one standard error is 2.3 %."""
    random = np.random.default_rng(4)
    needed = weighted_paired(make(4000)(random)).samples_needed
    assert needed is not None and needed < 400
    told = [weighted_paired(make(needed)(random)).verdict == "better" for _ in range(300)]
    assert 0.7 < sum(told) / 300 < 0.92

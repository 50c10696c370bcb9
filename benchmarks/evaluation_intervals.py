"""Are the intervals right? Models of known skill are simulated, and what is said of them counted.

    python benchmarks/evaluation_intervals.py [--quick]

An interval of 95 % should hold the true value in 93 to 97 % of the simulations, and of two equal
models a difference should be told in at most 5 %. Single 0/1 scores of one task are not simulated:
the chance of each outcome is known, and the sum over all of them is exact.

The rival, on the same samples in the same run, is what most evaluation tools report: the mean (or
the mean difference) ± 1.96 standard errors, which knows nothing of groups. A full run takes about
ten minutes on one core.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.stats import binom, bootstrap

from workbench.statistics import (
    bradley_terry,
    mean,
    paired,
    proportion,
    weighted,
    weighted_paired,
)

Random = np.random.Generator
Draw = Callable[[Random, int], Any]  # n scores
Tasks = Callable[[Random], list[Any]]  # what `weighted` or `weighted_paired` takes
_Z = 1.959964
_MANY = 1_000_000  # draws that give a true value for which there is no formula
_COUNTS = (20, 50, 100, 400)
_KNOWN: dict[Draw, float] = {}  # true means that need no simulation
_SKILLS = (0.02, 0.1, 0.5, 0.9, 0.98)


@dataclass
class Row:
    """What was said in so many simulations; shares from 0 to 1. Told: that models differ."""

    title: str
    covered: float
    rival: float
    told: float | None = None
    rival_told: float | None = None
    equal: bool = False


# ---- models of known skill


def _mixed(share: float, value: float, other: Draw) -> Draw:
    """A share of scores is `value`, the others are drawn."""
    return lambda random, n: np.where(random.random(n) < share, value, other(random, n))


@cache
def _right(p: float) -> Draw:
    draw: Draw = lambda random, n: (random.random(n) < p) * 1.0  # noqa: E731
    _KNOWN[draw] = p
    return draw


def _uniform(random: Random, n: int) -> Any:
    return random.random(n)


def _beta(a: float, b: float) -> Draw:
    return lambda random, n: random.beta(a, b, n)


GRADED: dict[str, Draw] = {
    "beta(2, 5)": _beta(2, 5),
    "beta(8, 2)": _beta(8, 2),
    "close together: beta(80, 20)": _beta(80, 20),
    "low and skewed: beta(0.3, 3)": _beta(0.3, 3),
    "30 % zeros, 40 % ones": _mixed(0.3, 0.0, _mixed(0.57, 1.0, _uniform)),
    "70 % zeros": _mixed(0.7, 0.0, _beta(2, 2)),
    "90 % zeros": _mixed(0.9, 0.0, _beta(2, 2)),
    "95 % ones": _mixed(0.95, 1.0, _uniform),
    "90 % are 0.8": _mixed(0.9, 0.8, _uniform),
}
_P = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97)
SUITES: dict[str, list[tuple[Draw, int, float]]] = {
    "8 tasks, 0/1 at 0.98, n = 20": [(_right(0.98), 20, 1)] * 8,
    "8 tasks, 0/1 at 0.5, n = 50": [(_right(0.5), 50, 1)] * 8,
    "8 tasks, 0/1 at 0.05 to 0.97, n = 30": [(_right(p), 30, 1) for p in _P],
    "4 tasks, 0/1, n = 20 to 400, weights 1 to 3": [
        (_right(p), n, w) for p, n, w in ((0.1, 50, 1), (0.5, 100, 2), (0.9, 20, 1), (0.98, 400, 3))
    ],
    "8 graded tasks, n = 20": [(draw, 20, 1) for draw in list(GRADED.values())[:8]],
    "3/4 of the weight on 20 samples, 0/1 at 0.05": [(_right(0.05), 20, 3), (_right(0.5), 400, 1)],
    "5 tasks, 95 % ones, n = 20": [(GRADED["95 % ones"], 20, 1)] * 5,
    "2 tasks 0/1, 2 graded, n = 20 to 100": [
        (_right(0.1), 20, 1),
        (_right(0.7), 100, 1),
        (GRADED["30 % zeros, 40 % ones"], 50, 1),
        (GRADED["90 % zeros"], 50, 1),
    ],
}


@cache
def _true(draw: Draw) -> float:
    if draw in _KNOWN:
        return _KNOWN[draw]
    return float(np.mean(draw(np.random.default_rng(1), _MANY)))


def _groups(random: Random, count: int) -> Any:
    """The group of each sample; groups have 2 to 10."""
    return np.repeat(np.arange(count), random.integers(2, 11, count))


def _grouped(p: float, related: float, count: int, graded: bool) -> Tasks:
    """One model on groups whose scores have an intra-class correlation of `related`."""

    def draw(random: Random) -> list[Any]:
        of = _groups(random, count)
        if graded:
            noise = math.sqrt(related) * random.normal(size=count)[of]
            noise = noise + math.sqrt(1 - related) * random.normal(size=len(of))
            scores = np.clip(p + 0.25 * noise, 0, 1)
        else:
            ratio = (1 - related) / related
            scores = (
                random.random(len(of)) < random.beta(p * ratio, (1 - p) * ratio, count)[of]
            ) * 1
        return [(scores, [f"g{group}" for group in of], 1)]

    return draw


def _clipped(p: float) -> Draw:
    return lambda random, n: np.clip(p + 0.25 * random.normal(size=n), 0, 1)


# ---- pairs of models


def _discordant(n: int, wins: float, losses: float) -> Tasks:
    """0/1 scores that differ on a share of the samples."""

    def draw(random: Random) -> list[Any]:
        d = random.choice([1, -1, 0], n, p=[wins, losses, 1 - wins - losses])
        both = np.where(d == 0, random.random(n) < 0.5, 0)
        return [(np.maximum(d, both), np.maximum(-d, both), None, 1)]

    return draw


def _graded_pair(n: int, first: float, second: float) -> Tasks:
    """Graded scores on samples equally hard for both; many are exactly 0 or 1."""

    def draw(random: Random) -> list[Any]:
        hard = 0.2 * random.normal(size=n)
        a, b = (np.clip(m + hard + 0.15 * random.normal(size=n), 0, 1) for m in (first, second))
        return [(a, b, None, 1)]

    return draw


def _partly(n: int, share: float, swapped: bool) -> Tasks:
    """On a share of samples one model (b, or either of them) gets a part of the marks only."""

    def draw(random: Random) -> list[Any]:
        full = random.beta(4, 2, n)
        less = np.where(random.random(n) < share, full * random.random(n), full)
        swap = random.random(n) < 0.5 * swapped
        return [(np.where(swap, less, full), np.where(swap, full, less), None, 1)]

    return draw


def _grouped_pair(p: float, related: float, count: int, more: float, graded: bool) -> Tasks:
    """Both find the same groups hard, each some of its own; a is better by up to `more`."""

    def draw(random: Random) -> list[Any]:
        of, ratio = _groups(random, count), (1 - related) / related
        hard, own = random.beta(p * ratio, (1 - p) * ratio, count), 0.15 * random.normal(size=count)
        rows = []
        for chance in (hard + own + more, hard - own):
            right = random.random(len(of)) < np.clip(chance, 0, 1)[of]
            rows.append(right * (random.beta(4, 2, len(of)) if graded else 1.0))
        return [(*rows, [f"g{group}" for group in of], 1)]

    return draw


def _joined(*tasks: Tasks) -> Tasks:
    return lambda random: [part for one in tasks for part in one(random)]


def _true_difference(draw: Tasks) -> float:
    """Of tasks with many samples, by simulation."""
    parts = draw(np.random.default_rng(1))
    return statistics.fmean(float(np.mean(np.asarray(a) - b)) for a, b, *_ in parts)


# ---- counting


def _simulate(title: str, draw: Tasks, true: float, runs: int) -> Row:
    random, seen, pairs = np.random.default_rng(2), np.zeros(4), False
    for run in range(runs):
        tasks = draw(random)
        pairs, told = len(tasks[0]) == 4, False
        if not pairs:
            found: Any = weighted(tasks)
        else:
            found = weighted_paired(tasks, seed=run)
            told = found.verdict != "undecided"
            tasks = [(np.asarray(a) - b, groups, weight) for a, b, groups, weight in tasks]
        total = sum(weight for *_, weight in tasks)
        value = sum(weight / total * np.mean(d) for d, _, weight in tasks)
        errors = [(weight / total) ** 2 * np.var(d, ddof=1) / len(d) for d, _, weight in tasks]
        half = _Z * math.sqrt(sum(errors))
        inside = found.low - 1e-12 <= true <= found.high + 1e-12
        seen += [inside, abs(value - true) <= half, told, abs(value) > half]
    covered, rival, said, rival_said = map(float, seen / runs)
    if not pairs:
        return Row(title, covered, rival)
    return Row(title, covered, rival, said, rival_said, equal=true == 0)


def _exact_mean(p: float, n: int, around: float = 0.0) -> Row:
    """At one skill, or averaged over skills whose log-odds lie within `around` of it."""
    if around:
        odds = math.log(p / (1 - p)) + np.linspace(-around, around, 101)
        rows = [_exact_mean(1 / (1 + math.exp(-one)), n) for one in odds]
        ours, rival = (
            statistics.fmean(getattr(row, name) for row in rows) for name in ("covered", "rival")
        )
        return Row(f"about {p}, n = {n}", ours, rival)
    ours = rival = 0.0
    for k in range(n + 1):
        found, share = proportion(k, n), k / n
        chance = float(binom.pmf(k, n, p))
        ours += chance * (found.low <= p <= found.high)
        rival += chance * (abs(share - p) <= _Z * math.sqrt(share * (1 - share) / n))
    return Row(f"{p}, n = {n}", ours, rival)


def _exact_pair(n: int, p_win: float, p_loss: float) -> Row:
    """Over all numbers of wins and losses with a chance above one in a thousand million."""
    seen, true = np.zeros(4), p_win - p_loss
    for wins in range(n + 1):
        first = float(binom.pmf(wins, n, p_win))
        for losses in range(n + 1 - wins):
            chance = first * float(binom.pmf(losses, n - wins, p_loss / (1 - p_win)))
            if chance > 1e-9:
                rest = [0] * (n - wins - losses)
                a, b = [1] * wins + [0] * losses + rest, [0] * wins + [1] * losses + rest
                found, value = paired(a, b), (wins - losses) / n
                half = _Z * math.sqrt(((wins + losses) / n - value**2) / n)
                inside = found.low - 1e-12 <= true <= found.high + 1e-12
                told = found.verdict != "undecided"
                seen += (
                    np.array([inside, abs(value - true) <= half, told, abs(value) > half]) * chance
                )
    covered, rival, told, rival_told = seen
    title = f"0/1, {p_win:.0%} won, {p_loss:.0%} lost, n = {n}"
    return Row(title, covered, rival, told, rival_told, equal=true == 0)


def _means(runs: int) -> Iterator[tuple[str, list[Row]]]:
    yield "0/1, one task (exact)", [_exact_mean(p, n) for p in _SKILLS for n in _COUNTS]
    averaged = [_exact_mean(p, n, around=0.5) for p in _SKILLS for n in _COUNTS]
    yield "0/1, one task, averaged over skills (exact)", averaged
    yield (
        "Graded, one task",
        [
            _simulate(
                f"{name}, n = {n}", lambda r, d=draw, k=n: [(d(r, k), None, 1)], _true(draw), runs
            )
            for name, draw in GRADED.items()
            for n in _COUNTS
        ],
    )
    yield (
        "Groups of 2 to 10",
        [
            _simulate(
                f"{count} groups, {'graded' if graded else '0/1'} at {p}, correlation {related}",
                _grouped(p, related, count, graded),
                _true(_clipped(p)) if graded else p,
                runs,
            )
            for count in (15, 40)
            for graded in (False, True)
            for p in (0.1, 0.5, 0.9)
            for related in (0.3, 0.8)
        ],
    )
    yield (
        "Weighted means of tasks",
        [
            _simulate(
                title,
                lambda r, t=tasks: [(draw(r, n), None, weight) for draw, n, weight in t],
                sum(w * _true(draw) for draw, _, w in tasks) / sum(w for *_, w in tasks),
                runs,
            )
            for title, tasks in SUITES.items()
        ],
    )


def _limits(runs: int) -> list[Row]:
    """Where the intervals are known to fall short."""
    rare, skewed = _beta(0.1, 0.9), _lognormal
    cases: list[tuple[str, Tasks, float]] = [
        ("graded, beta(0.1, 0.9), n = 20", lambda r: [(rare(r, 20), None, 1)], 0.1),
        ("outside 0 to 1, log-normal, n = 20", lambda r: [(skewed(r, 20), None, 1)], math.exp(0.5)),
        (
            "outside 0 to 1, log-normal, n = 200",
            lambda r: [(skewed(r, 200), None, 1)],
            math.exp(0.5),
        ),
        ("15 groups, graded, one in ten fails as a whole", _seldom_whole, 0.9 * 2 / 3),
        ("4 groups, 0/1 at 0.5, correlation 0.5", _grouped(0.5, 0.5, 4, False), 0.5),
    ]
    return [_simulate(title, draw, true, runs) for title, draw, true in cases]


def _lognormal(random: Random, n: int) -> Any:
    return random.lognormal(0, 1, n)


def _seldom_whole(random: Random) -> list[Any]:
    """Groups of graded scores; a tenth of the groups has 0 throughout."""
    of = _groups(random, 15)
    works = random.random(15) < 0.9
    return [(random.beta(4, 2, len(of)) * works[of], [f"g{group}" for group in of], 1)]


def _pairs(runs: int, counts: Sequence[int]) -> Iterator[tuple[str, list[Row]]]:
    shares = ((0.02, 0.02), (0.1, 0.1), (0.25, 0.25), (0.15, 0.05), (0.3, 0.1), (0.05, 0.0))
    yield "0/1, one task (exact)", [_exact_pair(n, *pair) for pair in shares for n in counts]
    graded: list[tuple[str, Callable[[int], Tasks], bool]] = [
        ("both 0.5", lambda n: _graded_pair(n, 0.5, 0.5), True),
        ("both 0.95", lambda n: _graded_pair(n, 0.95, 0.95), True),
        ("0.6 and 0.5", lambda n: _graded_pair(n, 0.6, 0.5), False),
        ("0.97 and 0.9", lambda n: _graded_pair(n, 0.97, 0.9), False),
        ("20 % differ", lambda n: _partly(n, 0.2, True), True),
        ("b less on 10 %", lambda n: _partly(n, 0.1, False), False),
    ]
    yield (
        "Graded, one task",
        [
            _simulate(
                f"{title}, n = {n}", make(n), 0.0 if equal else _true_difference(make(_MANY)), runs
            )
            for title, make, equal in graded
            for n in _COUNTS
        ],
    )
    yield (
        "Groups of 2 to 10",
        [
            _simulate(
                f"{count} groups, {'graded' if graded else '0/1'} at {p}, correlation {related}"
                + (", a better" if more else ""),
                _grouped_pair(p, related, count, more, graded),
                _true_difference(_grouped_pair(p, related, 100_000, more, graded)) if more else 0.0,
                runs,
            )
            for count in (15, 40)
            for graded in (False, True)
            for p, related, more in (
                (0.1, 0.3, 0.0),
                (0.5, 0.8, 0.0),
                (0.9, 0.3, 0.0),
                (0.5, 0.3, 0.15),
            )
        ],
    )
    some = [_discordant(n, 0.1, 0.1) for n in (20, 50, 100, 400)]
    opposed = [_discordant(100, 0.3, 0.05), _discordant(100, 0.05, 0.3)]
    better = [_discordant(n, 0.15, 0.1) for n in (50, 100, 200)]
    mixed = [*some[:2], _graded_pair(50, 0.9, 0.9), _grouped_pair(0.5, 0.3, 15, 0.0, False)]
    yield (
        "Weighted differences of tasks",
        [
            _simulate("4 tasks, 0/1, n = 20 to 400", _joined(*some), 0.0, runs),
            _simulate(
                "8 tasks, 0/1, 2 % each way, n = 50",
                _joined(*[_discordant(50, 0.02, 0.02)] * 8),
                0.0,
                runs,
            ),
            _simulate("better at one, worse at the other, n = 100", _joined(*opposed), 0.0, runs),
            _simulate("0/1, graded and in groups", _joined(*mixed), 0.0, runs),
            _simulate("3 tasks, 0/1, a better, n = 50 to 200", _joined(*better), 0.05, runs),
        ],
    )


def _bootstrap(runs: int) -> list[list[str]]:
    """SciPy's bootstrap on 20 scores; where all are the same it gives no interval."""
    rows = []
    for name in ("beta(2, 5)", "90 % zeros", "95 % ones"):
        random, true, seen = np.random.default_rng(6), _true(GRADED[name]), np.zeros(4)
        for _ in range(runs):
            scores = GRADED[name](random, 20)
            ours, edges = weighted([(scores, None, 1)]), [(math.nan, math.nan)] * 3
            if np.ptp(scores):
                kinds = ("percentile", "basic", "BCa")
                edges = [
                    bootstrap((scores,), np.mean, n_resamples=999, method=kind).confidence_interval
                    for kind in kinds
                ]
            seen += [low <= true <= high for low, high in [(ours.low, ours.high), *edges]]
        rows.append([f"{name}, n = 20", *(f"{share:.1%}" for share in seen / runs)])
    return rows


def _ratings(runs: int) -> list[list[str]]:
    """Players with normally distributed strengths, each pair of them so many games."""
    rows = []
    cases = ((2, 300, 20, 0.0), (4, 150, 10, 0.0), (6, 300, 10, 0.0), (6, 150, 5, 0.4))
    for players, spread, games, ties in cases:
        random, inside, off = np.random.default_rng(4), [], []
        for _ in range(runs):
            strength = random.normal(0, spread, players)
            played = []
            for i in range(players):
                for j in range(i):
                    p = 1 / (1 + 10 ** ((strength[j] - strength[i]) / 400))
                    u, tied = random.random(games), ties * 4 * p * (1 - p)
                    scores = np.where(u < p - tied / 2, 1.0, np.where(u < p + tied / 2, 0.5, 0.0))
                    played += [(str(i), str(j), score) for score in scores.tolist()]
            for one in bradley_terry(played):
                true = 1000 + strength[int(one.name)] - strength.mean()
                inside.append(one.low <= true <= one.high)
                off.append(one.rating - true)
        title = f"{players} players, spread {spread}, {games} games a pair"
        title += f", up to {ties:.0%} tied" * (ties > 0)
        rows.append([title, f"{statistics.fmean(inside):.1%}", f"{statistics.pstdev(off):.0f}"])
    return rows


def _power(runs: int) -> list[list[str]]:
    """How often a difference is told with as many samples as `samples_needed` asks for."""
    cases: dict[str, Callable[[int], Tasks]] = {
        "0/1, 15 % won, 5 % lost": lambda n: _discordant(n, 0.15, 0.05),
        "0/1, 5 % won, 2 % lost": lambda n: _discordant(n, 0.05, 0.02),
        "graded, 0.6 and 0.5": lambda n: _graded_pair(n, 0.6, 0.5),
        "graded, b less on 10 %": lambda n: _partly(n, 0.1, False),
    }
    rows = []
    for title, make in cases.items():
        needed = weighted_paired(make(20_000)(np.random.default_rng(1))).samples_needed or 0
        found = _simulate(title, make(needed), 0.0, runs)
        rows.append([title, str(needed), f"{found.told:.0%}"])
    return rows


# ---- the report

_NOTE = """Counts of rows within 93 to 97 % allow two standard errors; exact rows have none. Single
0/1 scores of n samples have n + 1 possible means, so that the coverage of any interval jumps from
one skill to the next; averages over skills (log-odds within 0.5) are usual. For the same reason
McNemar's exact test calls equal models different too seldom, and an interval that agrees with it
holds 0 too often."""


def report(quick: bool) -> str:
    """The tables as Markdown."""
    runs = 200 if quick else 2000
    error = math.sqrt(0.95 * 0.05 / runs)
    lines = [
        f"{runs:,} simulations a row; one standard error of a share is {error:.1%}.",
        _NOTE,
        "",
    ]
    means = list(_means(runs))
    pairs = list(_pairs(runs, (20, 50) if quick else _COUNTS))
    lines += ["### In short", "", *_short([*means, *pairs], error)]
    for title, rows in means:
        cells = [[row.title, f"{row.covered:.1%}", f"{row.rival:.1%}"] for row in rows]
        lines += ["", f"### Means: {title}", "", *_table(["", "covered", "± 1.96 s.e."], cells)]
    for title, rows in pairs:
        heads = ["", "covered", "± 1.96 s.e.", "told apart", "± 1.96 s.e."]
        cells = [
            [row.title + ", equal" * row.equal]
            + [f"{share:.1%}" for share in (row.covered, row.rival, row.told, row.rival_told)]
            for row in rows
        ]
        lines += ["", f"### Differences: {title}", "", *_table(heads, cells)]
    cells = [[row.title, f"{row.covered:.1%}", f"{row.rival:.1%}"] for row in _limits(runs)]
    lines += ["", "### Known limits", "", *_table(["", "covered", "± 1.96 s.e."], cells)]
    heads = ["", "covered", "percentile bootstrap", "basic", "BCa"]
    lines += ["", "### Means: bootstraps", "", *_table(heads, _bootstrap(runs // 4))]
    heads = ["", "covered", "error of a rating (s.d.)"]
    lines += ["", "### Ratings", "", *_table(heads, _ratings(runs // 5))]
    heads = ["", "samples_needed", "told apart with so many"]
    lines += ["", "### Power of 80 %", "", *_table(heads, _power(runs // 2))]
    lines += ["", "### Time", "", *_table(["", "ms, median of 20"], _time())]
    return "\n".join(lines)


def _time() -> list[list[str]]:
    random = np.random.default_rng(5)
    values = random.random(1000).tolist()
    tasks = [(random.random(200), random.random(200), None, 1.0) for _ in range(8)]
    rows = []
    for title, call in (
        ("mean of 1,000 values", lambda: mean(values)),
        ("weighted_paired, 8 tasks of 200 samples", lambda: weighted_paired(tasks)),
    ):
        times = []
        for _ in range(20):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        rows.append([title, f"{statistics.median(times) * 1000:.1f}"])
    return rows


def _short(kinds: Sequence[tuple[str, list[Row]]], error: float) -> list[str]:
    cells = []
    for title, rows in kinds:
        pairs = rows[0].told is not None
        slack = 0 if "exact" in title else 2 * error
        for equal in (False, True) if pairs else (False,):
            some = [row for row in rows if row.equal == equal]
            if not some:
                continue
            covered = [row.covered for row in some]
            inside = sum(0.93 - slack <= share <= 0.97 + slack for share in covered)
            told = max(row.told or 0.0 for row in some)
            name = f"{'Differences' if pairs else 'Means'}: {title}" + ", equal models" * equal
            rivals = statistics.fmean(row.rival for row in some)
            edges = f"{min(covered):.1%} to {max(covered):.1%}"
            cell = [name, f"{statistics.fmean(covered):.1%}", edges, f"{inside} of {len(some)}"]
            cells.append([*cell, f"{rivals:.1%}", f"{told:.1%}" if equal else ""])
    heads = [
        "",
        "covered, mean",
        "range",
        "rows within 93 to 97 %",
        "± 1.96 s.e.",
        "wrongly told, most",
    ]
    return _table(heads, cells)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [list(heads), ["---"] * len(heads), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Simulated coverage of intervals and verdicts.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the simulations")
    print(report(parser.parse_args().quick))

"""Strategies on spaces that were measured whole: a point's value is seen when it is asked for.

The figures of a part of the questions are those of the first ones, as in a study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from statistics import fmean, median
from typing import Any

from tuning_tables import TABLES, Table

from workbench.search import search
from workbench.space import key_of
from workbench.statistics import paired

_SHARE = 5  # one in so many points may be evaluated
_NAMES = (
    "bayesian_optimization", "bayesian_optimization_tpe", "evolutionary", "random_search",
    "grid_search",
)  # fmt: skip
_BUDGET = 0.4  # of random search's questions, which Hyperband may ask
_ABOUT = """\
A seed reaches the goal when one of its first 20 % of evaluations is within 5 % of the best of all
points (wanted of the Bayesian ones: 9 of 10). What a point is worth has noise of its own: it
is the mean of the questions that stand in the table."""
_HYPERBAND = """\
Hyperband asks at most 40 % of the questions that random search asks for 20 % of the points, and
takes the best of the points that it asked in full; the difference is paired by seed, with a 95 %
interval. The last column is how many seeds had what random search had, and the share of its
questions that they needed for it (median)."""


def report(quick: bool) -> str:
    """Both tables, all strategies."""
    seeds = range(10 if quick else 40)
    parts = [_ABOUT]
    lines = [
        "| space | strategy | seeds within 5 % | after (median) | mean of the best | seeds within "
        "1 % |",
        "|---|---|---|---|---|---|",
    ]
    for table in TABLES:
        values = table.read()
        whole = {key: fmean(row) for key, row in values.items()}
        parts.append(_described(table, whole))
        lines += [_row(table, values, whole, name, seeds) for name in _NAMES]
    halved = [
        "| space | random search, mean of the best | Hyperband | difference | as good, with "
        "questions |",
        "|---|---|---|---|---|",
    ]
    halved += [_hyperband(table, table.read(), seeds) for table in TABLES]
    return "\n".join([*parts, "", *lines, "", _HYPERBAND, "", *halved])


def _described(table: Table, whole: Mapping[str, float]) -> str:
    best, default = max(whole.values()), whole[key_of(table.space.default())]
    near = sum(value >= 0.95 * best for value in whole.values())
    return (
        f"The space {table.title}: {len(whole)} points, {table.questions} questions; best "
        f"{best:.4f}, default {default:.4f}, median {median(whole.values()):.4f}; {near} points "
        "are within 5 % of the best."
    )


def _row(
    table: Table, values: Mapping[str, list[float]], whole: Mapping[str, float], name: str,
    seeds: Sequence[int],
) -> str:  # fmt: skip
    best, budget = max(whole.values()), len(whole) // _SHARE
    runs = [search(table.space, name, "maximize_quality", asked(values), budget, seed=seed)
            for seed in seeds]  # fmt: skip
    found = [[whole[key_of(one.point)] for one in run.trials] for run in runs]
    first = [next((n for n, v in enumerate(row, 1) if v >= 0.95 * best), None) for row in found]
    hit = [n for n in first if n is not None]
    fine = sum(max(row) >= 0.99 * best for row in found)
    return (
        f"| {table.title} | {name} | {len(hit)} of {len(first)} "
        f"| {f'{median(hit):.0f}' if hit else 'never'} of {budget} "
        f"| {fmean(max(row) for row in found):.4f} | {fine} of {len(first)} |"
    )


def _hyperband(table: Table, values: Mapping[str, list[float]], seeds: Sequence[int]) -> str:
    """Hyperband within its budget, beside random search."""
    whole = {key: fmean(row) for key, row in values.items()}
    trials = len(whole) // _SHARE
    theirs, ours, shares = [], [], []
    for seed in seeds:
        random = search(
            table.space, "random_search", "maximize_quality", asked(values), trials, seed=seed
        )
        wanted = max(whole[key_of(one.point)] for one in random.trials)
        fast = search(
            table.space, "hyperband", "maximize_quality", asked(values), 3 * trials, seed=seed
        )
        best, spent, reached = 0.0, 0.0, None
        for one in fast.trials:
            spent += one.share
            if spent > _BUDGET * random.cost:
                break
            if one.state == "done":
                best = max(best, whole[key_of(one.point)])
                if reached is None and best >= wanted:
                    reached = spent / random.cost
        theirs.append(wanted)
        ours.append(best)
        shares += [reached] if reached is not None else []
    off = paired(ours, theirs)
    needed = f", {median(shares):.0%}" if shares else ""
    return (
        f"| {table.title} | {fmean(theirs):.4f} | {fmean(ours):.4f} "
        f"| {off.value:+.4f} ({off.low:+.4f} to {off.high:+.4f}) "
        f"| {len(shares)} of {len(seeds)}{needed} |"
    )


def asked(
    table: Mapping[str, list[float]],
) -> Callable[[Mapping[str, Any], float], dict[str, float | None]]:
    """A point's figures after a share of the questions, from the table."""

    def evaluate(point: Mapping[str, Any], share: float) -> dict[str, float | None]:
        values = table[key_of(point)]
        return {"quality": fmean(values[: ceil(share * len(values))])}

    return evaluate

"""Tuning against what it should beat, on a space that was measured whole.

    python benchmarks/tuning.py            strategies on the recorded table, the tuner's overhead
    python benchmarks/tuning.py --record   measure the table anew (builds a starter: 10 minutes)

The table holds, for each of 240 points of sampling settings, what a starter model's answers to the
same questions were worth. A strategy sees a point's value only when it asks; the first questions
alone, where it asks for a part. Random search is the rival, with the same seeds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from math import ceil
from pathlib import Path
from typing import Any

from workbench.search import search
from workbench.space import Parameter, Space, key_of

TABLE = Path(__file__).with_name("data") / "tuning_sampling.csv"
SUITE = TABLE.with_name("tuning_suite.yaml")
QUESTIONS, SEED = 32, 1
SEEDS = range(10)
SPACE = Space("table", "Table", "", (
    Parameter("temperature", "sampling", "float", 0.2, 1.4, step=0.3, default=0.8),
    Parameter("top_p", "sampling", "choice", choices=(0.5, 0.7, 0.85, 1.0), default=0.85),
    Parameter("top_k", "sampling", "choice", choices=(10, 40, 100), default=40),
    Parameter("repeat_penalty", "sampling", "float", 1.0, 1.3, step=0.1, default=1.0),
))  # fmt: skip
Table = Mapping[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="measure the table anew")
    parser.add_argument("--model", default="", help="a model that is there, instead of a starter")
    given = parser.parse_args()
    if given.record:
        record(given.model)
    else:
        strategies(read())
        overhead()


def read() -> Table:
    with TABLE.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    points = [{one.name: json.loads(row[one.name]) for one in SPACE.parameters} for row in rows]
    values = [[float(value) for value in row["values"].split()] for row in rows]
    return {key_of(point): row for point, row in zip(points, values, strict=True)}


def strategies(table: Table) -> None:
    """How near the best, after how many evaluations; how many questions for the same quality."""
    whole = {key: statistics.fmean(values) for key, values in table.items()}
    best, default = max(whole.values()), whole[key_of(SPACE.default())]
    budget = len(table) // 5
    middle = statistics.median(whole.values())
    print(f"{len(table)} points, best {best:.4f}, default {default:.4f}, median {middle:.4f}")
    print(f"{budget} evaluations are 20 %")
    near = [sum(value >= edge * best for value in whole.values()) for edge in (0.95, 0.99)]
    print(f"within 5 % of the best: {near[0]} points; within 1 %: {near[1]}\n")
    print(
        f"{'strategy':26}{'within 5 %':>12}{'after (median)':>16}{'mean of best':>14}{'of 1 %':>8}"
    )
    names = ("bayesian_optimization", "evolutionary", "random_search", "grid_search")
    for name in names:
        runs = [search(SPACE, name, "maximize_quality", asked(table), budget, seed=seed)
                for seed in SEEDS]  # fmt: skip
        values = [[whole[key_of(one.point)] for one in run.trials] for run in runs]
        first = [
            next((n for n, v in enumerate(row, 1) if v >= 0.95 * best), None) for row in values
        ]
        hit = [n for n in first if n is not None]
        fine = sum(max(row) >= 0.99 * best for row in values)
        middle = statistics.median(hit) if hit else float("nan")
        mean = statistics.fmean(max(row) for row in values)
        row = (f"{len(hit)} of {len(first)}", f"{middle:.0f}", f"{mean:.4f}", str(fine))
        print(f"{name:24}" + "".join(f"{cell:>16}" for cell in row))
    _hyperband(table, whole, budget)


def _hyperband(table: Table, whole: Mapping[str, float], trials: int) -> None:
    """The questions that Hyperband asks until it has what random search has at its end."""
    shares, reached = [], 0
    for seed in SEEDS:
        random = search(SPACE, "random_search", "maximize_quality", asked(table), trials, seed=seed)
        wanted = max(whole[key_of(one.point)] for one in random.trials)
        fast = search(SPACE, "hyperband", "maximize_quality", asked(table), 2 * trials, seed=seed)
        spent = 0.0
        for one in fast.trials:
            spent += one.share
            if one.state == "done" and whole[key_of(one.point)] >= wanted:
                reached += 1
                break
        shares.append(spent / random.cost)
    print(f"\nhyperband: what random search has after {trials} trials it reaches in {reached} of "
          f"{len(shares)} seeds,\nwith {statistics.median(shares):.0%} of the questions (median; "
          f"worst {max(shares):.0%}); to reach: 40 %")  # fmt: skip


def asked(table: Table) -> Callable[[Mapping[str, Any], float], dict[str, float | None]]:
    """A point's figures after a share of the questions, from the table."""

    def evaluate(point: Mapping[str, Any], share: float) -> dict[str, float | None]:
        values = table[key_of(point)]
        return {"quality": statistics.fmean(values[: ceil(share * len(values))])}

    return evaluate


def overhead() -> None:
    """What the tuner itself takes per trial: asking, telling, the record on SQLite."""
    from workbench.space import find_space

    with tempfile.TemporaryDirectory() as home:
        os.environ["WORKBENCH_HOME"] = home
        space = find_space("everything")
        print(f"\noverhead of 100 trials over {len(space.parameters)} parameters, per trial")
        for name in ("bayesian_optimization", "evolutionary", "random_search"):
            search(space, name, "maximize_quality", lambda *_: {"quality": 0.5}, 3, storage="warm")
            begun, busy = time.perf_counter(), time.process_time()
            search(space, name, "maximize_quality", _any, 100, storage=name)
            seconds, busy = time.perf_counter() - begun, time.process_time() - busy
            print(f"  {name:24}{seconds * 10:6.1f} ms ({busy * 10:.1f} ms of the processor)")


def _any(point: Mapping[str, Any], share: float) -> dict[str, float | None]:
    return {"quality": float(int(key_of(point)[:6], 16) % 1000) / 1000}


def record(model: str) -> None:
    """Every point on the same questions, in rising numbers of them; what was answered is kept, so
    a second call goes on."""
    from workbench.trial import Bench, questions

    wanted = questions(str(SUITE), seed=SEED, count=QUESTIONS)
    points = list(SPACE.grid(10_000))
    TABLE.parent.mkdir(exist_ok=True)
    with Bench(model or _starter(), wanted, SPACE, timed=False) as bench:
        for count in (QUESTIONS // 4, QUESTIONS // 2, QUESTIONS):
            rows = []
            for number, point in enumerate(points, 1):
                found = bench.measure(point, count)
                values = " ".join(f"{answer.value or 0:.4g}" for answer in found.answers)
                rows.append([*(found.point[one.name] for one in SPACE.parameters), values])
                if number % 20 == 0:
                    print(f"{number} of {len(points)} points, {count} questions", flush=True)
            with TABLE.open("w", newline="", encoding="utf-8") as file:
                lines = csv.writer(file, lineterminator="\n")
                lines.writerow([*SPACE.names, "values"])
                lines.writerows(rows)


def _starter() -> str:
    from workbench.engines import connect
    from workbench.export import find_model
    from workbench.starter import build_starter

    with connect() as engine:
        if find_model(engine, "starter") is None:
            build_starter(minutes=4)
    return "starter"


if __name__ == "__main__":
    main()

"""Two spaces of sampling settings, measured whole with a real starter model.

    python benchmarks/tuning_tables.py [--model NAME] [--only TITLE]

A row is a point and what the model's answers to the same questions were worth under it. The first
table was looked at while the strategies were made; the second was not measured before they were.
Answers are kept while a table is measured, so that a second call goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.space import Parameter, Space, key_of

DATA = Path(__file__).with_name("data")
Values = Mapping[str, list[float]]  # by the key of the point


@dataclass(frozen=True)
class Table:
    """A space, a suite of one task, and the file with what was measured."""

    title: str
    stem: str
    space: Space
    questions: int
    seed: int = 1

    @property
    def file(self) -> Path:
        return DATA / f"{self.stem}.csv"

    def read(self) -> Values:
        """Each point's values, question by question."""
        with self.file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        names = self.space.names
        points = [{name: json.loads(row[name]) for name in names} for row in rows]
        values = [[float(value) for value in row["values"].split()] for row in rows]
        return {key_of(point): row for point, row in zip(points, values, strict=True)}


FILL = Table("fill", "tuning_fill", Space("fill", "Fill in", "", (
    Parameter("temperature", "sampling", "float", 0.2, 1.4, step=0.3, default=0.8),
    Parameter("top_p", "sampling", "choice", choices=(0.5, 0.7, 0.85, 1.0), default=0.85),
    Parameter("top_k", "sampling", "choice", choices=(10, 40, 100), default=40),
    Parameter("repeat_penalty", "sampling", "float", 1.0, 1.3, step=0.1, default=1.0),
)), 32)  # fmt: skip
LINES = Table("lines", "tuning_lines", Space("lines", "Lines", "", (
    Parameter("temperature", "sampling", "float", 0.1, 1.3, step=0.3, default=0.7),
    Parameter("min_p", "sampling", "choice", choices=(0.0, 0.05, 0.1, 0.2), default=0.05),
    Parameter("repeat_penalty", "sampling", "choice", choices=(1.0, 1.1, 1.25), default=1.1),
    Parameter("repeat_last_n", "sampling", "choice", choices=(0, 16, 64, 256), default=64),
)), 48, seed=2)  # fmt: skip
TABLES = (FILL, LINES)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="", help="a model that is there, instead of a starter")
    parser.add_argument("--only", choices=[table.title for table in TABLES])
    given = parser.parse_args()
    for table in TABLES:
        if given.only in (None, table.title):
            record(table, given.model or starter())


def record(table: Table, model: str) -> None:
    """Every point on the same questions, in rising numbers of them."""
    from workbench.trial import Bench, questions

    suite = str(table.file.with_suffix(".yaml"))
    wanted = questions(suite, seed=table.seed, count=table.questions)
    points = list(table.space.grid(10_000))
    with Bench(model, wanted, table.space, figures={"quality"}) as bench:
        for count in (table.questions // 4, table.questions // 2, table.questions):
            rows = []
            for number, point in enumerate(points, 1):
                found = bench.measure(point, count)
                values = " ".join(f"{answer.value or 0:.4g}" for answer in found.answers)
                rows.append([*(found.point[name] for name in table.space.names), values])
                if number % 20 == 0:
                    print(f"{number} of {len(points)} points, {count} questions", flush=True)
            with table.file.open("w", newline="", encoding="utf-8") as file:
                lines = csv.writer(file, lineterminator="\n")
                lines.writerow([*table.space.names, "values"])
                lines.writerows(rows)


def starter() -> str:
    """The name of the starter, which is made where there is none."""
    from workbench.engines import connect
    from workbench.export import find_model
    from workbench.starter import build_starter

    with connect() as engine:
        if find_model(engine, "starter") is None:
            build_starter(minutes=4)
    return "starter"


if __name__ == "__main__":
    main()

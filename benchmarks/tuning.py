"""Tuning against what it should beat.

    python benchmarks/tuning.py [--strategies] [--thrift] [--overhead] [--quick] [--write]
    python benchmarks/tuning_tables.py [--model NAME]     measure the tables anew

Strategies: on two spaces of 240 points that were measured whole (`tuning_tables`), how near the
best after 20 % of the evaluations, and what Hyperband needs for the quality of random search.
Thrift: a study of a real model, and then its trials again, each with a load of its own and without
what was answered before. Overhead: what the tuner itself takes for a trial.

`--write` puts the tables into docs/benchmarks/tuning.md. Thrift needs a model of the name starter
in the engine, and builds one where there is none (some minutes).
"""

from __future__ import annotations

from reports import run

_PARTS = {
    "Strategies": "tuning_strategies",
    "Thrift": "tuning_thrift",
    "Overhead": "tuning_overhead",
}
_TITLE = "# Tuning: strategies, thrift and overhead\n"

if __name__ == "__main__":
    run("tuning", __doc__, _TITLE, _PARTS, "fewer seeds and trials")

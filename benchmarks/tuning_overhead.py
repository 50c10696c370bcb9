"""What the tuner itself takes per trial: asking, telling, the record on SQLite."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from workbench.search import search
from workbench.space import find_space, key_of

_STRATEGIES = ("bayesian_optimization", "evolutionary", "random_search")


def report(quick: bool) -> str:
    """Trials whose values cost nothing."""
    trials = 40 if quick else 100
    with tempfile.TemporaryDirectory() as home:
        os.environ["WORKBENCH_HOME"] = home
        space = find_space("everything")
        lines = [
            f"{trials} trials over {len(space.parameters)} parameters, whose values cost nothing "
            "(wanted: under 50 ms a trial).",
            "",
            "| strategy | ms per trial | of the processor |",
            "|---|---|---|",
        ]
        for name in _STRATEGIES:
            search(space, name, "maximize_quality", _any, 10, storage="warm")  # libraries
            begun, busy = time.perf_counter(), time.process_time()
            search(space, name, "maximize_quality", _any, trials, storage=name)
            seconds, busy = time.perf_counter() - begun, time.process_time() - busy
            lines.append(f"| {name} | {1e3 * seconds / trials:.1f} | {1e3 * busy / trials:.1f} |")
    return "\n".join(lines)


def _any(point: Mapping[str, Any], share: float) -> dict[str, float | None]:
    return {"quality": float(int(key_of(point)[:6], 16) % 1000) / 1000}

"""Runs with known scores in the store, for tests of what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from workbench.bench import Answer, Plan, Run
from workbench.bench import _keep as keep
from workbench.bench._summary import summarise

FACTS = {
    "engine": "embedded", "engine_version": "0.33.0", "quantisation": "Q8_0",
    "machine": {"cpu": "Some <b>cpu</b>", "logical_cores": 2}, "libraries": {"workbench": "0.1"},
    "noise": {"words": "Other programs took 3% of the processors."},
    "memory": {"peak": 500_000_000},
}  # fmt: skip


def kept_run(
    model: str,
    scores: Mapping[str, Sequence[float | None]],
    *,
    suite: str = "mine",
    seed: int = 0,
    weights: Mapping[str, float] | None = None,
    groups: int = 0,
    options: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
    outputs: str = "answer",
) -> Run:
    """A finished run of these scores by task; `groups` puts so many samples into each group."""
    tasks = [
        {
            "name": name, "title": name.title(), "weight": (weights or {}).get(name, 1.0),
            "mode": "chat", "metric": "exact", "count": len(values), "how": "asked",
            "refused": "", "fingerprint": f"{name}{len(values)}{seed}", **(more or {}),
        }
        for name, values in scores.items()
    ]  # fmt: skip
    plan = Plan(model, suite, seed=seed, options=options or {})
    run = keep.begin(plan, digest=f"{model}-digest", tasks=tasks, suite=suite, facts=FACTS)
    for name, values in scores.items():
        for place, value in enumerate(values):
            group = f"g{place // groups}" if groups else ""
            about = {"prompt": f"Question {place}?", "target": "yes", "group": group}
            keep.save(run, Answer(
                name, f"s{place:04}", place, about, "asked", f"{outputs} {place} of {model}",
                figures={"tokens": 100, "generation_seconds": 2.0, "seconds": 2.5,
                         "prompt_tokens": 400, "prompt_seconds": 1.0, "first_token": 0.5},
                value=value,
                scores={"exact": {"value": value, "detail": "because", "parts": {}}},
                error=None if value is not None else "the engine said no",
            ))  # fmt: skip
    return summarise(keep.note(run, state="done", ended_at=datetime.now(UTC)))

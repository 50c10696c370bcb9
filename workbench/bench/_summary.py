"""What a run found, in a few numbers that are kept with it, for whoever ranks models.

A result belongs to a digest, not to a name, and is compared only with results of the same
questions: so the setting names them by the beginning of a hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workbench.bench import _keep as keep
from workbench.bench._records import Run
from workbench.bench._results import result
from workbench.statistics import Interval

METRIC = "Workbench"  # what own metrics' names begin with


@dataclass(frozen=True, slots=True)
class Summary:
    """One score of one version of a model. `value` is 0 to 1."""

    model: str
    digest: str
    metric: str  # "Workbench code", of a suite; "Workbench arithmetic", of a task
    value: float
    low: float
    high: float
    n: int
    setting: str
    run: str
    at: datetime


def summarise(run: Run) -> Run:
    """Keep the run's scores with it."""
    found = result(run)
    kept = {"suite": _figures(found.score)} | {t.task: _figures(t.score) for t in found.tasks}
    return keep.note(run, facts={**run.facts, "summary": kept})


def _figures(score: Interval | None) -> list[float] | None:
    if score is None or score.value is None:
        return None
    return [score.value, score.low, score.high, score.n]


def summaries() -> list[Summary]:
    """The newest score of each version of a model, metric and setting that was measured here."""
    found: dict[tuple[str, str, str], Summary] = {}
    for run in keep.runs():
        kept: Mapping[str, Any] = run.facts.get("summary") or {}
        if run.state != "done" or not kept:
            continue
        for name, figures in kept.items():
            if figures is None:
                continue
            metric = f"{METRIC} {run.suite if name == 'suite' else name}"
            value, low, high, n = figures
            setting = setting_of(run, "" if name == "suite" else name)
            one = Summary(
                run.model, run.digest, metric, value, low, high, int(n), setting, run.id,
                run.created_at,
            )  # fmt: skip
            found.setdefault((run.digest, metric, setting), one)
    return list(found.values())


def setting_of(run: Run, task: str = "") -> str:
    """Under what a score compares: the questions, how they were asked, and options."""
    tasks = [one for one in run.tasks if not task or one["name"] == task]
    asked = sorted(f"{t['fingerprint']} {t['how']}" for t in tasks if not t["refused"])
    key = hashlib.sha256(" ".join(asked).encode()).hexdigest()[:8]
    words = [f"questions {key}", f"seed {run.seed}", run.setting]
    return ", ".join(filter(None, words))

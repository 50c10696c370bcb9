"""One question and its scorers, for tests of scoring."""

from __future__ import annotations

from typing import Any

from workbench.tasks import Sample, ScorerUse, Task, Tools, Verdict, score


def verdict(
    scorer: str, answer: str, target: Any = None, *, tools: Tools | None = None,
    sample: dict[str, Any] | None = None, **options: Any,
) -> Verdict:  # fmt: skip
    """What one scorer says, through `score`, as a run would hear it."""
    asked = Sample("1", **{"prompt": "A question?", "target": target, **(sample or {})})
    task = Task("t", "t", "chat", (ScorerUse(scorer, options),), lambda seed: [asked])
    return score(task, asked, answer, tools)[scorer]


def value(scorer: str, answer: str, target: Any = None, **rest: Any) -> float | None:
    return verdict(scorer, answer, target, **rest).value

"""Which of two embedding models finds the passage that answers a question, over one small set.

The score of a question is 1 over the rank of its passage among all; both models have the same
questions, so they are compared pair by pair. It is a check against a model that finds nothing, not
a benchmark of search: the set is small and in English.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.engines import Engine

_SET = Path(__file__).parent / "data" / "retrieval.json"


@cache
def pairs() -> tuple[tuple[str, str], ...]:
    """Questions, each with the passage that answers it."""
    return tuple((one["question"], one["passage"]) for one in json.loads(_SET.read_text("utf-8")))


def reciprocal_ranks(engine: Engine, model: str) -> list[float]:
    """Of each question 1 over the rank of its passage. Raises EngineError."""
    import numpy as np

    questions, passages = zip(*pairs(), strict=True)
    made = np.array(engine.embed(model, [*questions, *passages]).vectors, np.float64)
    made /= np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
    cosines = made[: len(questions)] @ made[len(questions) :].T
    ranks = 1 + (cosines > np.diag(cosines)[:, None]).sum(axis=1)
    return [float(1 / rank) for rank in ranks]


def compare_retrieval(engine: Engine, new: str, old: str) -> dict[str, Any]:
    """Scores of both, and the verdict about the new one; `old` "" is none to compare with."""
    from dataclasses import asdict

    from workbench.statistics import decide, paired

    after = reciprocal_ranks(engine, new)
    found: dict[str, Any] = {
        "model": new, "questions": len(after), "score": sum(after) / len(after), "verdict": None,
    }  # fmt: skip
    mean = f"{new} finds {found['score']:.0%} (mean reciprocal rank, {len(after)} questions)"
    if not old:
        return {**found, "words": f"{mean}; there is no model to compare it with."}
    before = reciprocal_ranks(engine, old)
    [difference] = decide([paired(after, before)])
    told = {
        "better": "better for certain", "worse": "worse for certain",
        "undecided": "they cannot be told apart",
    }[difference.verdict]  # fmt: skip
    words = (
        f"{mean}, {old} {sum(before) / len(before):.0%}: {told} "
        f"(difference {difference.low * 100:+.1f} to {difference.high * 100:+.1f} points)."
    )
    return {
        **found, "before": sum(before) / len(before), "verdict": difference.verdict,
        "difference": asdict(difference), "words": words,
    }  # fmt: skip

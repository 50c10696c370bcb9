"""Documents for the tests of cleaning, and what is left of them."""

from __future__ import annotations

import json
import random
from pathlib import Path

from workbench.gather import Document
from workbench.refine import Report, Rules, clean

WORDS = [f"{a}{b}" for a in ("ka", "lo", "mi", "tu", "re") for b in ("ran", "sel", "dor", "vim")]
RANDOM = "q7Rz2mXk9LpW4tVb8NcY"


def prose(seed: int, words: int = 200) -> str:
    chance = random.Random(seed)
    return "\n".join(" ".join(chance.choices(WORDS, k=10)) for _ in range(words // 10))


def run(folder: Path, *documents: Document, **rules: object) -> tuple[Report, dict[str, str]]:
    """The report and the texts that are left, by address."""
    settings: dict[str, object] = {"suites": (), "near": 0.0, **rules}
    report = clean(documents, Rules(**settings), folder)  # type: ignore[arg-type]
    lines = (folder / "corpus.jsonl").read_text("utf-8").splitlines()
    return report, {row["about"]["address"]: row["text"] for row in map(json.loads, lines)}

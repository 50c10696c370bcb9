"""A small suite of one task, for tests that ask a tiny model something."""

from __future__ import annotations

from pathlib import Path

TASK = """
name: words
title: Words that go on
mode: complete
samples:
{samples}
scorers: [chrf]
options: {{num_predict: {predict}}}
"""
_SUITE = "name: mine\ntitle: My suite\ntasks: [words.yaml]\n"


def write_suite(folder: Path, count: int = 40, predict: int = 8) -> str:
    """A suite of so many questions, answered in so many tokens; its path."""
    samples = "\n".join(
        f'  - {{id: s{n}, prompt: "def f{n}(x):", target: "return x + {n}"}}' for n in range(count)
    )
    task = TASK.format(samples=samples, predict=predict)
    (folder / "words.yaml").write_text(task, encoding="utf-8")
    (folder / "all.yaml").write_text(_SUITE, encoding="utf-8")
    return str(folder / "all.yaml")

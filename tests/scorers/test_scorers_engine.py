"""Scorers that need a model, with real ones: a judge that speaks, one that babbles, embeddings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from asked import verdict
from embedded.parrot import write_parrot
from tiny import CHATML

from workbench.engines import Engine
from workbench.scorers import Tools, judge_pair


@pytest.fixture(scope="module")
def engine(
    tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path, tiny_embedding_gguf: Path
) -> Iterator[Engine]:
    """An engine with `judge` (gives a 4), `first` (prefers the first), `babble` and `embed`."""
    home = tmp_path_factory.mktemp("tasks-engine")
    graded = write_parrot(home / "judge.gguf", ["It is", " fine.\n", "GRADE: ", "4"], CHATML)
    first = write_parrot(home / "first.gguf", ["Both try.\n", "WINNER: ", "1"], CHATML)
    files = {"judge": graded, "first": first, "babble": tiny_gguf, "embed": tiny_embedding_gguf}
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.embedded", "--home", str(home), "--port", "0"],
        env={k: v for k, v in os.environ.items() if not k.startswith(("WORKBENCH_", "OLLAMA_"))},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        with Engine(process.stdout.readline().strip()) as connected:
            for name, path in files.items():
                *_, last = connected.create(name, files=path)
                assert last.status == "success"
            yield connected
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def tools(engine: Engine, name: str) -> Tools:
    def judge(prompt: str) -> str:
        options = {"temperature": 0, "num_predict": 64}
        messages = [{"role": "user", "content": prompt}]
        return engine.chat(name, messages, options=options).text

    return Tools(judge=judge, judge_name=name)


def test_a_judge_gives_a_grade(engine: Engine) -> None:
    found = verdict("judge", "x = 1", "x = 1", tools=tools(engine, "judge"))
    assert (found.value, found.detail) == (0.75, "judge: It is fine. GRADE: 4")


def test_a_judge_that_babbles(engine: Engine) -> None:
    found = verdict("judge", "x = 1", tools=tools(engine, "babble"))
    assert found.value is None and "no grade from 1 to 5" in found.detail
    assert judge_pair("q", "x", "y", tools(engine, "babble"))[0] is None


def test_a_judge_that_is_swayed_by_the_place(engine: Engine) -> None:
    winner, why = judge_pair("q", "x", "y", tools(engine, "first"))
    assert winner == "tie" and "first order" in why


def test_embeddings(engine: Engine) -> None:
    embedding = Tools(embed=lambda texts: engine.embed("embed", list(texts)).vectors)
    near = verdict("similarity", "def read(path):", "def read(path):", tools=embedding)
    assert near.value == pytest.approx(1, abs=1e-5)
    far = verdict("similarity", "def read(path):", "import os", tools=embedding)
    assert far.value is not None and far.value < 0.999

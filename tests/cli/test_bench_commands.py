"""`workbench bench`: from a question file to a report, on a real engine, in a real job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

TASK = """
name: words
title: Words that go on
mode: complete
samples:
  - {id: a, prompt: "import os", target: "e"}
  - {id: b, prompt: "def f(x):", target: "qqqq"}
  - {id: c, prompt: "class A:", target: "s"}
scorers: [includes]
options: {num_predict: 8}
"""


@pytest.fixture
def task(tmp_path: Path) -> str:
    path = tmp_path / "words.yaml"
    path.write_text(TASK, encoding="utf-8")
    return str(path)


@pytest.fixture
def measured(run: Any, session_engine: str, task: str) -> tuple[str, str]:
    """Ids of a run of `tiny` and one of `endless`."""
    done = run(
        "bench", "run", "tiny", "endless", "-s", task, "--engine", session_engine, timeout=120
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [line[2] for line in lines] == ["tiny", "endless"]
    assert {line[1] for line in lines} == {"done"}
    return lines[0][0], lines[1][0]


def told(done: Any) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_run_show_compare_report(run: Any, measured: tuple[str, str], tmp_path: Path) -> None:
    one, two = measured
    shown = run("bench", "show", one).stdout
    assert "tiny on words" in shown and "Words that go on" in shown
    facts = told(run("bench", "show", one, "--json"))
    assert facts["model"] == "tiny" and facts["score"]["n"] == 3
    assert facts["tasks"][0]["metric"] == "includes"
    answers = told(run("bench", "show", one, "--wrong", "--json"))
    assert any(answer["about"]["target"] == "qqqq" for answer in answers)

    compared = run("bench", "compare", one[:6], two[:6])
    assert "cannot be told apart" in compared.stdout or "is better than" in compared.stdout
    pair = told(run("bench", "compare", one, two, "--flips", "--json"))
    assert pair["pairs"][0]["overall"]["n"] == 3 and isinstance(pair["flips"], list)

    board = told(run("bench", "board", "words", "--json"))
    assert {row["model"] for row in board["rows"]} == {"tiny", "endless"}
    assert "RANK" in run("bench", "board", "words").stdout

    page = tmp_path / "report.html"
    assert run("bench", "report", one, two, "-o", str(page)).returncode == 0
    assert "<table>" in page.read_text("utf-8")
    assert run("bench", "report", one, "--format", "csv").stdout.startswith("run,id,model")
    assert "| Run |" in run("bench", "report", one, two, "--format", "markdown").stdout

    assert told(run("bench", "rescore", one, "--json"))["id"] == one
    refused = run("bench", "rm", one, input="n\n")
    assert refused.returncode == 130
    assert told(run("bench", "rm", one, "--yes", "--json")) == {"removed": [one]}
    gone = run("bench", "show", one)
    assert gone.returncode == 1 and "There is no run" in gone.stderr


def test_settings_are_a_matrix(run: Any, session_engine: str, task: str) -> None:
    done = run(
        "bench", "run", "tiny", "-s", task, "--limit", "1", "--setting", "num_ctx=256",
        "--setting", "num_ctx=512,top_k=5", "--engine", session_engine, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "tiny (num_ctx 256)" in done.stdout and "tiny (num_ctx 512, top_k 5)" in done.stdout


def test_suites(run: Any) -> None:
    listed = told(run("bench", "suites", "--json"))
    names = {suite["name"] for suite in listed}
    assert {"code", "reading-code", "reasoning", "assistant", "quick"} <= names
    assert {"health", "legal", "finance", "development"} <= names
    one = run("bench", "suites", "code")
    assert "python_functions" in one.stdout


def test_what_cannot_be_measured(run: Any, session_engine: str, task: str) -> None:
    absent = run("bench", "run", "absent", "-s", task, "--engine", session_engine, timeout=120)
    assert absent.returncode == 1 and "models pull absent" in absent.stderr
    unknown = run("bench", "run", "tiny", "-s", "cood", "--engine", session_engine)
    assert unknown.returncode == 1 and "code" in unknown.stderr
    broken = Path(task).with_name("broken.yaml")
    broken.write_text("name: broken\nmode: dance\n", encoding="utf-8")
    malformed = run("bench", "run", "tiny", "-s", str(broken), "--engine", session_engine)
    assert malformed.returncode == 1 and "broken.yaml" in malformed.stderr
    assert "line" in malformed.stderr
    option = run("bench", "run", "tiny", "-s", task, "--setting", "temprature=1")
    assert option.returncode == 2 and "temperature" in option.stderr


def test_serve_probe(run: Any, session_engine: str) -> None:
    done = run("bench", "serve-probe", "tiny", "--engine", session_engine, "--json", timeout=120)
    facts = json.loads(done.stdout)
    assert {"answers", "template", "likelihood"} <= {check["name"] for check in facts["checks"]}
    assert facts["usable"]["complete"]["how"] == "as asked"
    assert done.returncode in {0, 1}
    text = run("bench", "serve-probe", "tiny", "--engine", session_engine, timeout=120).stdout
    assert "CAN BE SCORED" in text

"""`workbench tune`: a study on a real engine in a real job, from a plan to a model that answers.

The commands run in this process: starting Python for each would take longer than the study.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench import jobs
from workbench.cli._main import run

Said = Callable[..., tuple[int, str, str]]
TASK = """
name: words
title: Words that go on
mode: complete
samples:
  - {id: a, prompt: "import os", target: "e"}
  - {id: b, prompt: "def f(x):", target: "x"}
  - {id: c, prompt: "class A:", target: "s"}
  - {id: d, prompt: "return", target: "n"}
scorers: [includes]
options: {num_predict: 6}
"""
SPACE = """
name: small
title: Small
parameters:
  - {name: temperature, choices: [0.0, 0.5, 1.0]}
  - {name: repeat_penalty, low: 1.0, high: 1.2, step: 0.1}
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "words.yaml").write_text(TASK, encoding="utf-8")
    (tmp_path / "small.yaml").write_text(SPACE, encoding="utf-8")
    return str(tmp_path / "words.yaml"), str(tmp_path / "small.yaml")


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], engine: str) -> Iterator[Said]:
    """`said("list")`: exit code, stdout and stderr of `workbench tune list`."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["tune", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    yield call
    jobs.stop_supervisor()


@pytest.fixture
def told(said: Said) -> Callable[..., Any]:
    """What a command prints for programs: the last line of it."""

    def call(*arguments: str) -> Any:
        code, out, err = said(*arguments, "--json")
        assert code == 0, err
        return json.loads(out.splitlines()[-1])

    return call


def test_from_a_plan_to_a_model(
    said: Said, told: Callable[..., Any], engine: str, files: tuple[str, str], tmp_path: Path
) -> None:
    suite, space = files
    made = told("create", "tiny", "-s", suite, "--space", space, "--strategy", "random_search",
                "--iterations", "4", "--samples", "2", "--held-out", "2", "--weight", "quality=2",
                "--weight", "memory=0.01", "--name", "mine")  # fmt: skip
    assert made["state"] == "created" and "2 * quality" in made["objectives"][0]
    job = told("start", "mine")
    assert job["state"] == "done" and job["result"]["study"] == made["id"]

    shown = told("status", made["id"][:6])
    assert shown["state"] == "done" and len(shown["trials"]) == 4
    first = shown["trials"][0]
    assert first["why"] == "default" and "answers" not in first["measured"]
    line = told("best", "mine", "--front")
    assert line and all(one["values"] for one in line)
    assert "too few" in said("report", "mine")[1] and "TRIAL" in said("status", "mine")[1]
    page = tmp_path / "page.html"
    written = said("report", "mine", "--format", "html", "--no-pictures", "-o", str(page))
    assert str(page) in written[1] and "What matters" in page.read_text("utf-8")
    table = list(csv.reader(said("report", "mine", "--format", "csv")[1].splitlines()))
    assert table[0][:4] == ["trial", "state", "temperature", "repeat_penalty"] and len(table) == 5

    other = next(one for one in shown["trials"] if one["point"] != first["point"])
    chosen = ("mine", "--trial", str(other["number"]))
    assert json.loads(told("export", *chosen)["text"])["options"] == other["point"]
    program = tmp_path / "ask.py"
    assert said("export", *chosen, "--form", "python", "-o", str(program))[0] == 0
    asked = subprocess.run([sys.executable, str(program), "import os"], capture_output=True,
                           text=True, timeout=60)  # fmt: skip
    assert asked.returncode == 0 and asked.stdout.strip(), asked.stderr
    assert told("apply", *chosen, "--name", "cli:best") == {"model": "cli:best"}
    code, _, taken = said("apply", *chosen, "--name", "cli:best")
    assert code == 1 and "cli:best" in taken

    assert told("extend", "mine", "--iterations", "1")["settings"]["iterations"] == 5
    again = told("copy", "mine", "--strategy", "grid_search")
    assert again["strategy"] == "grid_search" and again["space"] == made["space"]
    assert told("rm", made["id"], "--yes")["removed"] == [made["id"]]
    assert [one["id"] for one in told("list")] == [again["id"]]


def test_spaces(said: Said, told: Callable[..., Any], files: tuple[str, str]) -> None:
    names = {one["name"] for one in told("spaces")}
    assert {"general", "code", "creative", "analysis", "speed"} <= names
    shown = said("spaces", files[1])[1]
    assert "1 to 1.2 by 0.1" in shown and "0.0, 0.5, 1.0" in shown


def test_words_for_what_cannot_be(
    said: Said, told: Callable[..., Any], files: tuple[str, str]
) -> None:
    suite, space = files
    plan = ("create", "tiny", "-s", suite, "--space", space)
    cases: list[tuple[tuple[str, ...], int, str]] = [
        (("create", "tiny"), 2, "--suite"),
        ((*plan, "--strategy", "bayesan_optimization"), 1, "bayesian_optimization"),
        ((*plan, "--objective", "qualty"), 1, "quality"),
        ((*plan, "--objective", "quality", "--weight", "memory=1"), 2, "give one of them"),
        ((*plan, "--weight", "memory"), 2, "NAME=NUMBER"),
        ((*plan, "--iterations", "0"), 2, "iterations"),
        (("create", "absent", "-s", suite, "--space", space), 3, "models list"),
        (("status", "nothing"), 1, "nothing"),
    ]
    for arguments, code, words in cases:
        found, _, err = said(*arguments)
        assert found == code and words in err, (arguments, found, err)
    told(*plan, "--iterations", "3", "--name", "idle")
    code, _, err = said("best", "idle")
    assert code == 1 and "Nothing was measured" in err
    assert "measured nothing" in said("export", "idle")[2]
    assert "not run" in said("pause", "idle")[2]

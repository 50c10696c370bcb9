"""Exit codes, one sentence on stderr, tracebacks only on demand."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from workbench import errors
from workbench.cli._errors import NotFound, exit_code

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NOBODY = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.WorkbenchError("x"), 1),
        (errors.InvalidRequest("x"), 1),
        (click.UsageError("x"), 2),
        (errors.ModelNotFound("x"), 3),
        (NotFound("x"), 3),
        (errors.EngineUnreachable("x"), 4),
        (errors.StreamBroken("x"), 4),
        (errors.EngineBusy("x"), 5),
        (errors.NotEnoughMemory("x"), 5),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (BrokenPipeError(), 141),
        (ValueError("x"), 1),
    ],
    ids=repr,
)
def test_codes(error: BaseException, code: int) -> None:
    assert exit_code(error) == code


def test_an_error_of_ours_is_one_sentence(run: Run) -> None:
    done = run("generate", "m", "x", "--engine", NOBODY)
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_debug_adds_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG", "1")
    done = run("generate", "m", "x", "--engine", NOBODY)
    assert done.returncode == 4
    assert "Traceback" in done.stderr


def test_a_senseless_setting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_ENGINE", "gpu")
    done = run("models", "list")
    assert done.returncode == 1
    assert "WORKBENCH_ENGINE" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("modles",), "models"),
        (("models", "lst"), "list"),
        (("generate", "m", "x", "--statz"), "--stats"),
        (("generate", "m", "x", "-o", "tempratur=1"), "temperature"),
        (("generate", "m", "x", "-o", "temperature"), "key=value"),
        (("generate", "m", "x", "-o", "seed=abc"), "seed"),
        (("generate", "m", ""), "empty"),
        (("models", "rm"), "NAMES"),
        (("start", "--port", "70000"), "65535"),
        (("starter", "--minutes", "-1"), "minutes"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage(run: Run, arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "file" / "home"))
    done = run("jobs", "list")
    assert done.returncode == 1
    assert "WORKBENCH_HOME" in done.stderr

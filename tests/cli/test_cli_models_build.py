"""`workbench models build` against a real engine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
TEXT = "# ask: What is due?\n\nFROM tiny\nPARAMETER num_ctx 256\nSYSTEM Be exact.\n"


@pytest.fixture(autouse=True)
def _(engine: str, run: Run) -> Iterator[None]:
    """What a test makes goes away."""
    before = names(run)
    yield
    made = names(run) - before
    if made:
        run("models", "rm", "-y", *made)


def names(run: Run) -> set[str]:
    return {model["name"] for model in json.loads(run("models", "list", "--json").stdout)}


def test_a_domain_by_one_command(run: Run) -> None:
    done = run("models", "build", "-d", "health", "--base", "tiny")
    assert done.returncode == 0, done.stderr
    assert "asking it something" in done.stderr and "tiny-health:latest is made" in done.stderr
    assert done.stdout == "Try it: workbench chat tiny-health:latest\n"
    shown = json.loads(run("models", "show", "tiny-health", "--json").stdout)
    assert shown["system"].startswith("You help people to read and understand texts about health")
    again = run("models", "build", "-d", "health", "--base", "tiny")
    assert again.returncode == 1 and "There is a model tiny-health:latest already" in again.stderr
    done = run("models", "build", "-d", "health", "--base", "tiny", "--replace", "--json")
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert steps[-1]["status"] == "tiny-health:latest is made" and len(steps[-1]["digest"]) == 64


def test_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "Modelfile.taxes").write_text(TEXT, "utf-8")
    done = run("models", "build", "-f", "Modelfile.taxes", "--name", "my", cwd=tmp_path)
    assert done.returncode == 0 and "chat my-taxes:latest" in done.stdout, done.stderr
    done = run("models", "build", "-f", "-", "--name", "plain", input=TEXT)
    assert done.returncode == 0 and "chat plain:latest" in done.stdout, done.stderr
    assert {"my-taxes:latest", "plain:latest"} <= names(run)


def test_only_looked_at(run: Run, tmp_path: Path) -> None:
    before, path = names(run), tmp_path / "Modelfile.taxes"
    path.write_text(TEXT, "utf-8")
    done = run("models", "build", "-f", str(path), "--check")
    assert (done.returncode, done.stdout) == (0, "Nothing is wrong with it.\n"), done.stderr
    path.write_text(TEXT + "PARAMETER temprature 1\nSYSTM \x1b[31m\n", "utf-8")
    done = run("models", "build", "-f", str(path), "--check")
    assert done.returncode == 1
    assert f"{path}:6:11: error: There is no parameter 'temprature'." in done.stdout
    assert "    Did you mean temperature?" in done.stdout and f"{path}:7:1: error" in done.stdout
    found = json.loads(run("models", "build", "-f", str(path), "--check", "--json").stdout)
    assert [one["line"] for one in found] == [6, 7]
    done = run("models", "build", "-d", "legal", "--check")
    assert done.returncode == 1 and "qwen2.5:7b is not installed" in done.stdout
    done = run("models", "build", "-d", "legal", "--check", "--base", "tiny")
    assert done.returncode == 0 and "warning: num_ctx 8192 is more than tiny" in done.stdout
    assert names(run) == before


def test_the_check_does_without_an_engine(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
        done = run("models", "build", "-f", "-", "--check", input=TEXT)
    assert (done.returncode, done.stdout) == (0, "Nothing is wrong with it.\n")
    assert "the base was not looked at" in done.stderr


def test_what_it_would_read(run: Run) -> None:
    done = run("models", "build", "-f", "-", "--preview", "--ask", "Why?", input=TEXT)
    assert done.returncode == 0 and "Be exact." in done.stdout and "Why?" in done.stdout
    done = run("models", "build", "-d", "legal", "--base", "tiny", "--preview", "--json")
    assert "The clause says" in json.loads(done.stdout)["prompt"]


def test_wrong_usage(run: Run, tmp_path: Path) -> None:
    done = run("models", "build")
    assert done.returncode == 2
    assert "development, finance, health, legal" in " ".join(done.stderr.split())
    assert run("models", "build", "-d", "health", "-f", "x").returncode == 2
    done = run("models", "build", "-d", "helth")
    assert done.returncode == 3 and "There is no domain 'helth'" in done.stderr
    assert run("models", "build", "-f", str(tmp_path / "absent")).returncode == 3
    done = run("models", "build", "-d", "health")
    assert done.returncode == 3 and "qwen2.5:7b is not installed" in done.stderr
    done = run("models", "build", "-f", "-", input=TEXT)
    assert done.returncode == 1 and "Give the model a name" in done.stderr
    (tmp_path / "Modelfile.x").write_text("FROM x\nSYSTM y\n")
    done = run("models", "build", "-f", str(tmp_path / "Modelfile.x"))
    assert done.returncode == 1 and "(line 2)" in done.stderr

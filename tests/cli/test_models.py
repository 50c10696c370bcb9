"""`workbench models` against a real engine."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Terminal = Callable[..., pexpect.spawn]
pytestmark = pytest.mark.usefixtures("engine")


def names(run: Run) -> set[str]:
    return {model["name"] for model in json.loads(run("models", "list", "--json").stdout)}


def test_list_shows_what_is_installed(run: Run) -> None:
    done = run("models", "list")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["NAME", "SIZE", "PARAMETERS", "QUANTISATION", "CAN", "MODIFIED"]
    tiny = next(line for line in lines if line.startswith("tiny:latest"))
    assert "completion" in tiny and "F32" in tiny and "kB" in tiny


def test_show(run: Run) -> None:
    done = run("models", "show", "tiny")
    assert "architecture  llama" in done.stdout
    assert "512 tokens" in done.stdout and "num_predict" in done.stdout
    details = json.loads(run("models", "show", "tiny", "--json").stdout)
    assert details["model_info"]["llama.context_length"] == 512
    template = run("models", "show", "tiny", "--part", "template").stdout
    assert "<|im_start|>" in template and "Parameters" not in template


def test_create_copy_remove(run: Run, tmp_path: Path, tiny_gguf: Path) -> None:
    shutil.copy(tiny_gguf, tmp_path / "weights.gguf")
    (tmp_path / "Modelfile").write_text(
        'FROM ./weights.gguf\nSYSTEM """You are\nterse."""\nPARAMETER temperature 0.25\n'
        "PARAMETER stop END\nMESSAGE user hello\nMESSAGE assistant hi\n"
    )
    made = run("models", "create", "made", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "success" in made.stderr and "\x1b" not in made.stderr
    assert "made is made" in made.stdout
    shown = json.loads(run("models", "show", "made", "--json").stdout)
    assert shown["system"] == "You are\nterse."
    assert "0.25" in shown["parameters"] and "END" in shown["parameters"]

    assert run("models", "copy", "made", "twin").returncode == 0
    assert {"made:latest", "twin:latest"} <= names(run)
    assert run("models", "rm", "made", input="n\n").returncode == 130
    assert "made:latest" in names(run)
    assert run("models", "rm", "made", input="y\n").returncode == 0
    removed = run("models", "rm", "twin", "--yes", "--json")
    assert json.loads(removed.stdout) == {"removed": "twin"}
    assert not {"made:latest", "twin:latest"} & names(run)


def test_create_quantised_from_stdin_as_json(run: Run, tiny_gguf: Path) -> None:
    arguments = ("models", "create", "small", "-f", "-", "--quantize", "Q8_0", "--json")
    done = run(*arguments, input=f"FROM {tiny_gguf}\n")
    assert done.returncode == 0 and done.stderr == ""
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert steps[-1]["status"] == "success"
    assert json.loads(run("models", "show", "small", "--json").stdout)["quantization"] == "Q8_0"
    run("models", "rm", "-y", "small")


def test_a_bar_moves_on_a_terminal(terminal: Terminal, run: Run, tmp_path: Path) -> None:
    modelfile = tmp_path / "Modelfile"
    modelfile.write_text("FROM tiny\nSYSTEM x\n")
    child = terminal("models", "create", "bar", "-f", str(modelfile))
    child.expect("━")
    child.expect("bar is made")
    child.expect(pexpect.EOF)
    run("models", "rm", "-y", "bar")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("FROM ./missing.gguf\n", 3, "missing.gguf"),
        ("FROM tiny\nADAPTER ./none.gguf\n", 3, "none.gguf"),
        ("FROM tiny\nPARAMETER colour blue\n", 1, "(line 2)"),
        ("SYSTEM x\n", 1, "no FROM line"),
        ("FROM a\nFROM b\n", 1, "Several FROM"),
        ("FROM no/such/model/at:all\n", 1, "invalid model name"),
        ('FROM tiny\nSYSTEM """open\n', 1, "(line 2)"),
    ],
)
def test_bad_modelfiles(run: Run, tmp_path: Path, text: str, code: int, words: str) -> None:
    (tmp_path / "Modelfile").write_text(text)
    done = run("models", "create", "bad", cwd=tmp_path)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_what_is_not_there(run: Run, tmp_path: Path) -> None:
    assert run("models", "show", "nosuch").returncode == 3
    assert run("models", "copy", "nosuch", "x").returncode == 3
    assert run("models", "rm", "-y", "nosuch").returncode == 3
    assert run("models", "create", "x", cwd=tmp_path).returncode == 3
    assert run("models", "show", "../../etc").returncode == 1
    assert run("models", "pull", "../../etc").returncode == 1


def test_ps_shows_what_is_loaded(run: Run) -> None:
    assert run("generate", "tiny", "hello", "--keep-alive", "5m").returncode == 0
    assert "tiny:latest" in run("models", "ps").stdout
    loaded = json.loads(run("models", "ps", "--json").stdout)
    assert loaded[0]["size"] > 0

"""`workbench catalogue …` and `hardware --profiles`, as a person and as a program use them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from engines.scripted import Exchange, ScriptedServer, answer

from workbench.fit import Measurement, record

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of this file have to do without one, unless a test asks for it."""
    monkeypatch.setenv("WORKBENCH_ENGINE", "embedded")


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_words_as_a_person_writes_them(run: Run) -> None:
    done = run("catalogue", "search", "code", "model", "that", "fits", "in", "8", "GB")
    assert done.returncode == 0 and "8 GB" in done.stderr, "what was understood is told"
    assert "coder" in done.stdout and "70b" not in done.stdout


def test_search_speaks_the_words_of_the_interface(run: Run) -> None:
    found = told(
        run("catalogue", "search", "qwen", "--category", "code", "--max-parameters", "8B", "--json")
    )
    assert set(found) >= {"query", "filters", "results", "count"}
    assert found["count"] >= len(found["results"]) >= 2
    for one in found["results"]:
        assert {"name", "category", "size", "performance_score", "relevance_score"} <= set(one)
        assert one["parameters"] is None or one["parameters"] <= 8e9
        assert one["performance_score"] is None or 0 <= one["performance_score"] <= 1


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--max-parameters", "-3"), "-3"),
        (("--max-parameters", "nan"), "nan"),
        (("--min-context", "1e400"), "1e400"),
        (("--min-performance", "7"), "7"),
        (("--category", "cod"), "code"),
        (("--sort", "beauty"), "beauty"),
        (("--size", "giant"), "giant"),
        (("--machine", "toaster"), "toaster"),
        (("--min-parameters", "9B", "--max-parameters", "1B"), "min_parameters"),
    ],
)
def test_filters_that_cannot_be(run: Run, arguments: tuple[str, ...], word: str) -> None:
    done = run("catalogue", "search", "x", *arguments)
    assert done.returncode in {1, 2} and word in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_nothing_found_says_what_to_do(run: Run) -> None:
    done = run("catalogue", "search", "--max-memory", "1", "--fits")
    assert done.returncode == 0 and "Leave one out" in done.stdout


def test_a_card_and_an_unknown_one(run: Run) -> None:
    card = told(run("catalogue", "show", "qwen2.5-coder:7b", "--json"))
    assert card["parameters"] == 7_615_616_512 and card["sources"]["parameters"]
    shown = run("catalogue", "show", "qwen2.5-coder:7b").stdout
    assert "Apache-2.0" in shown and "Sources" in shown
    done = run("catalogue", "show", "qwen2.5-codr:7b")
    assert done.returncode == 3 and "qwen2.5-coder" in done.stderr


def test_fit_on_another_machine(run: Run) -> None:
    small = told(run("catalogue", "fit", "llama3.1:8b", "--machine", "24 GB GPU", "--json"))
    assert small["verdict"] == "gpu" and small["load"]["gpu_layers"] >= 32
    large = told(run("catalogue", "fit", "llama3.1:405b", "--machine", "8 GB laptop", "--json"))
    assert large["verdict"] == "no" and large["headroom"] < 0
    assert small["memory"]["gpu"]["low"] <= small["memory"]["gpu"]["high"]
    on_cpu = told(run("catalogue", "fit", "llama3.1:8b", "--machine", "32 GB laptop", "--json"))
    assert small["speed"]["generation"]["low"] > on_cpu["speed"]["generation"]["high"]
    words = run("catalogue", "fit", "llama3.1:8b", "--machine", "gpu-24gb").stdout
    assert "weights" in words and "KV cache" in words and "largest context" in words


def test_fit_of_a_file_and_of_rubbish(run: Run, tiny_gguf: Path, tmp_path: Path) -> None:
    found = told(run("catalogue", "fit", str(tiny_gguf), "--context", "256", "--json"))
    assert found["verdict"] == "ram" and found["memory"]["ram"]["value"] > 0
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\xff" * 100)
    done = run("catalogue", "fit", str(broken))
    assert done.returncode in {1, 3} and "broken.gguf" in done.stderr
    assert "Traceback" not in done.stderr
    assert run("catalogue", "fit", str(tmp_path / "none.gguf")).returncode in {1, 3}


def test_recommend(run: Run) -> None:
    found = told(
        run("catalogue", "recommend", "code_generation", "--machine", "16 GB laptop", "--json")
    )
    assert found["task_type"] == "code_generation" and found["recommendations"]
    first = found["recommendations"][0]
    assert 0 <= first["confidence_score"] <= 1 and first["reasoning"]
    words = run("catalogue", "recommend", "code_generation", "--machine", "16 GB laptop")
    assert first["model_name"] in words.stdout and "models pull" in words.stdout
    none = run("catalogue", "recommend", "vision", "--installed")
    assert none.returncode == 0 and "Nothing suits" in none.stdout
    wrong = run("catalogue", "recommend", "cooking")
    assert wrong.returncode == 1 and "code_generation" in wrong.stderr


def test_compare_in_every_format(run: Run, tmp_path: Path) -> None:
    names = ("llama3.1:8b", "qwen2.5-coder:7b", "gemma3:4b")
    found = told(run("catalogue", "compare", *names, "--json"))
    assert tuple(found["models"]) == names
    text = run("catalogue", "compare", *names, "--format", "csv").stdout
    rows = list(csv.reader(io.StringIO(text)))
    assert all(name in rows[0] for name in names)
    target = tmp_path / "three.html"
    assert run("catalogue", "compare", *names, "--format", "html", "-o", target).returncode == 0
    page = target.read_text(encoding="utf-8")
    assert "gemma3:4b" in page and "http://" not in page.replace("http://www.w3.org", "")
    assert run("catalogue", "compare", "no-such-model").returncode == 3


@pytest.mark.usefixtures("engine")
def test_what_is_installed_is_marked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_ENGINE", "auto")
    found = told(run("catalogue", "search", "--installed", "--json"))
    assert {one["name"] for one in found["results"]} >= {"tiny:latest", "embed:latest"}
    fit = told(run("catalogue", "fit", "tiny", "--json"))
    assert fit["verdict"] == "ram"


@pytest.fixture
def ollama(session_engine: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The session's engine behind a door that names itself as an Ollama does."""
    server = ScriptedServer()

    def say(asked: Exchange) -> None:
        if asked.path == "/api/version":
            answer({"version": "0.33.0"})(asked)
            return
        told = httpx.request(asked.method, session_engine + asked.path, content=asked.body)
        answer(told.content)(asked)

    server.says(say)
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    monkeypatch.setenv("WORKBENCH_ENGINE", "ollama")
    yield
    server.close()


@pytest.mark.usefixtures("ollama")
def test_an_answer_of_an_ollama_reaches_the_ledger(run: Run) -> None:
    done = run("generate", "tiny", "def")
    assert done.returncode == 0, done.stderr
    rows = told(run("catalogue", "errors", "--json"))
    assert {(row["backend"], row["quantity"]) for row in rows} == {("ollama", "memory_ram")}
    words = run("catalogue", "errors")
    assert words.returncode == 0 and "memory_ram  ollama" in words.stdout
    unknown = Measurement("prompt_speed", 9.0, "embedded-cpu", "llama", "m")
    record(unknown)  # nothing was predicted: there is no error to show, and no crash
    assert "?" in run("catalogue", "errors").stdout


def test_calibrate_submits_a_job(run: Run) -> None:
    from workbench import jobs

    job = told(run("catalogue", "calibrate", "--detach", "--json"))
    try:
        assert job["target"] == "workbench.machines:calibrate"
    finally:
        jobs.cancel(job["id"])
        jobs.wait(job["id"], 60)
        jobs.stop_supervisor()


def test_errors_of_an_empty_ledger(run: Run) -> None:
    assert told(run("catalogue", "errors", "--json")) == []
    assert "Nothing was measured yet" in run("catalogue", "errors").stdout


def test_profiles(run: Run) -> None:
    found = told(run("hardware", "--profiles", "--json"))
    assert found[0]["name"] == "this" and len(found) > 5
    assert all(one["memory"] > 0 for one in found)
    shown = run("hardware", "--profiles").stdout
    assert all(one["name"] in shown for one in found)
    assert "calibrate" in run("hardware").stdout

"""The engine as a process: one per home, found by a file, ended without leaving anything."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from conftest import PATIENCE, EngineProcess, running, wait_until


@pytest.fixture
def tiny_engine(tmp_path: Path, tiny_gguf: Path):
    with running(tmp_path / "engine-home") as engine:
        engine.install("tiny", tiny_gguf)
        yield engine


def gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, PATIENCE)
    assert not alive


def test_two_starts_give_one_engine(tmp_path: Path) -> None:
    home = tmp_path / "shared-home"
    with running(home) as first:
        with running(home) as second:
            assert second.url == first.url
            assert second.process.wait(PATIENCE) == 0
        assert first.http.get("/").status_code == 200
        facts = first.facts()
        assert facts["pid"] == first.process.pid and facts["url"] == first.url


def test_killed_engine_leaves_nothing_that_hinders(tiny_engine: EngineProcess) -> None:
    tiny_engine.ollama.generate("tiny", "x", options={"num_predict": 1})
    children = tiny_engine.children()
    assert children
    tiny_engine.process.kill()
    tiny_engine.process.wait(PATIENCE)
    gone(children)
    assert tiny_engine.facts()["url"] == tiny_engine.url  # the stale word of the dead
    with running(tiny_engine.home) as after:
        assert after.facts()["pid"] == after.process.pid
        assert after.ollama.generate("tiny", "x", options={"num_predict": 1}).eval_count == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_takes_its_children_along(
    tiny_engine: EngineProcess, number: signal.Signals
) -> None:
    body = {"model": "tiny", "prompt": "x", "options": {"num_predict": 10**6}}
    with tiny_engine.http.stream("POST", "/api/generate", json=body) as answer:
        lines = answer.iter_lines()  # kept: when it goes, the connection does
        next(lines)
        children = tiny_engine.children()
        tiny_engine.process.send_signal(number)
        assert tiny_engine.process.wait(PATIENCE) == 0
    assert children
    gone(children)
    assert not (tiny_engine.home / "engine" / "engine.json").exists()


def test_idle_engine_ends_by_itself(tmp_path: Path) -> None:
    with running(tmp_path / "home", WORKBENCH_ENGINE_IDLE="300ms") as engine:
        assert engine.process.wait(PATIENCE) == 0
        assert "no request for" in engine.log()


def test_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = subprocess.run(
            [sys.executable, "-m", "workbench.embedded", "--port", str(port), "--home", tmp_path],
            capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
    assert result.returncode == 1 and "--port" in result.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"OLLAMA_NUM_PARALLEL": "many"},
        {"OLLAMA_KV_CACHE_TYPE": "q2"},
        {"OLLAMA_KV_CACHE_TYPE": "q8_0", "OLLAMA_FLASH_ATTENTION": "0"},
        {"OLLAMA_KEEP_ALIVE": "soon"},
        {"WORKBENCH_ENGINE_IDLE": "2 hours"},
    ],
    ids=str,
)
def test_nonsense_in_the_environment_is_said(tmp_path: Path, environment: dict[str, str]) -> None:
    with running(tmp_path / "home", **environment) as engine:
        assert engine.process.wait(PATIENCE) == 1
        assert engine.url == ""


def test_settings_from_the_environment_are_used(tmp_path: Path, tiny_gguf: Path) -> None:
    with running(
        tmp_path / "home", OLLAMA_CONTEXT_LENGTH="300", OLLAMA_KEEP_ALIVE="-1",
        OLLAMA_NUM_PARALLEL="2", OLLAMA_FLASH_ATTENTION="0", OLLAMA_ORIGINS="https://a.example",
    ) as engine:  # fmt: skip
        engine.install("tiny", tiny_gguf)
        assert engine.ollama.generate("tiny", "x", options={"num_predict": 2}).eval_count == 2
        [model] = engine.ollama.ps().models
        assert model.context_length == 300
        assert model.expires_at is not None and model.expires_at.year > 2300
        assert "parallel=2" in engine.log()
        headers = {"Origin": "https://a.example"}
        assert engine.http.get("/api/version", headers=headers).status_code == 200


def test_child_ends_when_its_pipe_closes() -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "workbench.embedded._child"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(json.dumps({"model": "/nowhere"}).encode() + b"\n")
    child.stdin.flush()
    assert "error" in json.loads(child.stdout.readline())
    child.stdin.close()
    child.stdout.close()
    wait_until(lambda: child.poll() is not None, "the child ends")

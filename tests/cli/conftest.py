"""The installed `workbench` command as a subprocess, and one real engine for the whole session."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from ready import run_command
from tiny import write_tiny_llama

COMMAND = str(Path(sys.executable).with_name("workbench"))
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def command() -> str:
    """The installed program."""
    return COMMAND


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`run("models", "list", input=…)`: the finished process, its streams as text."""

    def call(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return run_command(arguments, tmp_path_factory.mktemp("streams"), **options)

    return call


@pytest.fixture
def terminal() -> Iterator[Callable[..., pexpect.spawn]]:
    """`terminal("chat", "m")`: the command on a pseudo-terminal, ended with the test."""
    opened: list[pexpect.spawn] = []

    def call(*arguments: str) -> pexpect.spawn:
        child = pexpect.spawn(
            COMMAND, list(arguments), timeout=30, encoding="utf-8", dimensions=(40, 120),
            env={**os.environ, "TERM": "xterm"}, echo=False,
        )  # fmt: skip
        opened.append(child)
        return child

    yield call
    for child in opened:
        child.close(force=True)


@pytest.fixture(scope="session")
def session_engine(
    tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path, tiny_embedding_gguf: Path
) -> Iterator[str]:
    """The URL of an engine with `tiny`, `endless` and `embed`, in a home of its own."""
    home = tmp_path_factory.mktemp("engine-home")
    endless_gguf = write_tiny_llama(home / "endless.gguf", endless=True)
    environment = {**os.environ, "WORKBENCH_HOME": str(home), "OLLAMA_NUM_PARALLEL": "2"}
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.embedded", "--port", "0"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = announced(home, process)
        files = {"tiny": tiny_gguf, "endless": endless_gguf, "embed": tiny_embedding_gguf}
        for name, file in files.items():
            modelfile = home / "Modelfile"
            modelfile.write_text(f"FROM {file}\nPARAMETER seed 7\nPARAMETER num_predict 24\n")
            subprocess.run(
                [COMMAND, "models", "create", name, "-f", modelfile],
                env={**environment, "OLLAMA_HOST": url}, check=True, timeout=60,
            )  # fmt: skip
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture
def engine(session_engine: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The session's engine is the one in use."""
    monkeypatch.setenv("OLLAMA_HOST", session_engine)
    return session_engine


def announced(home: Path, process: subprocess.Popen[bytes]) -> str:
    """The URL that an engine writes down when it is ready."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            return str(json.loads((home / "engine" / "engine.json").read_text())["url"])
        except (OSError, ValueError):
            time.sleep(0.05)
    raise AssertionError("the engine did not start")

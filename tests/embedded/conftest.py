"""A real engine process per session with small real models, and ways to look at it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import ollama
import psutil
import pytest
from parrot import CALL, TOOLS_AND_THINKING, write_parrot
from tiny import CHATML

PATIENCE = 20.0  # seconds until something that must happen counts as not happening


def wait_until(true: Callable[[], Any], what: str) -> Any:
    """The first truthy value of `true()`."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if value := true():
            return value
        time.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


class EngineProcess:
    """An engine started as a program; `http` speaks to it."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OLLAMA_", "WORKBENCH_"))
        } | {"WORKBENCH_HOME": str(home), **environment}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "workbench.embedded", "--port", "0"],
            env=self.environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE)
        self.ollama = ollama.Client(host=self.url, timeout=PATIENCE)

    def facts(self) -> dict[str, Any]:
        return dict(json.loads((self.home / "engine" / "engine.json").read_text()))

    def log(self) -> str:
        return (self.home / "engine" / "engine.log").read_text(errors="replace")

    def children(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children()
        return []

    def install(self, name: str, file: Path, **fields: Any) -> None:
        digest = self.ollama.create_blob(file)
        self.ollama.create(name, files={file.name: digest}, **fields)

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.http.post(path, json=body)

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()


@contextmanager
def running(home: Path, **environment: str) -> Iterator[EngineProcess]:
    engine = EngineProcess(home, **environment)
    try:
        yield engine
    finally:
        engine.stop()


@pytest.fixture(scope="session")
def gguf_files(
    tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path, tiny_embedding_gguf: Path
) -> dict[str, Path]:
    """Models by name. `caller` calls a tool after thinking; `bytes` splits its characters."""
    folder = tmp_path_factory.mktemp("gguf")
    thought = ("<think>\n", "let me", " see", "\n</think>\n\n")
    snowman = [bytes([byte]) for byte in "☃".encode()]
    return {
        "tiny": tiny_gguf,
        "embed": tiny_embedding_gguf,
        "caller": write_parrot(folder / "caller.gguf", [*thought, *CALL], TOOLS_AND_THINKING),
        "thinker": write_parrot(
            folder / "thinker.gguf", [*thought, "Hello", " there"], TOOLS_AND_THINKING
        ),
        "endless": write_parrot(
            folder / "endless.gguf", ["on", " and "], CHATML, context=2**20, endless=True
        ),
        "bytes": write_parrot(folder / "bytes.gguf", ["a ", *snowman, " b", " stop ", "c"], CHATML),
    }


@pytest.fixture(scope="session")
def engine(
    tmp_path_factory: pytest.TempPathFactory, gguf_files: dict[str, Path]
) -> Iterator[EngineProcess]:
    """The session's engine with all of `gguf_files`."""
    with running(tmp_path_factory.mktemp("engine-home")) as engine:
        for name, file in gguf_files.items():
            engine.install(name, file)
        yield engine

"""A scripted server, and one embedded engine for all the tests of this room."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines.scripted import ScriptedServer

from workbench.engines import Engine, stop_engine


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.close()


@pytest.fixture
def engine(server: ScriptedServer) -> Iterator[Engine]:
    with Engine(server.url) as connected:
        yield connected


@pytest.fixture(scope="session")
def live_url(
    tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path, tiny_embedding_gguf: Path
) -> Iterator[str]:
    """An embedded engine with the models `tiny` and `tiny-embed`."""
    home = tmp_path_factory.mktemp("live")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WORKBENCH_", "OLLAMA_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.embedded", "--home", str(home), "--port", "0"],
        env=kept,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        url = _announced(home / "engine" / "engine.json", process)
        with Engine(url) as connected:
            for name, path in (("tiny", tiny_gguf), ("tiny-embed", tiny_embedding_gguf)):
                *_, last = connected.create(name, files=path)
                assert last.status == "success"
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _announced(path: Path, process: subprocess.Popen[bytes]) -> str:
    for _ in range(1200):
        if path.exists():
            return str(json.loads(path.read_text())["url"])
        assert process.poll() is None, "the engine did not start"
        time.sleep(0.05)
    raise AssertionError("the engine did not start in a minute")


@pytest.fixture
def live(live_url: str) -> Iterator[Engine]:
    with Engine(live_url, kind="embedded") as connected:
        yield connected


@pytest.fixture
def own_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The embedded engine of this test's home, whoever starts it; it is ended afterwards."""
    monkeypatch.setenv("WORKBENCH_ENGINE", "embedded")
    yield
    stop_engine()

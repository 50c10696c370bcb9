"""No Ollama of this machine; an engine of the test's own, or one that a file's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live import own_engine

from workbench.engines import Engine, connect, start_engine, stop_engine


@pytest.fixture(autouse=True)
def no_local_ollama(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_ENGINE", "embedded")


@pytest.fixture
def engine(tiny_gguf: Path) -> Iterator[str]:
    """Our own engine in the test's home, with one model."""
    url = start_engine()
    with connect() as client:
        for _ in client.create("tiny", files=tiny_gguf):
            pass
    yield url
    stop_engine()


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared") / "home"


@pytest.fixture(scope="module")
def shared_engine(shared_home: Path) -> Iterator[str]:
    with own_engine(shared_home) as url:
        yield url


@pytest.fixture
def live(
    shared_engine: str, shared_home: Path, no_local_ollama: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """The engine that a file's tests share, in its home; its models go away after each test."""
    monkeypatch.setenv("WORKBENCH_HOME", str(shared_home))
    with Engine(shared_engine, kind="embedded") as client:
        yield client
        for model in client.models():
            client.delete(model.name)

"""One embedded engine with a model that chats and one that embeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live import own_engine

from workbench.engines import Engine


@pytest.fixture(scope="session")
def live_engine(
    tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path, tiny_embedding_gguf: Path
) -> Iterator[str]:
    """The URL of an embedded engine with a home of its own."""
    with own_engine(tmp_path_factory.mktemp("engine")) as url:
        with Engine(url, kind="embedded") as engine:
            for name, file in {"tiny:v1": tiny_gguf, "embed": tiny_embedding_gguf}.items():
                for _ in engine.create(name, files=file):
                    pass
        yield url


@pytest.fixture
def engine(
    live_engine: str, clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """The engine in use; what a test makes goes away after it."""
    monkeypatch.setenv("OLLAMA_BASE_URL", live_engine)
    with Engine(live_engine, kind="embedded") as connected:
        yield connected
        for model in connected.models():
            if model.name not in {"tiny:v1", "embed:latest"}:
                connected.delete(model.name)

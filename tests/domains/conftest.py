"""One embedded engine with a model that chats and one that embeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live import in_use, own_engine

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
    with in_use(live_engine, monkeypatch, {"tiny:v1", "embed:latest"}) as connected:
        yield connected

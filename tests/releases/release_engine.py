"""An engine with tiny models, made once for the session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_servers import engine_with
from tiny import write_tiny_llama

from workbench.engines import Engine


@pytest.fixture(scope="session")
def place(
    tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path, tiny_embedding_gguf: Path
) -> Iterator[str]:
    """The URL of an engine with `one`, `two` and `embed`."""
    folder = tmp_path_factory.mktemp("releases")
    two = write_tiny_llama(folder / "two.gguf", seed=1)
    models = {"one": tiny_gguf, "two": two, "embed": tiny_embedding_gguf}
    with engine_with(folder / "home", models) as url:
        yield url


@pytest.fixture
def engine(place: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A client of it; it is the engine in use."""
    monkeypatch.setenv("OLLAMA_HOST", place)
    with Engine(place, kind="embedded") as client:
        yield client

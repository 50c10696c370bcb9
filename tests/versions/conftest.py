"""One engine with two models that write and two that make vectors, for all tests of updates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_servers import engine_with
from library.library_tools import serving
from library.registry_server import RegistryServer
from tiny import write_tiny_llama

from workbench.engines import Engine


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the engine has its home."""
    return tmp_path_factory.mktemp("versions")


@pytest.fixture(scope="session")
def place(folder: Path, tiny_gguf: Path, tiny_embedding_gguf: Path) -> Iterator[str]:
    """The URL of an engine with `one`, `two`, `embed` and `other`."""
    models = {
        "one": tiny_gguf,
        "two": write_tiny_llama(folder / "two.gguf", seed=1),
        "embed": tiny_embedding_gguf,
        "other": write_tiny_llama(folder / "other.gguf", seed=3, width=32, embedding=True),
    }
    with engine_with(folder / "home", models) as url:
        yield url


@pytest.fixture
def engine(place: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A client of it; it is the engine in use, and has afterwards what it had before."""
    monkeypatch.setenv("OLLAMA_HOST", place)
    with Engine(place, kind="embedded") as client:
        before = {one.name: one.digest for one in client.models()}
        yield client
        for one in client.models():
            if one.name not in before:
                client.delete(one.name)


@pytest.fixture
def registry(tiny_gguf: Path) -> Iterator[tuple[RegistryServer, str]]:
    server = RegistryServer()
    with serving(server.app) as host:
        yield server, host.removeprefix("http://")

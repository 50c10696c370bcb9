"""The engine of the tests of releases, which has after each test what it had before; a registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from library.library_tools import serving
from library.registry_server import RegistryServer
from releases.release_engine import engine, place

from workbench.engines import Engine

__all__ = ["engine", "place"]


@pytest.fixture
def clean(engine: Engine) -> Iterator[Engine]:
    """The engine, which has what it had when the test is over."""
    before = {one.name: one.digest for one in engine.models()}
    yield engine
    for one in engine.models():
        if one.name not in before:
            engine.delete(one.name)
    assert {one.name: one.digest for one in engine.models()} == before


@pytest.fixture
def registry(tiny_gguf: Path) -> Iterator[tuple[RegistryServer, str]]:
    server = RegistryServer()
    with serving(server.app) as host:
        yield server, host.removeprefix("http://")

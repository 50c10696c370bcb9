"""A real embedded engine with a tiny model, shared by the module's tests; ended by its pid."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tiny import write_tiny_llama

from workbench.engines import connect, stop_engine
from workbench.panels.states import EngineState, PlaygroundState

ONE = {"num_thread": 1}  # llama.cpp's threads wait by spinning, which a busy machine punishes


@pytest.fixture(scope="session")
def engine_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose engine has `tiny:latest`."""
    home = tmp_path_factory.mktemp("panels") / "home"
    model = write_tiny_llama(
        tmp_path_factory.mktemp("panels-model") / "tiny.gguf", context=2048, endless=True
    )
    before = os.environ.get("WORKBENCH_HOME")
    os.environ["WORKBENCH_HOME"] = str(home)
    os.environ["WORKBENCH_ENGINE"] = "embedded"
    try:
        with connect() as engine:
            for _step in engine.create("tiny", files={"tiny.gguf": model}, parameters=ONE):
                pass
        yield home
        os.environ["WORKBENCH_HOME"] = str(home)
        stop_engine()
    finally:
        os.environ.pop("WORKBENCH_ENGINE", None)
        if before is None:
            os.environ.pop("WORKBENCH_HOME", None)
        else:
            os.environ["WORKBENCH_HOME"] = before


@pytest.fixture
def at_home(engine_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This test's home is the one with the engine."""
    monkeypatch.setenv("WORKBENCH_HOME", str(engine_home))
    monkeypatch.setenv("WORKBENCH_ENGINE", "embedded")
    return engine_home


@pytest.fixture
async def playground(at_home: Path) -> AsyncIterator[PlaygroundState]:
    """A Playground's state that has found its engine and model."""
    state = PlaygroundState(engine=EngineState())
    await state.refresh()
    yield state
    state.close()
    await state.engine.drop()

"""One embedded engine with embedding models of different weights and lengths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live import in_use, own_engine
from tiny import write_tiny_llama

from workbench.engines import Engine
from workbench.vectors import Collection, collection

WIDTHS = {"embed": 64, "other": 32, "third": 64}


@pytest.fixture(scope="session")
def live_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an embedded engine with a home of its own."""
    folder: Path = tmp_path_factory.mktemp("engine")
    with own_engine(folder) as url, Engine(url, kind="embedded") as engine:
        for seed, (name, width) in enumerate(WIDTHS.items()):
            file = folder / f"{name}.gguf"
            write_tiny_llama(file, seed=seed, width=width, embedding=True)
            # in one slot a vector is the same to the last bit, whatever is computed beside it
            for _ in engine.create(name, files=file, parameters={"num_parallel": 1}):
                pass
        yield url


@pytest.fixture
def engine(
    live_engine: str, clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """The engine in use."""
    with in_use(live_engine, monkeypatch) as connected:
        yield connected


@pytest.fixture
def notes(engine: Engine) -> Collection:
    """Forty texts in a collection that `embed` made."""
    made = collection("notes", model="embed", engine=engine)
    made.add((f"n{n}", sentence(n), {"number": n}) for n in range(40))
    return made


def sentence(n: int) -> str:
    """A text like no other of them."""
    return f"def function_{n}(argument): return {n * n} + argument * {n % 7}"

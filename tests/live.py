"""An embedded engine of a room's tests, in a home of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workbench.engines import Engine, start_engine, stop_engine


@contextmanager
def own_engine(home: Path) -> Iterator[str]:
    """Its URL; it ends with the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(home))
        url = start_engine()
    yield url
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(home))
        assert stop_engine()


@contextmanager
def in_use(
    url: str, monkeypatch: pytest.MonkeyPatch, keep: Collection[str] | None = None
) -> Iterator[Engine]:
    """A client of the engine at `url`, which is the one in use. Afterwards all models go but those
    to `keep`; None keeps all."""
    monkeypatch.setenv("OLLAMA_BASE_URL", url)
    with Engine(url, kind="embedded") as connected:
        yield connected
        for model in connected.models() if keep is not None else ():
            if model.name not in keep:
                connected.delete(model.name)

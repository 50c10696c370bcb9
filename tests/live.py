"""An embedded engine of a room's tests, in a home of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workbench.engines import start_engine, stop_engine


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

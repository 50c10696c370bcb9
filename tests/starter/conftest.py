"""One embedded engine for the room's tests, and a small corpus that is real code."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import in_use, own_engine

from workbench.engines import Engine
from workbench.starter._corpus import standard_library

MODULES = ("textwrap", "shlex", "heapq", "bisect", "fnmatch", "glob", "string", "stat", "queue")


@pytest.fixture(scope="session")
def live_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an embedded engine with a home of its own."""
    with own_engine(tmp_path_factory.mktemp("engine")) as url:
        yield url


@pytest.fixture
def engine(
    live_engine: str, clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """The engine in use, for this process and for the jobs that it submits."""
    with in_use(live_engine, monkeypatch) as connected:
        yield connected


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few modules of the standard library."""
    folder = tmp_path_factory.mktemp("sources")
    for name in MODULES:
        shutil.copy(standard_library() / f"{name}.py", folder)
    return folder


@pytest.fixture
def tiny(sources: Path) -> dict[str, Any]:
    """Arguments of `build_starter` that take seconds, and whose result is exact."""
    return {
        "corpus": str(sources),
        "steps": 12,
        "depth": 1,
        "vocab_size": 512,
        "context": 128,
        "precision": "fp32",
    }

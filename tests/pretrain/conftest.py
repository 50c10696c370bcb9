"""A small corpus that is real code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from workbench.starter._corpus import standard_library

MODULES = ("textwrap", "shlex", "heapq", "bisect", "fnmatch", "glob", "string", "stat", "queue")


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few modules of the standard library."""
    folder = tmp_path_factory.mktemp("sources")
    for name in MODULES:
        shutil.copy(standard_library() / f"{name}.py", folder)
    return folder

"""A library of three models in the test's home, two of which share their weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from integrity_tools import install

from workbench import settings
from workbench.library import Library

SHARED = bytes(range(256)) * 40
OWN = b"own weights" * 999


@pytest.fixture
def library(clean_environment: None) -> Library:
    return Library(settings.models_folder())


@pytest.fixture
def files(library: Library) -> dict[str, dict[str, Path]]:
    """By model, the paths of its blobs by role."""
    return {
        "one:latest": install(library, "one", SHARED, system="Be kind."),
        "two:v2": install(library, "two:v2", SHARED, params='{"top_k": 7}'),
        "three:latest": install(library, "three", OWN),
    }

"""One embedded engine for the room's tests, a tiny random Llama as a folder, a LoRA for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from export.hf_tiny import write_lora, write_model
from live import in_use, own_engine

from workbench.engines import Engine


@pytest.fixture(scope="session")
def live_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an embedded engine with a home of its own."""
    with own_engine(tmp_path_factory.mktemp("engine")) as url:
        yield url


@pytest.fixture
def engine(
    live_engine: str, clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """The engine in use; its models go away after each test."""
    with in_use(live_engine, monkeypatch, ()) as connected:
        yield connected


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("hf") / "tiny")


@pytest.fixture(scope="session")
def lora_folder(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    return write_lora(tmp_path_factory.mktemp("hf") / "lora", model_folder)


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the model that a test may damage."""
    shutil.copytree(model_folder, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def lora(lora_folder: Path, tmp_path: Path) -> Path:
    """A copy of the adapter that a test may damage."""
    shutil.copytree(lora_folder, tmp_path / "adapter")
    return tmp_path / "adapter"

"""Folders and prompts that several tests of this room share, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from compare import load_reference, prompts, reference_logprobs
from hf_models import make_folder


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of 2 layers and 64 features."""
    return make_folder("llama", tmp_path_factory.mktemp("hf") / "llama")


@pytest.fixture(scope="session")
def wide_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama whose rows are multiples of 256, with eight layers, for the K types."""
    folder = tmp_path_factory.mktemp("hf") / "wide"
    return make_folder("llama", folder, width=256, gain=0.7, num_hidden_layers=8)


@pytest.fixture(scope="session")
def wide_expected(wide_folder: Path) -> tuple[list, list]:
    """Prompts and what Transformers says comes next on the wide model."""
    tokens = prompts((1, 3, 7, 12, 20, 30, 45, 60, 80))
    return tokens, reference_logprobs(load_reference(wide_folder), tokens)

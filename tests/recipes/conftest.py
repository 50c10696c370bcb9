"""A tiny Llama as a Hugging Face folder, and datasets of the data room for it to learn."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from recipes.lessons import rows, write_tiny_folder

from workbench import data
from workbench.data import Dataset
from workbench.examples import Form

# nothing may look for a model in the network
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other are slow where other tests run beside these."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of 2 layers and 64 features with tokenizer and ChatML, in fp32."""
    return write_tiny_folder(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def make_dataset() -> Callable[..., Dataset]:
    """Write a dataset of `rows`: `make_dataset("conversation", train=24, validation=8)`."""

    def make(form: Form = "conversation", name: str = "lessons", **splits: int) -> Dataset:
        with data.writing(name, form, recipe={"kind": "test"}) as draft:
            at = 0
            for split, count in (splits or {"train": 24, "validation": 8}).items():
                for example in rows(form, count, at):
                    draft.add(example, split)
                at += count
        return draft.made

    return make

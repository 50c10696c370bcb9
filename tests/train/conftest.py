"""A home with an engine, a dataset, a base model and a fine-tuned one, made once."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from train.lessons import BASE, TUNED, Place, lessons, trained

from workbench.engines import start_engine, stop_engine
from workbench.lineage import Training, find

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing may look for a model in the network


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The home; its engine ends with the session."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(home))
        url = start_engine()
        patch.setenv("OLLAMA_BASE_URL", url)
        try:
            lessons()
            grown = trained("base", "grown", tmp_path_factory.mktemp("job"), BASE)
            folder = tmp_path_factory.mktemp("job")
            tuned = trained("finetune", "tuned", folder, TUNED, "grown")
        except BaseException:
            stop_engine()
            raise
    yield Place(home, url, grown, tuned)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(home))
        assert stop_engine()


@pytest.fixture
def here(place: Place, clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The home of all is this test's home."""
    monkeypatch.setenv("WORKBENCH_HOME", str(place.home))
    monkeypatch.setenv("OLLAMA_BASE_URL", place.url)
    return place


@pytest.fixture
def tuned(here: Place) -> Training:
    """The fine-tuned model's training."""
    return find(here.tuned)

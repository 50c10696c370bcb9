"""Killed at any step of pruning, bringing back and emptying: all is as before, or as after."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from storage.pruner import Pruner
from storage.stored import all_files, dataset, shelf, training

from workbench import storage
from workbench.library import Library
from workbench.settings import home, models_folder

ROUNDS = 60
NAMES = {"big:latest", "big:other", "small:latest"}


@pytest.fixture
def full() -> None:
    """A home with models, a training, two datasets, folders of a collection, a cache, a job."""
    shelf()
    notes = dataset("notes")
    dataset("letters", words="another", parent=notes.digest)
    training(notes)
    for name in ("collections/pages/one", "cache/suites", "jobs/0123456789"):
        (home() / name).mkdir(parents=True)
        (home() / name / "file.txt").write_text(name)


@pytest.fixture
def pruner(full: None) -> Iterator[Pruner]:
    with Pruner() as process:
        yield process


def listed() -> set[str]:
    """The models as an engine sees them that starts now."""
    return {name.display() for name, _ in Library(models_folder()).names()}


def test_killed_at_random_steps_of_pruning_and_undoing(pruner: Pruner) -> None:
    before = all_files()
    steps = {"prune": pruner.order("prune", names=["*"])["steps"]}
    after, steps["undo"] = all_files(), pruner.order("undo")["steps"]
    assert all_files() == before != after
    chance, away, killed, midway, seen = random.Random(4), False, 0, 0, set()
    for _ in range(ROUNDS):
        order = "undo" if away else "prune"
        done = pruner.order(order, names=["*"], step=chance.randrange(steps[order]))
        killed += done["code"] == -9
        midway += all_files() not in (before, after)
        models = listed()
        assert models in (set(), NAMES)
        thrown = storage.trash()  # which finishes the rest
        now = all_files()  # with every byte of every blob
        assert now in (before, after)
        away = now == after
        assert bool(thrown) == away == (models == set())
        assert not list(home().rglob("*.new"))
        seen.add((order, away))
    assert killed >= 50 and midway >= 20 and len(seen) == 4


def test_killed_at_steps_of_emptying(pruner: Pruner, tmp_path: Path) -> None:
    pruner.order("prune", names=["*"])
    kept, seen = tmp_path / "kept", set()
    shutil.copytree(home(), kept, ignore=shutil.ignore_patterns("workbench.db*"))
    full = {path.name for path in (models_folder() / "blobs").iterdir()}
    step, code = 0, -9
    while code == -9:
        code = pruner.order("empty", step=step)["code"]
        models, thrown = listed(), storage.trash()
        left = {path.name for path in (models_folder() / "blobs").glob("sha256-*")}
        assert models == set()
        assert left == (full if thrown else set())
        if thrown:
            assert pruner.order("undo")["code"] == 0 and listed() == NAMES
        seen.add(bool(thrown))
        for path in home().iterdir():
            if path.is_dir():
                shutil.rmtree(path)
        shutil.copytree(kept, home(), dirs_exist_ok=True)
        step += 3
    assert seen == {True, False} and code == 0

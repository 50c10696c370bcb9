"""A re-embedding that is killed at random points: it ends with the vectors it would have had, and
until then the old ones are in use."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from vectors.conftest import sentence
from vectors.test_vectors_generations import kept

from workbench.engines import Engine
from workbench.errors import VectorError
from workbench.vectors import Collection, backup, forget, generations, reembed, switch

KILLS = 22
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["httpx", "numpy", "workbench.engines", "workbench.vectors"])


def child(environment: dict[str, str], url: str, begun: object) -> None:
    """Embed again, in a process of its own."""
    os.environ.clear()
    os.environ.update(environment)
    with Engine(url, kind="embedded") as engine:
        engine.embed("other", "x")
        generations("notes")
        begun.set()  # type: ignore[attr-defined]
        reembed(None, "notes", "other", engine, batch=2)


def test_killed_at_random_points(notes: Collection, engine: Engine, live_engine: str) -> None:
    reembed(None, "notes", "other", engine, batch=2)
    whole = kept(2)
    forget("notes", 2)
    chance, kills, points = random.Random(8), 0, set()
    while kills < KILLS:
        begun = _FORKS.Event()
        process = _FORKS.Process(target=child, args=(dict(os.environ), live_engine, begun))
        process.start()
        assert begun.wait(60)
        time.sleep(chance.uniform(0, 0.2))
        process.kill()
        process.join()
        made = generations("notes")
        assert next(one for one in made if one.in_use).number == 1
        assert notes.search(sentence(9), 1)[0].key == "n9"
        newest = made[0]
        kills += process.exitcode == -signal.SIGKILL
        points.add(newest.vectors)
        if newest.complete:
            same(kept(2), whole)
            forget("notes", 2)
        else:
            with pytest.raises(VectorError, match="lacks the vectors"):
                switch("notes", 2)
    assert len(points) > 3, "the kills came at different points"
    assert reembed(None, "notes", "other", engine, batch=2) == 2
    same(kept(2), whole)
    assert switch("notes", 2) == 1 and notes.search(sentence(9), 1)[0].key == "n9"


def same(made: dict, wanted: dict) -> None:  # type: ignore[type-arg]
    """Each text has the vector that it has without a kill, up to the order of sums."""
    assert made.keys() == wanted.keys()
    for key, vector in wanted.items():
        assert made[key] == pytest.approx(vector, abs=1e-5)


def add_child(environment: dict[str, str], url: str, begun: object) -> None:
    """Change all texts, in a process of its own."""
    os.environ.clear()
    os.environ.update(environment)
    with Engine(url, kind="embedded") as engine:
        engine.embed("embed", "x")
        generations("notes")
        begun.set()  # type: ignore[attr-defined]
        texts = ((f"n{n}", f"changed {n}", {"changed": True}) for n in range(40))
        Collection("notes", engine).add(texts, batch=2)


def test_killed_while_texts_are_added(notes: Collection, live_engine: str) -> None:
    chance = random.Random(3)
    for _ in range(5):
        begun = _FORKS.Event()
        process = _FORKS.Process(target=add_child, args=(dict(os.environ), live_engine, begun))
        process.start()
        assert begun.wait(60)
        time.sleep(chance.uniform(0, 0.3))
        process.kill()
        process.join()
        told = notes.stats()
        assert told.texts == 40 and told.in_use.complete
        found = notes.search("changed 0", 40)
        assert len(found) == 40
        for one in found:
            assert bool(one.about.get("changed")) == one.text.startswith("changed")


def backup_child(environment: dict[str, str], path: str, begun: object) -> None:
    """Write backups without end."""
    os.environ.clear()
    os.environ.update(environment)
    backup("notes", path)
    begun.set()  # type: ignore[attr-defined]
    while True:
        backup("notes", path)


def test_a_killed_backup_leaves_a_whole_file(notes: Collection, tmp_path: Path) -> None:
    from workbench.vectors import restore

    path, chance = tmp_path / "notes.jsonl", random.Random(5)
    for turn in range(5):
        begun = _FORKS.Event()
        process = _FORKS.Process(
            target=backup_child, args=(dict(os.environ), str(path), begun), daemon=True
        )
        process.start()
        assert begun.wait(60)
        time.sleep(chance.uniform(0, 0.03))
        process.kill()
        process.join()
        assert restore(path, f"copy-{turn}").stats().texts == 40


def test_several_at_once_share_the_work(notes: Collection, live_engine: str) -> None:
    made: list[int] = []

    def work() -> None:
        with Engine(live_engine, kind="embedded") as engine:
            made.append(reembed(None, "notes", "other", engine, batch=3))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [2, 2, 2] and generations("notes")[0].complete

"""The same collections in a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from store.conftest import postgres, postgres_server  # noqa: F401 (fixtures)

from workbench import store
from workbench.engines import Engine
from workbench.vectors import (
    Collection,
    backup,
    collection,
    drop,
    forget,
    generations,
    reembed,
    restore,
    switch,
)


@pytest.fixture(autouse=True)
def closed(postgres: str) -> Iterator[None]:  # noqa: F811
    """The database is in use; what it was opened with is closed after the test."""
    yield
    store.engine().dispose()


def test_all_of_it(engine: Engine, tmp_path: Path) -> None:
    made = collection("notes", model="embed", engine=engine)
    assert made.add((f"n{n}", f"text number {n}", {"n": n}) for n in range(20)) == 20
    made.add([("n3", "changed", {}), ("nul", "a\x00b", {"x": "\x00"})])
    assert made.search("changed", 1)[0].key == "n3" and made.remove(["n4"]) == 1
    assert reembed(None, "notes", "other", engine, batch=4) == 2 and switch("notes", 2) == 1
    found = made.search("text number 7", 20)
    assert found[0].key == "n7" and len(found) == 20
    backup("notes", tmp_path / "notes.jsonl")
    forget("notes", 1)
    drop("notes")
    assert restore(tmp_path / "notes.jsonl").search("text number 7", 20) == found
    assert [one.missing for one in generations("notes")] == [0, 0]


def test_many_at_once(engine: Engine) -> None:
    collection("notes", model="embed", engine=engine)
    failed: list[BaseException] = []

    def work(part: int) -> None:
        try:
            mine = Collection("notes", engine)
            mine.add([(f"k{n}", f"text {n} of {part}", {}) for n in range(12)], batch=4)
            reembed(None, "notes", "other", engine, batch=3)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert reembed(None, "notes", "other", engine) == 2
    assert [(one.vectors, one.missing) for one in generations("notes")] == [(12, 0), (12, 0)]

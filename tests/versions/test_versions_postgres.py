"""The same update in a real PostgreSQL, while others write texts and go back at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count

import pytest
from store.conftest import postgres, postgres_server  # noqa: F401 (fixtures)
from versions.updated import COLLECTIONS, fill, first_release, in_use, prepared, run

from workbench import releases, store, vectors, versions
from workbench.engines import Engine
from workbench.errors import ReleaseError


@pytest.fixture(autouse=True)
def closed(postgres: str) -> Iterator[None]:  # noqa: F811
    """The database is in use; what it was opened with is closed after the test."""
    yield
    store.engine().dispose()


def test_updates_beside_writers(engine: Engine) -> None:
    first_release(engine)
    fill(engine)
    failed: list[BaseException] = []
    stop = threading.Event()

    def write(name: str) -> None:
        try:
            for number in count():
                if stop.wait(0.1):
                    return
                vectors.collection(name).add([(f"late{number % 9}", f"text {number}", {})])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in COLLECTIONS]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            done = run(prepared({"primary": "two", "embedding": "other"}, gate="none"))
            assert done.state == "done"
            assert versions.undo(done).state == "undone"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    now = in_use()
    assert now["version"] == "v0.1" and set(now["vectors"].values()) == {now["embedding"]}


def test_several_go_back_at_once(engine: Engine) -> None:
    first_release(engine)
    fill(engine)
    run(prepared({"embedding": "other"}, gate="none"))
    said: list[str] = []

    def back() -> None:
        try:
            said.append(versions.rollback(to="v0.1").version)
        except ReleaseError as error:
            said.append(str(error))

    threads = [threading.Thread(target=back) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count("v0.1") == 1 and all("v0.1" in one for one in said), said
    assert in_use()["version"] == "v0.1" and len(releases.switches()) == 3
    assert set(in_use()["vectors"].values()) == {in_use()["embedding"]}

"""The heart: an update that is killed at random points, again and again, resumed or not.

Release and vectors in use belong together at every moment, and are those before or those after;
what comes out at the end is what comes out without a kill.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from versions.updated import COLLECTIONS, fill, first_release, in_use, prepared, write_suite
from versions.updater import Updater

from workbench import releases, vectors, versions
from workbench.engines import Engine
from workbench.versions import Update

KILLS = 50
ROLES = ({"primary": "one", "embedding": "embed"}, {"primary": "two", "embedding": "other"})


@pytest.fixture
def updater(engine: Engine) -> Iterator[Updater]:
    first_release(engine)
    fill(engine)
    with Updater() as process:
        yield process


@pytest.fixture
def suite(tmp_path: Path) -> str:
    return write_suite(tmp_path)


def begun(number: int, suite: str) -> Update:
    """The next update: from `one` and `embed` to `two` and `other`, or back, with vectors that are
    to be made anew."""
    for name in COLLECTIONS:
        for one in vectors.generations(name):
            if not one.in_use:
                vectors.forget(name, one.number)
    return prepared(ROLES[number % 2], suite=suite, limit=10, gate="none", smoke=["def main():"])


def state() -> dict[str, Any]:
    """What is in use, which must belong together."""
    found = in_use()
    assert set(found["vectors"].values()) == {found["embedding"]}
    assert set(found["vectors"]) == set(COLLECTIONS)
    for name in COLLECTIONS:
        assert vectors.collection(name).stats().in_use.complete
    return found


def whole(update: Update) -> dict[str, Any]:
    """What an update came to, without what differs from one to the next."""
    used = releases.current()
    assert used is not None and used.version == update.version and update.state == "done"
    return {
        "members": {one.role: (one.model, one.digest) for one in used.members},
        "steps": {one.name: one.state for one in update.steps},
        "runs": used.evidence["suite"]["roles"][0]["runs"],
        "texts": {name: one["texts"] for name, one in used.evidence["reembed"].items()},
        "moved": sorted(releases.switches()[0].vectors),
        "found": [vectors.collection(name).search("def notes_3(x)", 12)[0].key
                  for name in COLLECTIONS],
    }  # fmt: skip


def test_killed_at_random_points(updater: Updater, suite: str, engine: Engine) -> None:
    expected, statements, number = {}, 0, 1
    for number in (1, 2, 3, 4):  # the first two measure, the others find the runs
        update = begun(number, suite)
        told = updater.order("run", update=update.id)
        assert told["code"] == 0
        expected[number % 2], statements = whole(versions.find(update.id)), told["statements"]
    chance, kills, seen = random.Random(8), 0, set()
    while kills < KILLS:
        number += 1
        before, update = state(), begun(number, suite)
        tries = chance.randrange(3, 8)
        for attempt in range(tries):
            how: dict[str, Any] = {"at": chance.randrange(statements // (attempt + 1))}
            if attempt == 1:
                how = {"after": chance.uniform(0, 0.5)}
            code = updater.order("run", update=update.id, **how)["code"]
            assert code in (0, -9)
            kills += code == -9
            now, kept = state(), versions.find(update.id)
            assert now["version"] == (update.version if kept.switched else update.before)
            assert kept.switched or now == before
            running = [one.name for one in kept.steps if one.state == "running"]
            seen.add((running[0] if running else "", kept.switched))
            if code == 0:
                break
        kept = versions.find(update.id)
        if chance.random() < 0.3 and kept.state != "done":  # it is not resumed
            if kept.switched:
                assert versions.undo(update).version == update.version
            else:
                assert versions.stop(update).state == "stopped"
            assert state() == before | {"version": update.before}
            number -= 1
            continue
        assert updater.order("run", update=update.id)["code"] == 0
        assert whole(versions.find(update.id)) == expected[number % 2]
    assert {switched for _, switched in seen} == {True, False} and len(seen) > 5
    assert versions.verify(thorough=False).ok


def test_killed_while_going_back(updater: Updater, suite: str, engine: Engine) -> None:
    ends = [state()]
    update = begun(1, suite)
    assert updater.order("run", update=update.id)["code"] == 0
    ends.append(state())
    code, at, seen = -9, 0, set()
    while code == -9:
        code = updater.order("rollback", at=at)["code"]
        now = state()
        assert now in ends
        assert (versions.find(update.id).state == "undone") == (now == ends[0])
        seen.add(ends.index(now))
        if now == ends[0] and code == -9:
            break
        at += 3
    assert seen == {0, 1} and state() == ends[0]

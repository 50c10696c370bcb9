"""Releases are made once, never change, and are taken into use whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from releases.release_tools import digest, member, released

from workbench.errors import ReleaseError
from workbench.releases import (
    aliases,
    current,
    find,
    history,
    make,
    model,
    next_version,
    previous,
    remove_alias,
    set_alias,
    switch,
    switches,
)
from workbench.store import session


def test_made_used_and_taken_back() -> None:
    assert current() is None and previous() is None and history() == [] and switches() == []
    assert next_version() == "v0.1"
    first = released("", "one:latest", "two:latest", purpose="Begin.", evidence={"score": 0.5})
    assert first.version == "v0.1" and first.parent == "" and first.created_at.tzinfo
    assert first == find("v0.1") == current() == find("current")
    second = released("", "two:latest", reason="better")
    assert (second.version, second.parent) == ("v0.2", "v0.1")
    assert history() == [second, first] and current() == second and previous() == first
    assert switches()[0].why == "better"
    moved = switch("v0.1", "slow", vectors={"memory": [2, 1]})
    assert (moved.version, moved.before) == ("v0.1", "v0.2")
    assert current() == first and previous() == second == find("previous")
    assert [one.version for one in switches()] == ["v0.1", "v0.2", "v0.1"]
    assert switches()[0] == moved and moved.vectors == {"memory": [2, 1]}
    one = first.role("fallback")
    assert one is not None and one.model == "two:latest" and first.role("embedding") is None


def test_made_without_use() -> None:
    released("v1", "one:latest")
    aside = released("", "two:latest", switch=False)
    used = current()
    assert aside.version == "v2" and used is not None and used.version == "v1"
    assert released("v0.9", "one:latest", parent="", switch=False).parent == ""
    assert next_version() == "v3"
    released("v2.9", "one:latest", switch=False)
    released("pilot", "one:latest", switch=False)
    assert next_version() == "v2.10"


def test_releases_never_change() -> None:
    released("v1", "one:latest")
    with pytest.raises(ReleaseError, match="already"):
        released("v1", "two:latest")
    assert [one.version for one in switches()] == ["v1"]
    with pytest.raises(ReleaseError, match="in use already"):
        switch("v1", "again")
    with pytest.raises(ReleaseError, match=r"no release 'v2'.*v1"):
        switch("v2", "no such")
    with pytest.raises(ReleaseError, match="no release"):
        released("v3", "one:latest", parent="v2")
    with pytest.raises(ReleaseError, match="no previous"):
        find("previous")
    assert len(history()) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"role": "main"}, "no role"),
        ({"role": "domain:Health"}, "no role"),
        ({"role": "task:../x"}, "no role"),
        ({"model": "../x"}, "model's name"),
        ({"digest": "d1"}, "no digest"),
        ({"digest": "sha256:" + "a" * 64}, "bare"),
        ({"size": -1}, "size"),
        ({"size": True}, "size"),
        ({"context": 2**60}, "context"),
        ({"source": "stolen"}, "source"),
        ({"how": ["x"]}, "how"),
        ({"measured": ("x",)}, "measurement"),
        ({"quantisation": "Q" * 65}, "quantisation"),
    ],
)
def test_what_a_member_may_not_be(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ReleaseError, match=words):
        make("v1", [replace(member(), **change)])
    assert history() == [] and switches() == []


def test_what_a_release_may_not_be() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    twice = [member(), member(model="two")]
    other = [member(), member("fallback", "ONE", digest=digest("another"))]
    cases: list[tuple[str, list[Any], dict[str, Any], str]] = [
        ("v1/x", [member()], {}, "cannot name a release"),
        ("current", [member()], {}, "cannot name a release"),
        ("v1", [], {}, "between 1 and 64"),
        ("v1", twice, {}, "given twice"),
        ("v1", other, {}, "two versions of"),
        ("v1", [member()], {"evidence": {"x": deep}}, "deep"),
        ("v1", [member()], {"evidence": {"x": "y" * (5 << 20)}}, "4 MB"),
        ("v1", [member()], {"notes": "x" * 20_001}, "notes"),
    ]
    for version, members, more, words in cases:
        with pytest.raises(ReleaseError, match=words):
            make(version, members, **more)
    assert history() == []


def test_odd_values_are_kept_as_every_database_takes_them() -> None:
    kept = released("v1", "one", notes="a\x00b \ud800", evidence={"x": float("nan"), "y": (1, 2)})
    assert kept.notes == "a␀b ?" and kept.evidence == {"x": None, "y": [1, 2]}
    assert kept == find("v1")


def test_a_callers_transaction_keeps_both_or_nothing() -> None:
    released("v1", "one:latest")
    with pytest.raises(ZeroDivisionError), session() as opened:
        released("v2", "two:latest", opened=opened)
        raise ZeroDivisionError
    assert [one.version for one in history()] == ["v1"] == [one.version for one in switches()]
    with session() as opened:
        released("v2", "two:latest", switch=False, opened=opened)
        switch("v2", "now", opened=opened)
    used = current()
    assert used is not None and used.version == "v2"


def test_many_at_once() -> None:
    released("v1", "one:latest")

    def one(number: int) -> str:
        try:
            return released("v2" if number % 2 else "", f"m{number}", switch=True).version
        except ReleaseError:
            return ""

    with ThreadPoolExecutor(8) as pool:
        made = [version for version in pool.map(one, range(16)) if version]
    assert len(made) == len(set(made)) and set(made) == {r.version for r in history()} - {"v1"}
    moves = switches()
    assert all(new.before == old.version for new, old in pairwise(moves))


KILLED = """
import os, signal
from releases.release_tools import released
from workbench.store import session
with session() as opened:
    released("v2", "two:latest", opened=opened)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_in_the_middle_leaves_nothing() -> None:
    first = released("v1", "one:latest")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", KILLED], timeout=60, env=environment, check=False)
    assert done.returncode == -9
    assert history() == [first] and current() == first and len(switches()) == 1


def test_roles_and_aliases() -> None:
    with pytest.raises(ReleaseError, match="no release yet"):
        model("primary")
    released("v1", "one:latest", "two:latest")
    assert model("primary") == "one:latest" and model("fallback") == "two:latest"
    set_alias("candidate", "new:latest", "sha256:" + digest("new"))
    moved = set_alias("candidate", "newer:latest", digest("newer"))
    assert model("candidate") == "newer:latest" and aliases() == [moved]
    with pytest.raises(ReleaseError, match=r"'primry'.*primary"):
        model("primry")
    for wrong in ("primary", "current", "Big", "a b", "", "x:y"):
        with pytest.raises(ReleaseError, match="cannot be an alias"):
            set_alias(wrong, "new", digest("new"))
    with pytest.raises(ReleaseError, match="no digest"):
        set_alias("other", "new", "")
    remove_alias("candidate")
    assert aliases() == []
    with pytest.raises(ReleaseError, match="no alias"):
        remove_alias("candidate")

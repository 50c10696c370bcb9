"""After every test the caller is as it was: no process and no folder of a program is left."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from workbench.errors import SandboxError
from workbench.sandbox import LEVELS, protection


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Temporary folders are made in a place of the test's own; orphans come to this process."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    take_orphans(True)
    before = set(psutil.Process().children(recursive=True))
    rights = own_rights()
    yield folder
    assert own_rights() == rights
    deadline = time.monotonic() + 20  # the kernel ends a process namespace in its own time
    while left := [child for child in children() if child not in before]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    take_orphans(False)
    assert left == []
    assert list(folder.iterdir()) == []


def take_orphans(yes: bool) -> None:
    """Whether processes whose parent dies become children of this one (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, int(yes), 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def own_rights() -> list[object]:
    """What another process of the same user could take from this one."""
    limits = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
    return [*map(resource.getrlimit, limits), os.nice(0), psutil.Process().cpu_affinity()]


def children() -> list[psutil.Process]:
    """The processes below this one that still run; the orphans that ended are waited for."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
            elif child.ppid() == os.getpid():
                os.waitpid(child.pid, os.WNOHANG)
        except (psutil.NoSuchProcess, ChildProcessError):
            continue
    return found


def put_in_force(level: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Skips the test on a machine that does not have the level."""
    monkeypatch.setenv("WORKBENCH_SANDBOX", level)
    try:
        assert protection().level == level
    except SandboxError as error:
        pytest.skip(str(error))
    return level


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each level that this machine has, in force for the test."""
    return put_in_force(request.param, monkeypatch)


@pytest.fixture(params=LEVELS[:-1])
def isolated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each level that guards the caller's files."""
    return put_in_force(request.param, monkeypatch)

"""Which level is taken, what is said of it, and when nothing is run at all."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from workbench.errors import SandboxError, SettingsError
from workbench.sandbox import LEVELS, Level, _run, protection, run_python
from workbench.sandbox._levels import Way, readable, ways


@pytest.fixture(autouse=True)
def tried_afresh() -> Iterator[None]:
    """What was found to work in one test is not taken for granted in the next."""
    _run._first_that_works.cache_clear()
    yield
    _run._first_that_works.cache_clear()


@pytest.fixture
def no_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing but limits works."""
    monkeypatch.setattr(
        "workbench.sandbox._levels.ways",
        lambda level, bubblewrap: ways(level, None) if level == "limits" else iter(()),
    )


def test_the_best_level_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    there = []
    for level in LEVELS:
        monkeypatch.setenv("WORKBENCH_SANDBOX", level)
        try:
            there.append(protection().level)
        except SandboxError as error:
            assert level != "limits"
            assert "bubblewrap" in str(error)
    monkeypatch.delenv("WORKBENCH_SANDBOX")
    if there == ["limits"]:
        with pytest.raises(SandboxError):
            protection()
    else:
        assert protection().level == there[0] == run_python("", timeout=60).protection


def test_each_level_says_what_it_does(level: str) -> None:
    facts = protection()
    assert facts.isolates_files == (level != "limits")
    assert facts.isolates_network == (sys.platform == "linux")
    assert (facts.advice == "") == (level == "bubblewrap")
    assert "network" in facts.words


def test_without_bubblewrap_another_level_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    try:
        assert protection().level == "landlock"
        assert "apt-get install bubblewrap" in protection().advice
    except SandboxError as error:
        assert "apt-get install bubblewrap" in str(error)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'bwrap: No permissions' >&2; exit 1", "bubblewrap: bwrap: No permissions"),
        ("exit 0", "bubblewrap: exit code 0"),
        ("kill -9 $$", "bubblewrap: exit code 137"),
        ('while [ "$1" != -- ]; do shift; done; shift; exec "$@"', "can be read all the same"),
    ],
)
def test_a_bubblewrap_that_does_not_work_is_not_believed(
    script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bwrap").write_text(f"#!/bin/sh\ncd {tmp_path}\n{script}\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("WORKBENCH_SANDBOX", "bubblewrap")
    with pytest.raises(SandboxError) as caught:
        protection()
    assert reason in str(caught.value)
    assert "sudo apt-get install bubblewrap" in str(caught.value)


@pytest.mark.usefixtures("no_level")
def test_limits_alone_are_refused_until_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for call in (protection, lambda: run_python("print(1)")):
        with pytest.raises(SandboxError) as caught:
            call()
        for words in ("sudo apt-get install bubblewrap", "WORKBENCH_SANDBOX=limits"):
            assert words in str(caught.value)
    monkeypatch.setenv("WORKBENCH_SANDBOX", " Limits ")
    assert protection().level == "limits"
    assert run_python("print(1)", timeout=60).protection == "limits"


def test_a_wrong_setting_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SANDBOX", "docker")
    with pytest.raises(SettingsError, match="auto, bubblewrap, landlock or limits, not 'docker'"):
        run_python("")


@pytest.mark.parametrize("level", LEVELS[:-1])
def test_every_way_to_a_level_is_safe(level: Level) -> None:
    """Root has two ways to bubblewrap; who is none has the second."""
    code = """
import os
print(os.getuid())
for attempt in os.fork, lambda: open("/new", "w"):
    try: attempt()
    except OSError: print("no")
"""
    for way in ways(level, shutil.which("bwrap")):
        outcome = _run._execute(way, code, {"main.py": code.encode()}, 60, 2**29, b"")
        assert outcome.stdout.split()[1:] == ["no", "no"]
        if way.drop and level == "bubblewrap":
            assert outcome.stdout.startswith("65534\n")


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock is Linux's")
def test_landlock_is_used_where_the_kernel_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    version = ctypes.CDLL(None).syscall(444, None, 0, 1)  # landlock_create_ruleset: which version
    monkeypatch.setenv("WORKBENCH_SANDBOX", "landlock")
    if version >= 1:
        assert protection().level == "landlock"
    else:
        with pytest.raises(SandboxError, match="landlock: OSError: this kernel has no Landlock"):
            protection()


def test_a_program_is_never_begun_without_its_protection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken filters end in an error of ours, not in a program that runs without one."""
    for broken in (b"\x06\0\0\0", b"\xff" * 8, b"\0" * 8):
        monkeypatch.setattr(_run, "build_filter", partial(lambda text, *_, **__: text, broken))
        with pytest.raises(SandboxError, match="seccomp"):
            _run._execute(Way("landlock"), "print('begun')", {}, 60, 2**29, b"")
    monkeypatch.undo()
    monkeypatch.setattr("workbench.sandbox._levels.readable", lambda: [Path("/not/there")])
    with pytest.raises(SandboxError, match="not/there"):
        _run._execute(Way("landlock"), "print('begun')", {}, 60, 2**29, b"")


def test_no_home_is_among_what_python_reads() -> None:
    homes = {Path.home(), Path("/home"), Path("/root"), Path("/"), Path("/tmp"), Path("/etc")}
    for path in readable():
        assert path not in homes
        assert path.is_file() or path.name in {"lib", "lib64", "zoneinfo", "store"}
    assert any(Path(os.__file__).is_relative_to(path) for path in readable())
    assert not any(Path(sys.prefix) == path for path in readable() if sys.prefix != sys.base_prefix)

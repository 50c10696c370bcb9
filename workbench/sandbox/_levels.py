"""The levels of protection, from the best down, and what each needs.

bubblewrap   `bwrap` makes a world of its own: Python's files to read, a small file system in
             memory to write to, no network, no other processes (github.com/containers/bubblewrap)
landlock     the kernel lets the process open Python's files and one temporary folder, no others
             (Linux 5.13, docs.kernel.org/userspace-api/landlock.html); needs nothing installed
limits       resource limits alone: the program can read what the user can. Only when asked for

On Linux each has the filter of `_filter.py` besides. A level counts as there when a program has
really run in it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from workbench.sandbox._filter import machine_name

Level = Literal["bubblewrap", "landlock", "limits"]
LEVELS: tuple[Level, ...] = get_args(Level)
DISK = 64 * 2**20  # bytes that a program may keep in files
INSTALL = "sudo apt-get install bubblewrap"
_SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo", "/nix/store")
_LINKER = "/etc/ld.so.cache"


@dataclass(frozen=True, slots=True)
class Protection:
    """What stands between a program and this machine; `advice` is empty when all is well."""

    level: Level
    words: str
    advice: str
    isolates_files: bool
    isolates_network: bool


@dataclass(frozen=True, slots=True)
class Way:
    """One way to start a program: `command` goes before Python's; `drop` becomes nobody."""

    level: Level
    command: tuple[str, ...] = ()
    drop: bool = False


def describe(level: Level) -> Protection:
    """The level in words for a person."""
    filtered = machine_name() is not None
    if level == "bubblewrap":
        words = "Programs run in bubblewrap: no files but Python's own, no network, no processes."
        return Protection(level, words, "", True, True)
    if level == "landlock":
        words = (
            "Programs run under Landlock: they open no files but Python's own and a temporary "
            "folder, and have no network; names and sizes of your files can be asked for."
        )
        return Protection(level, words, f"Bubblewrap hides more: {INSTALL}", True, True)
    reach = "They have no network." if filtered else "They reach the network and start processes."
    words = f"Programs run with limits only: they read and change your files. {reach}"
    advice = f"Run nothing you would not run yourself, or take bubblewrap on Linux: {INSTALL}"
    return Protection(level, words, advice, False, filtered)


def python() -> Path:
    """The interpreter itself, not a virtual environment's link to it."""
    return Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()


def readable() -> list[Path]:
    """What an interpreter reads: the system's libraries, its own, itself. Never a home folder."""
    prefixes = dict.fromkeys((Path(sys.base_prefix), Path(sys.base_prefix).resolve()))
    own = [prefix / name for prefix in prefixes for name in ("lib", "lib64")]
    found: list[Path] = []
    for path in [*map(Path, _SYSTEM), *own, Path(_LINKER), python()]:
        covered = any(path.is_relative_to(other) for other in found)
        if path.exists() and not path.is_symlink() and not covered:
            found.append(path)
    return found


def _bubblewrap_view(bubblewrap: str) -> list[str]:
    """The command up to its namespaces: which files there are."""
    # no --new-session: until its inner half has asked to die with the outer, one signal to the
    # group, which is a session of its own, has to reach both
    view, paths = [bubblewrap, "--die-with-parent"], readable()
    above = {parent for path in paths for parent in path.parents[:-1]}
    for folder in sorted(above | {Path("/dev")}):  # bubblewrap would close them to nobody
        view += ["--perms", "0755", "--dir", str(folder)]
    for path in paths:
        view += ["--ro-bind", str(path), str(path)]
    for path in map(Path, _SYSTEM):
        if path.is_symlink():
            view += ["--symlink", str(path.readlink()), str(path)]
    view += ["--dev-bind", "/dev/null", "/dev/null"]
    view += ["--perms", "0777", "--size", str(DISK), "--tmpfs", "/tmp"]  # noqa: S108 (its own)
    return [*view, "--remount-ro", "/", "--chdir", "/tmp"]  # noqa: S108


def ways(level: Level, bubblewrap: str | None) -> Iterator[Way]:
    """The ways to have a level on this machine, the better one first."""
    if level == "limits":
        yield Way("limits", drop=os.getuid() == 0)
    elif machine_name() is None:
        return
    elif level == "landlock":
        yield Way("landlock", drop=os.getuid() == 0)
    elif bubblewrap:
        view = _bubblewrap_view(bubblewrap)
        if os.getuid() == 0:  # keep the right to become nobody, which a user namespace takes
            apart = [f"--unshare-{name}" for name in ("ipc", "pid", "net", "uts", "cgroup-try")]
            rights = ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
            yield Way("bubblewrap", (*view, *apart, *rights, "--"), drop=True)
        yield Way("bubblewrap", (*view, "--unshare-all", "--"))

"""A job's log: everything that it and its children write to stdout and stderr.

They write into the file themselves, so the last words of a crash are in it. When it grows beyond a
bound it is copied aside and emptied in place (its writers append, so they go on at its new end):
at most two such files are kept. What is written in the instant between copying and emptying is
lost, and a flood between two looks (a quarter of a second) can go past the bound.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

MAX_BYTES = 4_000_000
NAME = "log.txt"
_OLDER = "log.1.txt"


def open_log(folder: Path) -> int:
    """A file descriptor that appends to the log."""
    return os.open(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def bound(folder: Path, limit: int = MAX_BYTES) -> None:
    """Move the log aside when it is too long."""
    file = folder / NAME
    with suppress(OSError):
        if file.stat().st_size > limit:
            shutil.copyfile(file, folder / _OLDER)
            os.truncate(file, 0)
            _keep_tail(folder / _OLDER, limit)


def tail(folder: Path, lines: int | None) -> str:
    """The last lines (None: all that is kept). A line that a progress bar rewrote counts once."""
    text = b"".join(_read(folder / name) for name in (_OLDER, NAME)).decode("utf-8", "replace")
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    if shown and not shown[-1]:
        shown.pop()
    return "\n".join(shown if lines is None else shown[-lines:] if lines > 0 else [])


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _keep_tail(file: Path, limit: int) -> None:
    """A flood may have made it far longer than the bound."""
    size = file.stat().st_size
    if size <= 2 * limit:
        return
    with file.open("rb") as source:
        source.seek(size - limit)
        kept = source.read()
    file.write_bytes(kept)

"""Looking at files that may be anything: no link is followed, nothing but plain files is opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from workbench.errors import EngineError

# a named pipe must not hold us up, and a link must not lead elsewhere
FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
FLAGS |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
LARGEST_MANIFEST = 16 * 1024 * 1024  # bytes
Identity = tuple[int, int, int, int, int]


def open_plain(path: Path) -> int:
    """A descriptor of a plain file, for reading. Raises OSError, also for what is none."""
    handle = os.open(path, FLAGS)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"{path.name} is no plain file")
    return handle


def identity(status: os.stat_result) -> Identity:
    """What changes whenever somebody changes a file: where it is, its size, its times."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def read_small(path: Path, largest: int = LARGEST_MANIFEST) -> bytes:
    """A small plain file. Raises OSError, or EngineError for a large one."""
    with os.fdopen(open_plain(path), "rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise EngineError(f"{path.name} is larger than any manifest; move it away")
    return content


def closed(status: os.stat_result) -> str:
    """Why permissions of a file or folder are wrong; "" when they are not.

    The bits are asked, not the system: an administrator may read everything.
    """
    if os.name != "posix":
        return ""
    need = 0o500 if stat.S_ISDIR(status.st_mode) else 0o400
    if ours(status) and status.st_mode & need != need:
        return "cannot be read by you"
    if status.st_mode & 0o002 and not status.st_mode & stat.S_ISVTX:
        return "can be changed by everybody"
    return ""


def ours(status: os.stat_result) -> bool:
    """Whether the file belongs to who we are."""
    return os.name == "posix" and status.st_uid == os.geteuid()

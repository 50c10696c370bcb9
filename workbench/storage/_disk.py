"""How much a file or a folder takes, and when something in it changed. No link is followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Size:
    """`own` bytes come back when it is deleted; `shared` have another name elsewhere."""

    own: int = 0
    shared: int = 0
    newest: float = 0.0  # seconds since the epoch

    @property
    def at(self) -> datetime | None:
        """When something in it changed last; None for what is not there."""
        return datetime.fromtimestamp(self.newest, UTC) if self.newest else None


def measure(paths: Iterable[Path]) -> Size:
    """All of these together. What cannot be read counts nothing."""
    own = shared = 0
    newest = 0.0
    seen: dict[int, list[int]] = {}  # files with several names: size, names in all, names here
    for status in _files(paths):
        newest = max(newest, status.st_mtime)
        if not stat.S_ISREG(status.st_mode):
            continue
        if status.st_nlink > 1:
            seen.setdefault(status.st_ino, [taken(status), status.st_nlink, 0])[2] += 1
        else:
            own += taken(status)
    for size, names, here in seen.values():
        own, shared = (own + size, shared) if here >= names else (own, shared + size)
    return Size(own, shared, newest)


def taken(status: os.stat_result) -> int:
    """Bytes of a file on the disk: a file with holes, as a download makes it, takes less."""
    blocks = getattr(status, "st_blocks", 0) * 512
    return min(status.st_size, blocks) if 0 < blocks < status.st_size else status.st_size


def _files(paths: Iterable[Path]) -> Iterator[os.stat_result]:
    waiting = [str(path) for path in paths]
    while waiting:
        path = waiting.pop()
        try:
            status = os.lstat(path)
            if stat.S_ISDIR(status.st_mode):
                with os.scandir(path) as entries:
                    waiting.extend(entry.path for entry in entries)
        except OSError:
            continue  # deleted just now, or not ours to read
        yield status

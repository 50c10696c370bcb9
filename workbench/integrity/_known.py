"""What was read before, and when: so that a check which was broken off goes on where it was.

Lines of JSON in `<home>/integrity/read.jsonl`, one for each file that was whole: digest, identity
(device, inode, size, times of change), time. Whoever changes a file changes its identity; only a
disk that loses bits does not, so a line is believed for a day. A torn or hostile line is skipped,
and a file that cannot be written only means that more is read next time.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress

from workbench import settings
from workbench.integrity._files import Identity, identity

FRESH = 86_400.0  # seconds for which a line is believed
_LARGEST = 8 * 1024 * 1024  # bytes of the file, before old lines are dropped
_KEPT = 366 * FRESH  # how long lines stay that tell when a file was read


class Known:
    """The lines in memory: by device and inode the digest, the identity and the time."""

    def __init__(self) -> None:
        self._path = settings.home() / "integrity" / "read.jsonl"
        self._lines: dict[tuple[int, int], tuple[str, Identity, float]] = {}
        with suppress(OSError):
            self._load()

    def at(self, digest: str, status: os.stat_result) -> float | None:
        """When this file, as it is now, was found whole; None when it never was."""
        found = self._lines.get((status.st_dev, status.st_ino))
        return found[2] if found and found[:2] == (digest, identity(status)) else None

    def fresh(self, digest: str, status: os.stat_result) -> bool:
        """Whether it was found whole in the last day."""
        at = self.at(digest, status)
        return at is not None and 0 <= time.time() - at < FRESH

    def add(self, digest: str, who: Identity) -> None:
        """Remember that a file was found whole just now."""
        now = time.time()
        self._lines[who[:2]] = (digest, who, now)
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            with self._path.open("a", encoding="ascii") as file:
                file.write(_line(digest, who, now))

    def _load(self) -> None:
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            file.seek(max(0, size - 2 * _LARGEST))
            for line in file.read(2 * _LARGEST).splitlines():
                self._take(line)
        if size > _LARGEST:
            self._shrink()

    def _take(self, line: bytes) -> None:
        try:
            digest, who, at = json.loads(line)
            numbers = [*who, at]
            if len(who) != 5 or any(type(number) not in {int, float} for number in numbers):
                return
            self._lines[(who[0], who[1])] = (str(digest), (*who,), at)
        except (ValueError, TypeError, KeyError, RecursionError):
            return

    def _shrink(self) -> None:
        """Write the lines that still say something beside, and put them in the file's place."""
        since = time.time() - _KEPT
        kept = [line for line in self._lines.values() if line[2] > since]
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        beside.write_text("".join(_line(*line) for line in kept), encoding="ascii")
        beside.replace(self._path)


def _line(digest: str, who: Identity, at: float) -> str:
    return json.dumps([digest, who, round(at, 3)], separators=(",", ":")) + "\n"

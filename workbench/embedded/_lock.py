"""One engine per home: an OS lock for its whole life, and a file that says where it is.

The kernel frees the lock when the process ends, however it ends, so a lock is never stale; the
file may be, and counts only while the lock is held. Both live in `<home>/engine/`.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

_WAIT = 15.0  # seconds for an engine that holds the lock to say where it is


class EngineLock:
    """The lock and the address file of the engine of one home."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "engine"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.address = self.folder / "engine.json"
        self._lock = FileLock(self.folder / "engine.lock")

    def acquire(self) -> bool:
        """True when this process is now the engine of the home."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        self.address.unlink(missing_ok=True)  # an engine that was killed left it
        return True

    def announce(self, **facts: Any) -> None:
        """Say where the engine is; readers see the whole file or none."""
        temporary = self.address.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(facts) + "\n", "utf-8")
        temporary.replace(self.address)

    def running_url(self) -> str | None:
        """The URL that the holder of the lock announces; waits while it starts."""
        end = time.monotonic() + _WAIT
        while time.monotonic() < end:
            try:
                facts = json.loads(self.address.read_text("utf-8"))
                if psutil.pid_exists(facts["pid"]):
                    return str(facts["url"])
            except (OSError, ValueError, KeyError, TypeError):
                pass  # not written yet
            time.sleep(0.02)
        return None

    def release(self) -> None:
        """Give the home back; the address goes first."""
        self.address.unlink(missing_ok=True)
        self._lock.release()

"""Who measures on an engine: one at a time, where speed counts or models are loaded in many ways.

Two workers, or two studies, on one engine would slow each other down and take each other's model
out of memory. So each takes the engine for one trial. Those of other homes are not seen.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from workbench.settings import home

_PATIENCE = 0.2  # seconds between two looks at `stop`
_LOOK = 0.02  # seconds between two tries


class Turn:
    """The engine at `url`, for one who measures. Others see it as taken while it is."""

    def __init__(self, url: str) -> None:
        from filelock import FileLock

        folder = home() / "tune"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"engine-{hashlib.sha256(url.encode()).hexdigest()[:16]}"
        self._lock = FileLock(folder / f"{name}.lock", mode=0o600, thread_local=False)
        self._last = folder / f"{name}.last"
        self._me = uuid.uuid4().hex

    @contextmanager
    def taken(
        self, stop: Callable[[], None] | None, waits: Callable[[], None] | None = None
    ) -> Iterator[bool]:
        """Have the engine to measure; yields whether another measured since. Who has it may take it
        once more. While somebody else has it, `waits` is called once and `stop` again and again,
        which raises to give up. Without `stop` the engine is only left: nobody is waited for.
        Raises filelock.Timeout."""
        from filelock import Timeout

        while True:
            try:
                self._lock.acquire(timeout=_PATIENCE if stop else 0, poll_interval=_LOOK)
                break
            except Timeout:
                if stop is None:
                    raise
                if waits is not None:
                    waits()
                waits = None
                stop()
        try:
            last = self._last.read_text(encoding="utf-8") if self._last.exists() else self._me
            if stop is not None:
                self._last.write_text(self._me, encoding="utf-8")
            yield last != self._me
        finally:
            self._lock.release()

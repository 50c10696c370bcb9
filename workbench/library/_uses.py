"""Who uses what: blobs that unfinished work needs, and when the engine last used a model.

    <models>/.held/<random>         digests, a line each, that the work of one process needs
    <models>/.held/<random>.lock    locked while that process works; a kill lets go of it
    <models>/loads/<digest>         empty; its time is when the model was last used

Every process that shares the folder sees both, so nothing is removed under another one's hands.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Holds:
    """The blobs of one library that work needs which is not done; `lock` is the library's."""

    def __init__(self, root: Path, lock: BaseFileLock) -> None:
        self._folder, self._lock = root / ".held", lock

    @contextmanager
    def hold(self, digests: Iterable[str]) -> Iterator[Callable[[str], None]]:
        """Keep these from being removed; yields a way to add more."""
        path, first = self._folder / secrets.token_hex(8), [*digests]
        mine = FileLock(path.with_suffix(".lock"), thread_local=False)
        with self._lock:  # whoever removes blobs has it, too
            self._folder.mkdir(exist_ok=True)
            mine.acquire()
            file = path.open("w", encoding="utf-8", errors="replace", buffering=1)
            file.writelines(f"{digest}\n" for digest in first)
            file.flush()

        def keep(digest: str) -> None:
            with self._lock:
                file.write(f"{digest}\n")

        try:
            yield keep
        finally:
            file.close()
            path.unlink(missing_ok=True)
            mine.release()
            path.with_suffix(".lock").unlink(missing_ok=True)

    def held(self) -> set[str]:
        """What living work needs, `sha256:…`; what a kill left is tidied away."""
        found: set[str] = set()
        with self._lock:
            for lock in self._folder.glob("*.lock"):
                try:
                    with FileLock(lock, timeout=0):
                        lock.with_suffix("").unlink(missing_ok=True)
                        lock.unlink(missing_ok=True)
                except Timeout:
                    with suppress(OSError):  # it has just ended
                        found.update(lock.with_suffix("").read_text("utf-8").split())
        return found


def note_load(root: Path, digest: str) -> None:
    """Note that the model with this digest is used now. A disk that refuses costs only the note."""
    if not _DIGEST.fullmatch(digest):
        return
    with suppress(OSError):
        (root / "loads").mkdir(exist_ok=True)
        (root / "loads" / digest).touch()


def last_load(root: Path, digest: str) -> datetime | None:
    """When the model with this digest was last used by the engine; None where that is not known."""
    if not _DIGEST.fullmatch(digest):
        return None
    try:
        return datetime.fromtimestamp((root / "loads" / digest).stat().st_mtime, UTC)
    except OSError:
        return None

"""SHA-256 of many files at once: one thread per core, large pieces, no interpreter in between.

`hashlib` lets go of the interpreter while it computes, and so do reads, so threads are enough. A
reader that is left early (an exception, a closed generator) stops its threads at the next piece.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from workbench.integrity._files import Identity, identity, open_plain
from workbench.integrity._known import Known
from workbench.integrity._records import Pace
from workbench.integrity._survey import Blob

PIECE = 1 << 20  # bytes that are read at once: they stay in a core's cache
TICK = 0.1  # seconds between two words on how far it is
_ROUNDS = 3  # readings of a file that somebody replaces while it is read


@dataclass(frozen=True, slots=True)
class Read:
    """One file that was read: its digest (sha256:<hex>) and who it was, or why it could not be."""

    path: Path
    digest: str = ""
    who: Identity | None = None  # None: it was changed meanwhile
    error: OSError | None = None


class Pass:
    """One reading of many blobs: what is right is remembered, how far it is told."""

    def __init__(self, known: Known, told: Callable[[Pace], None], workers: int) -> None:
        self.bytes = 0  # read so far
        self._known, self._told, self._workers = known, told, workers

    def run(self, blobs: Sequence[Blob]) -> Iterator[tuple[Blob, str]]:
        """The blobs whose bytes are wrong, each with what is wrong as the rest of a sentence."""
        for left in reversed(range(_ROUNDS)):
            wrong = []
            for blob, one in self._read(blobs):
                if one.digest != blob.digest:
                    wrong.append((blob, one))
                elif one.who is not None:
                    self._known.add(blob.digest, one.who)
            again = [blob for blob, one in wrong if left and _replaced(one)]
            for blob, one in wrong:
                if blob not in again and not isinstance(one.error, FileNotFoundError):
                    yield blob, _what(one)
            blobs = again

    def _read(self, blobs: Sequence[Blob]) -> Iterator[tuple[Blob, Read]]:
        """All of them, the largest first: that keeps all threads busy to the end."""
        by_path = {blob.path: blob for blob in blobs}
        sizes = {blob.path: blob.status.st_size for blob in blobs if blob.status is not None}
        paths = sorted(by_path, key=lambda path: sizes[path], reverse=True)
        total, files, before, began = sum(sizes.values()), 0, self.bytes, time.monotonic()
        due = began

        def tell(count: int) -> None:
            nonlocal due
            self.bytes, now = before + count, time.monotonic()
            if now >= due or files == len(paths):
                due = now + TICK
                self._told(Pace(min(count, total), total, files, len(paths), now - began))

        for one in read_all(paths, min(self._workers, len(paths)), tell):
            files += 1
            yield by_path[one.path], one


def _replaced(one: Read) -> bool:
    """Whether what was read is no longer what has the name."""
    if one.error is not None:
        return False
    try:
        return one.who is None or identity(one.path.lstat()) != one.who
    except OSError:
        return False


def _what(one: Read) -> str:
    if one.error is None:
        return "was changed on the disk"
    return f"cannot be read ({one.error.strerror or one.error})"


def read_all(
    paths: Sequence[Path], workers: int, told: Callable[[int], None]
) -> Generator[Read, None, None]:
    """Each file's digest as soon as it is known; `told` hears the bytes read so far."""
    todo: SimpleQueue[Path] = SimpleQueue()
    done: SimpleQueue[Read | BaseException] = SimpleQueue()
    for path in paths:
        todo.put(path)
    stop, counts = threading.Event(), [0] * workers

    def work(number: int) -> None:
        view = memoryview(bytearray(PIECE))
        try:
            while not stop.is_set():
                done.put(_read(todo.get_nowait(), view, counts, number, stop))
        except Empty:
            return
        except BaseException as error:  # it is raised where somebody waits
            done.put(error)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(workers)]
    for thread in threads:
        thread.start()
    try:
        left = len(paths)
        while left:
            item: Read | BaseException | None = None
            with suppress(Empty):
                item = done.get(timeout=TICK)
            if isinstance(item, BaseException):
                raise item
            if item is not None:
                left -= 1
                yield item
            told(sum(counts))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _read(
    path: Path, view: memoryview, counts: list[int], number: int, stop: threading.Event
) -> Read:
    whole = hashlib.sha256()
    try:
        with os.fdopen(open_plain(path), "rb", buffering=0) as file:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            before = identity(os.fstat(file.fileno()))
            while (size := file.readinto(view)) and not stop.is_set():
                whole.update(view[:size])
                counts[number] += size
            after = identity(os.fstat(file.fileno()))
    except OSError as error:
        return Read(path, error=error)
    return Read(path, f"sha256:{whole.hexdigest()}", before if before == after else None)

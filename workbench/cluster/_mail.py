"""What goes between a job and its workers: folders in pieces, reports, wishes.

Workers cannot reach the job (its store, its disk), and the job asks nobody but the cluster. So
there is one small actor, the mailbox: rank 0 leaves messages there and reads what is wished, the
job takes the messages. Large things are objects of Ray's store, of which messages hold references,
few at a time, so that a checkpoint of any size passes through a store of any size.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import psutil

from workbench.work import writing

_PIECE = 32 << 20  # bytes
# of a base model no more than this is sent: nothing that could run
MODEL_FILES = ("*.json", "*.safetensors")

Message = tuple[str, Any]  # its kind, and what belongs to it


class Mailbox:
    """An actor. It lives as long as the job is connected to the cluster."""

    def __init__(self, parcel: dict[str, Any]) -> None:
        self._parcel = parcel
        self._messages: list[Message] = []
        self._taken = 0  # messages that the job has had
        self._wishes: dict[str, bool] = {}

    def parcel(self) -> dict[str, Any]:
        """What the workers need to begin."""
        return self._parcel

    def unpacked(self) -> None:
        """The workers have it all: let its memory go."""
        self._parcel = {}

    def exchange(self, messages: list[Message]) -> tuple[dict[str, bool], int]:
        """For a worker: leave messages; what is wished, and how many messages wait."""
        self._messages.extend(messages)
        return self._wishes, len(self._messages)

    def take(self, had: int, wishes: dict[str, bool]) -> tuple[int, list[Message]]:
        """For the job, which has `had` so many messages: the others, and their number with those.
        What was not confirmed comes again."""
        del self._messages[: had - self._taken]
        self._taken, self._wishes = had, wishes
        return had + len(self._messages), list(self._messages)


def pieces(folder: Path, patterns: Iterable[str] = ("*",)) -> Iterator[tuple[str, bytes]]:
    """The files of a folder, in pieces with their names; an empty file is one empty piece."""
    names = {path.name for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    for name in sorted(names):
        with (folder / name).open("rb") as opened:
            piece = opened.read(_PIECE)
            yield name, piece
            while piece := opened.read(_PIECE):
                yield name, piece


def sent(folder: Path, patterns: Iterable[str] = ("*",)) -> list[tuple[str, Any]]:
    """The pieces of a folder as objects of the cluster."""
    import ray

    return [(name, ray.put(piece)) for name, piece in pieces(folder, patterns)]


def received(parcel: Iterable[tuple[str, Any]], folder: Path) -> Path:
    """Write a folder that was `sent`."""
    import ray

    folder.mkdir(parents=True, exist_ok=True)
    for name, piece in parcel:
        append(folder, name, ray.get(piece))
    return folder


def append(folder: Path, name: str, piece: bytes) -> None:
    """Add a piece to a file of `folder`. Raises TrainingError where the disk refuses."""
    with writing(folder), (folder / Path(name).name).open("ab") as opened:
        opened.write(piece)


@contextmanager
def own_folder(prefix: str, parent: str | None = None) -> Iterator[Path]:
    """A temporary folder of this process. Those of this name that killed processes left go too."""
    parent = parent or gettempdir()
    for path in Path(parent).glob(f"{prefix}*"):
        owner = path.name.removeprefix(prefix).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(path, ignore_errors=True)
    named = f"{prefix}{os.getpid()}-"
    with TemporaryDirectory(prefix=named, dir=parent, ignore_cleanup_errors=True) as name:
        yield Path(name)

"""Notes of what was put into the trash: which files, from where, and whether they are to come back.

A note is a file of JSON, written beside and renamed. It may be damaged or made by somebody else: a
path in it that could lead out of its root makes it none.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from workbench.library._blobs import publish
from workbench.library._moving import sound

_log = logging.getLogger(__name__)
Root = Literal["models", "home"]
State = Literal["json", "undo", "gone"]  # taken, brought back, deleted
NAME = re.compile(r"(\d{8}-\d{6}-[0-9a-f]{6})\.(json|undo|gone)")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LARGEST = 64 * 1024 * 1024  # bytes of a note


@dataclass(frozen=True, slots=True)
class Move:
    """A file or folder at `place`, a path below its root, and the mark by which it is known.

    One that is `spare` has been made again when something is in its place: then that stays.
    """

    root: Root
    place: str
    mark: tuple[int, ...] = ()
    spare: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Things that were taken together. `blobs` are the digests that their models name."""

    id: str
    at: datetime
    moves: tuple[Move, ...]
    blobs: tuple[str, ...]
    about: Mapping[str, Any]  # for people
    home: str  # whose files they are
    state: State
    path: Path


def become(note: Note, state: State) -> Note:
    """The note under its next name: from here on that is what holds."""
    path = note.path.with_suffix(f".{state}")
    publish(note.path, path)
    return replace(note, state=state, path=path)


def write(note: Note) -> None:
    """Whole or not at all."""
    note.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    moves = [[move.root, move.place, move.spare, *move.mark] for move in note.moves]
    record = {"version": 1, "at": note.at.isoformat(), "home": note.home, "moves": moves,
              "blobs": note.blobs, "about": dict(note.about)}  # fmt: skip
    new = note.path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    publish(new, note.path)


def read(path: Path) -> Note | None:
    """The note in this file; None for one that is gone, or damaged: then a log line says why."""
    try:
        return _read(path)
    except FileNotFoundError:
        return None  # another process is done with it
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        _log.warning("%s is damaged and left out: %s", path, error)
        return None


def _read(path: Path) -> Note:
    named = NAME.fullmatch(path.name)
    if named is None or path.is_symlink() or path.stat().st_size > _LARGEST:
        raise ValueError("it is no file of ours")
    record = json.loads(path.read_bytes())
    moves = []
    for root, place, spare, *found in record["moves"]:
        if root not in get_args(Root) or not sound(place):
            raise ValueError(f"{place!r} is no path of ours")
        moves.append(Move(root, place, tuple(map(int, found)), bool(spare)))
    at, about = datetime.fromisoformat(record["at"]), record["about"]
    if at.tzinfo is None or not isinstance(about, dict):
        raise ValueError("its time or its words are missing")
    blobs, state = tuple(map(str, record["blobs"])), named[2]
    if not all(_DIGEST.fullmatch(digest) for digest in blobs):
        raise ValueError("it names blobs that cannot be")
    return Note(named[1], at, tuple(moves), blobs, about, str(record["home"]), state, path)  # type: ignore[arg-type]

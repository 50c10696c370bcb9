"""The trash: files that are moved away and back, all of them or none, whatever is killed when.

    <root>/trash/<id>.json    what was taken from where
    <root>/trash/<id>/…       what was taken, under the path that it had below <root>

There are two roots: the models' folder and the home. Of a model only its manifest moves: its blobs
stay where they are, and `Library` removes none that a manifest in the trash names. So to take a
model and to bring it back is quick, and its bytes come back when the trash is emptied.

A note is written beside and renamed: with that all is decided. `<id>.json` means taken, `<id>.undo`
brought back, `<id>.gone` deleted; from one to the next is a rename as well. What then follows can
be repeated, and `recover` does so after a kill. A file is moved only while it is the one that was
noted (its inode, its time): what came into its place later is somebody else's.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import BaseFileLock

from workbench.errors import StorageError
from workbench.library._moving import delete, immovable, mark, remove_empty, rename, sound
from workbench.library._notes import NAME, Move, Note, Root, become, read, write

_log = logging.getLogger(__name__)


class Trash:
    """The trash of one models' folder and, where it is given, of one home.

    `lock` is the library's; `prune` removes those of some blobs that nothing names any more.
    """

    def __init__(
        self,
        models: Path,
        lock: BaseFileLock,
        prune: Callable[[Iterable[str]], None],
        home: Path | None = None,
    ) -> None:
        self._roots: dict[str, Path] = {"models": models}
        if home is not None:
            self._roots["home"] = home
        self._lock, self._prune, self._home = lock, prune, home

    def notes(self) -> list[Note]:
        """What is in the trash, the oldest first. What is damaged is left out, with a log line."""
        files = [path for path in self._files("*.*") if NAME.fullmatch(path.name)]
        found = [note for path in files if (note := read(path)) is not None]
        return sorted(found, key=lambda note: (note.id, note.state))

    def find(self, id: str) -> Note:
        """What is in the trash under this id. Raises StorageError."""
        for note in self.notes():
            if note.id == id and note.state == "json":
                return note
        raise StorageError(
            f"There is nothing {id!r} in the trash. `workbench storage trash` lists what is in it."
        )

    def take(
        self,
        places: Sequence[tuple[Root, str]],
        about: Mapping[str, Any],
        blobs: Iterable[str] = (),
        spare: Container[str] = (),
    ) -> Note:
        """Move these into the trash, all or none. What of it is in `spare`, such as a cache, does
        not come back over what was made in its place. Raises StorageError; then nothing has moved.
        """
        with self._lock:
            moves = [self._marked(root, place, place in spare) for root, place in places]
            note = self._noted(moves, about, blobs)
            try:
                self._do(note)
            except OSError as error:
                with suppress(OSError):  # or else `recover` goes on with it
                    self._do(become(note, "undo"))
                raise StorageError(
                    f"{error.filename} cannot be moved ({error.strerror}), so nothing was taken. "
                    "Is it in use, or another user's?"
                ) from error
            return note

    def undo(self, id: str) -> Note:
        """Bring all of it back. Raises StorageError where something has its place by now."""
        with self._lock:
            note = self._owned(id)
            taken = [move.place for move in note.moves if self._blocked(move)]
            if taken:
                raise StorageError(
                    f"{', '.join(taken[:3])} is there again, so {id} is not brought back over it. "
                    "Remove or rename what is there first."
                )
            try:
                self._do(become(note, "undo"))
            except OSError as error:
                raise _later(error, "brought back") from error
            return note

    def empty(self, id: str) -> Note:
        """Delete it for good. Raises StorageError."""
        with self._lock:
            going = become(self._owned(id), "gone")
        try:
            self._do(going)
        except OSError as error:
            raise _later(error, "deleted") from error
        return going

    def recover(self) -> None:
        """Finish what a kill left. What the disk still refuses is logged and tried again later."""
        if any(self._files("*.new")):
            with self._lock:  # nobody is writing one now
                for path in self._files("*.new"):
                    path.unlink(missing_ok=True)
        for note in self.notes():
            try:
                self._repeat(note)
            except OSError as error:
                _log.warning("the trash %s waits for %s: %s", note.id, error.filename, error)

    def _repeat(self, note: Note) -> None:
        if note.state == "gone":
            self._do(note)
        elif note.state == "undo" or any(self._pending(note, move) for move in note.moves):
            with self._lock:
                if note.path.exists():  # nobody was quicker
                    try:
                        self._do(note)
                    except OSError:
                        if note.state != "json":
                            raise
                        self._do(become(note, "undo"))

    def _noted(self, moves: list[Move], about: Mapping[str, Any], blobs: Iterable[str]) -> Note:
        """The note, written: from here on the moves are decided."""
        at = datetime.now(UTC)
        root = "models" if any(move.root == "models" for move in moves) else "home"
        id = f"{at:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        path = self._roots[root] / "trash" / f"{id}.json"
        home = str(self._home or "")
        note = Note(id, at, tuple(moves), tuple(blobs), about, home, "json", path)
        try:
            write(note)
        except OSError as error:
            raise StorageError(
                f"The trash {path.parent} cannot be written ({error.strerror}), so nothing was "
                "taken. Free some space first."
            ) from error
        return note

    def _do(self, note: Note) -> None:
        """What the note's state wants, as far as its roots are ours; a second time it is done."""
        ours = [move for move in note.moves if self._sees(note, move)]
        if note.state == "json":
            for move in ours:
                if self._pending(note, move):
                    rename(self._place(move), self._kept(note, move))
                    self._tidy(move)
            return
        left = []
        if note.state == "undo":
            left = [move for move in ours if not self._returned(note, move)]
        else:
            for root in {move.root for move in ours}:
                delete(self._roots[root] / "trash" / note.id)
            self._prune(note.blobs)
        if len(ours) < len(note.moves):
            return  # who knows the other root ends it
        if left:  # something came into its place meanwhile: it stays in the trash
            path = note.path.with_suffix(".json")
            write(replace(note, moves=tuple(left), state="json", path=path))
        else:
            for base in self._roots.values():
                remove_empty(base / "trash" / note.id)
        note.path.unlink(missing_ok=True)

    def _returned(self, note: Note, move: Move) -> bool:
        """Bring one thing back; False where its place is taken."""
        kept, place = self._kept(note, move), self._place(move)
        if not os.path.lexists(kept):
            return True
        if self._blocked(move):
            return False
        if os.path.lexists(place):
            delete(kept)
        else:
            rename(kept, place)
        return True

    def _blocked(self, move: Move) -> bool:
        """Whether something else is where it was; names of models differ by more than case."""
        place = self._place(move)
        if move.root == "models" and move.place.startswith("manifests/"):
            others = self._roots["models"].glob("manifests/*/*/*/*")
            return any(str(one).lower() == str(place).lower() for one in others)
        return os.path.lexists(place) and not move.spare

    def _pending(self, note: Note, move: Move) -> bool:
        """Whether it was taken and is still in its old place."""
        if note.state != "json" or not self._sees(note, move):
            return False
        return mark(self._place(move)) == move.mark and not os.path.lexists(self._kept(note, move))

    def _sees(self, note: Note, move: Move) -> bool:
        """Whether we know its root. A models' folder may serve several homes."""
        if move.root == "models":
            return True
        moved = note.home == "" or not Path(note.home).is_dir()
        return self._home is not None and (moved or note.home == str(self._home))

    def _owned(self, id: str) -> Note:
        note = self.find(id)
        if not all(self._sees(note, move) for move in note.moves):
            raise StorageError(
                f"{id} came into the trash from {note.home}. Set WORKBENCH_HOME to it, then ask."
            )
        return note

    def _marked(self, root: Root, place: str, spare: bool) -> Move:
        """The move of what is there now. Raises StorageError where it cannot be moved."""
        if root not in self._roots or not sound(place):
            raise StorageError(f"{place!r} is no file of the workbench. Make a new plan.")
        base, path = self._roots[root], self._roots[root] / place
        found = mark(path)
        if found is None:
            raise StorageError(f"{path} is not there any more. Make a new plan.")
        if why := immovable(base, place):
            raise StorageError(f"{path} is left alone: {why}.")
        return Move(root, place, found, spare)

    def _files(self, pattern: str) -> Iterator[Path]:
        for folder in {root / "trash" for root in self._roots.values()}:
            yield from folder.glob(pattern)

    def _place(self, move: Move) -> Path:
        return self._roots[move.root] / move.place

    def _kept(self, note: Note, move: Move) -> Path:
        return self._roots[move.root] / "trash" / note.id / move.place

    def _tidy(self, move: Move) -> None:
        """Remove the folders of a model's name that hold nothing any more."""
        if move.root == "models" and move.place.startswith("manifests/"):
            for folder in list(self._place(move).parents)[:3]:
                with suppress(OSError):
                    folder.rmdir()


def trashed_manifests(models: Path) -> Iterator[Path]:
    """The manifests of models in the trash: the blobs that they name are kept."""
    return models.glob("trash/*/manifests/*/*/*/*")


def _later(error: OSError, done: str) -> StorageError:
    return StorageError(
        f"{error.filename} cannot be {done} ({error.strerror}). Make its folder writable; it is "
        "tried again the next time."
    )

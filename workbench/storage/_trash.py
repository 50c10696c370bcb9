"""What is in the trash: listed, brought back, deleted when its time is over.

Models' manifests are in `<models>/trash`, all else in `<home>/trash`; how both are kept whole over
kills says `workbench.library.Trash`. Every function of this room begins with `opened`, which
finishes what a kill left and deletes what has been there for longer than WORKBENCH_TRASH_DAYS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from workbench.errors import EngineError, InvalidRequest, StorageError
from workbench.library import Library, Note, Trash
from workbench.settings import env_int, home, models_folder
from workbench.storage import _remote as remote
from workbench.storage._disk import measure
from workbench.storage._engine import asked, loaded
from workbench.storage._models import blobs_of, lacking
from workbench.storage._records import Item, Trashed

if TYPE_CHECKING:
    from workbench.engines import Engine

_DAYS = 30


def opened() -> tuple[Library, Trash]:
    """The library and the trash, after all that a kill left has been finished."""
    library = Library(models_folder())
    found = library.trash(home())
    found.recover()
    for note in found.notes():
        ends = expires(note.at)
        if ends is not None and ends < datetime.now(UTC) and note.state == "json":
            with suppress(StorageError):  # another home's, or the disk refuses: tried again
                found.empty(note.id)
    return library, found


def expires(at: datetime) -> datetime | None:
    """When what was put there at this time is deleted; None for never (WORKBENCH_TRASH_DAYS=0)."""
    days = env_int("WORKBENCH_TRASH_DAYS", _DAYS, minimum=0)
    with suppress(OverflowError):
        return at + timedelta(days=days) if days else None
    return None


def trash() -> list[Trashed]:
    """All that is there, the newest first; engines' models that were deleted for good, too."""
    library, found = opened()
    notes = [note for note in found.notes() if note.state == "json"]
    alive = _named(library) | library.held()
    told = {note.id: _told(note, library, notes, alive) for note in notes}
    for id, at, models in remote.deletions():
        before = told.get(id, Trashed(id, at, (), 0))
        told[id] = replace(before, deleted=tuple(models))
    return sorted(told.values(), key=lambda one: one.id, reverse=True)


def find(id: str) -> Trashed:
    """The one with this id or its beginning; "" is the newest. Raises StorageError."""
    known = trash()
    same = [one for one in known if one.id == id] or [one for one in known if one.id.startswith(id)]
    if not known:
        raise StorageError("The trash is empty.")
    if not same or (id and len(same) > 1):
        raise StorageError(
            f"{id!r} names {len(same) or 'nothing'} in the trash. `workbench storage trash` lists "
            "what is in it."
        )
    return same[0]


def undo(id: str = "", *, engine: Engine | None = None) -> Trashed:
    """Bring back all that went with this id (the newest): models, files; what an engine of its own
    has deleted is pulled again from there. Raises StorageError, EngineError."""
    told = find(id)
    notes: list[str] = []
    library, found = opened()
    if told.items:
        found.undo(told.id)
        names = {str(item.get("name")) for item in told.items if item.get("kind") == "model"}
        for name, path in library.names():
            if name.display() in names and (wrong := lacking(library, path)):
                notes.append(f"{name.display()} came back damaged: {wrong}")
    if told.deleted:
        with asked(engine) as chosen:
            notes += remote.pull_again(told.id, told.deleted, chosen)
    return replace(told, expires_at=None, notes=tuple(notes))


def empty(
    id: str = "", *, older_than: float | None = None, engine: Engine | None = None
) -> list[Trashed]:
    """Delete for good what went with this id, or everything older than so many days (0: all).

    Raises StorageError, also for a model that the engine has loaded.
    """
    if not id and older_than is None:
        raise StorageError(
            "Say what is to be deleted for good: an id, or older_than=days (0 for everything)."
        )
    since = datetime.now(UTC) - timedelta(days=min(older_than or 0.0, 1e6))
    wanted = [find(id)] if id else [one for one in trash() if one.at <= since]
    in_use = _loaded(engine)
    done = []
    for one in wanted:
        busy = [item["name"] for item in one.items if item.get("digest") in in_use]
        if busy:
            if id:
                raise StorageError(
                    f"The engine has {', '.join(busy)} loaded. Unload it, or wait, then empty {id}."
                )
            continue
        _, found = opened()
        if one.items:
            found.empty(one.id)
        remote.forget(one.id)
        done.append(one)
    return done


def about(items: Iterable[Item], bytes_: int) -> dict[str, Any]:
    """What a note says to people."""
    facts = [
        {"kind": one.kind, "name": one.name, "digest": one.digest, "bytes": one.bytes + one.shared,
         "last_used": one.last_used.isoformat() if one.last_used else ""}
        for one in items
    ]  # fmt: skip
    return {"items": facts, "bytes": bytes_}


def _told(note: Note, library: Library, notes: list[Note], alive: set[str]) -> Trashed:
    others = {digest for one in notes if one.id != note.id for digest in one.blobs}
    bytes_ = measure(root / "trash" / note.id for root in {home(), library.root}).own
    for digest in set(note.blobs) - alive - others:
        with suppress(OSError, InvalidRequest):
            status = library.blob(digest).stat()
            bytes_ += status.st_size if status.st_nlink == 1 else 0
    items = note.about.get("items")
    rows = [row for row in items if isinstance(row, Mapping)] if isinstance(items, list) else []
    return Trashed(note.id, note.at, tuple(rows), bytes_, expires(note.at))


def _named(library: Library) -> set[str]:
    return {digest for _, path in library.names() for digest in blobs_of(library, path)}


def _loaded(engine: Engine | None) -> set[str]:
    with asked(engine) as chosen, suppress(EngineError):
        return {digest for _, digest in loaded(chosen)} - {""} if chosen is not None else set()
    return set()

"""The survey: all that takes space, who needs it, and when it was used last. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from workbench.errors import EngineError
from workbench.library import immovable
from workbench.settings import database_url, home, models_folder
from workbench.storage import _cache as cache
from workbench.storage import _files as files
from workbench.storage._disk import measure
from workbench.storage._engine import asked, is_ours, loaded
from workbench.storage._models import fixed_blobs, library_models, remote_models
from workbench.storage._protect import protections
from workbench.storage._records import Item, Survey, protects
from workbench.storage._trash import opened, trash
from workbench.storage._uses import Uses, uses

if TYPE_CHECKING:
    from workbench.engines import Engine


def survey(engine: Engine | None = None) -> Survey:
    """Everything that takes space here, the largest first. Without an engine the one in use is
    asked, if one answers; none is started. Raises StoreError."""
    with asked(engine) as found:
        return look(found)


def look(engine: Engine | None) -> Survey:
    """The survey, with the models of this engine."""
    library, _ = opened()
    now, known = datetime.now(UTC), uses()
    problems = _loaded(engine, known)
    held, fixed = frozenset(library.held()), fixed_blobs(library)
    models = library_models(library, known, fixed)
    if engine is not None and not is_ours(engine) and not problems:
        models += remote_models(engine, known)
    blobs = frozenset(digest for item in models for digest in item.blobs)
    items = [
        *models,
        *files.trainings(home(), known, models),
        *files.data_folders(home(), known),
        *files.job_folders(home(), known),
        *cache.caches(home(), known, now),
        *cache.blob_files(library, blobs | library.trashed(), held, now),
        *_trash_items(),
        *_store(),
    ]
    ordered = sorted(_guarded(items), key=lambda one: (-one.bytes - one.shared, one.kind, one.name))
    url = "" if engine is None else engine.url
    return Survey(tuple(ordered), now, url, fixed, tuple(problems))


def _loaded(engine: Engine | None, known: Uses) -> list[str]:
    """Guard what the engine has loaded; what went wrong in asking."""
    if engine is None:
        return []
    try:
        for name, digest in loaded(engine):
            why = "the engine has loaded it"
            known.guard(f"model:{digest}", why)
            known.mentioned.setdefault(name.lower(), why)
    except EngineError as error:
        return [f"The engine at {engine.url} cannot be asked: {error}"]
    return []


def _guarded(items: Iterable[Item]) -> Iterator[Item]:
    """With the protections of the user; what cannot be moved stays as well."""
    patterns = protections()
    roots = {"models": models_folder(), "home": home()}
    for item in items:
        if not item.protected_by:
            reasons = (immovable(roots[root], place) for root, place in item.places)
            item = replace(item, protected_by=next(filter(None, reasons), ""))
        if not item.protected_by:
            for one in patterns:
                if protects(one.pattern, item):
                    why = f"protected as {one.pattern}" + (f": {one.why}" if one.why else "")
                    item = replace(item, protected_by=why)
                    break
        yield item


def _trash_items() -> Iterator[Item]:
    for one in trash():
        if one.items:
            yield Item(
                "trash", one.id, bytes=one.bytes, last_used=one.at, last_used_why="put there"
            )


def _store() -> Iterator[Item]:
    """The database, where it is a file; it also holds the answers of tuning and all vectors."""
    url = make_url(database_url())
    if url.get_backend_name() == "sqlite" and url.database:
        file = Path(url.database).absolute()
        size = measure(file.with_name(file.name + end) for end in ("", "-wal", "-shm"))
        yield Item(
            "store", file.name, bytes=size.own, path=str(file), last_used=size.at,
            last_used_why="changed", protected_by="everything is remembered in it",
        )  # fmt: skip

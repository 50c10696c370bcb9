"""Models of an engine whose files are not ours: deleted by its own protocol, without a trash.

Names and digests are written down before the first one is deleted, so that `undo` can pull them
again; a tag that leads to another model by then is said.

    <home>/trash/<id>.remote    what was deleted: JSON, written whole or not at all
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import EngineError, ModelNotFound, StorageError
from workbench.settings import home
from workbench.storage._models import same_model
from workbench.storage._records import Item

if TYPE_CHECKING:
    from workbench.engines import Engine

_NAME = re.compile(r"(\d{8}-\d{6}-[0-9a-f]{6})\.remote")
_LARGEST = 16 * 1024 * 1024


def delete(engine: Engine, id: str, at: datetime, items: Sequence[Item]) -> list[str]:
    """Delete these models in the engine; what it refused, in words."""
    models = [
        {"name": one.name, "digest": one.digest, "bytes": one.bytes, "engine": engine.url}
        for one in items
    ]
    _write(id, at, models)
    refused = []
    for one in items:
        try:
            engine.delete(one.name)
        except ModelNotFound:
            continue
        except EngineError as error:
            refused.append(f"{one.name} was not deleted: {error}")
    return refused


def deletions() -> Iterator[tuple[str, datetime, list[dict[str, Any]]]]:
    """Id, time and models of all that was deleted."""
    for path in (home() / "trash").glob("*.remote"):
        named = _NAME.fullmatch(path.name)
        try:
            if named is None or path.is_symlink() or path.stat().st_size > _LARGEST:
                continue
            record = json.loads(path.read_bytes())
            at = datetime.fromisoformat(record["at"])
            models = [
                {"name": str(one["name"]), "digest": str(one["digest"]),
                 "bytes": int(one["bytes"]), "engine": str(one["engine"])}
                for one in record["models"]
            ]  # fmt: skip
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            continue
        if at.tzinfo is not None:
            yield named[1], at, models


def pull_again(id: str, models: Sequence[Mapping[str, Any]], engine: Engine | None) -> list[str]:
    """Pull them into the engine where they were; what came otherwise, in words.

    Raises StorageError where that engine is not the one in use, EngineError where a pull fails:
    asked again it goes on with the rest.
    """
    where = str(models[0]["engine"])
    if engine is None or engine.url != where:
        raise StorageError(
            f"They were deleted from the engine at {where}, which is not in use. Set OLLAMA_HOST "
            "to it and ask again."
        )
    words = []
    for one in models:
        name, wanted = str(one["name"]), str(one["digest"])
        found = _digest(engine, name)
        if found is None:
            for _ in engine.pull(name):
                pass
            found = _digest(engine, name)
        if found != wanted:
            words.append(
                f"{name} is another model now: its digest is {(found or 'unknown')[:12]} and was "
                f"{wanted[:12]}."
            )
    forget(id)
    return words


def forget(id: str) -> None:
    """Remove the note."""
    (home() / "trash" / f"{id}.remote").unlink(missing_ok=True)


def _digest(engine: Engine, name: str) -> str | None:
    found = (one.digest for one in engine.models() if same_model(one.name, name))
    return next((digest.removeprefix("sha256:") for digest in found), None)


def _write(id: str, at: datetime, models: Sequence[Mapping[str, Any]]) -> None:
    path: Path = home() / "trash" / f"{id}.remote"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        json.dump({"version": 1, "at": at.isoformat(), "models": models}, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)

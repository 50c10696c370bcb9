"""What can be had again: answers of catalogues, unpacked bases, downloads that were broken off, and
what killed work left. All of it is spared while somebody may be working on it.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from workbench.library import Library
from workbench.storage._disk import measure
from workbench.storage._files import folders, made
from workbench.storage._records import Item
from workbench.storage._uses import Uses, bare

_BUSY = 3600.0  # seconds after its last change in which something may be in the making
_ORPHAN = 86_400.0  # … in which a blob may be waiting for the manifest of its model
_BLOB = re.compile(r"sha256-([0-9a-f]{64})(-partial(-\d+)?)?")


def caches(home: Path, uses: Uses, now: datetime) -> Iterator[Item]:
    """Of the home."""
    if (home / "catalogue").is_dir():
        yield made(home, "cache", "catalogue", [home / "catalogue"])
    for folder in folders(home / "cache"):
        yield made(home, "cache", f"cache/{folder.name}", [folder])
    for folder in folders(home / "bases"):
        yield _base(home, folder, uses)
    left = [*home.glob("probe-*"), *home.glob("datasets/.new-*"), *home.glob("bases/.new-*")]
    for path in left:
        item = made(home, "cache", f"left by killed work: {path.name}", [path])
        yield _spared(item, _BUSY, now)


def _base(home: Path, folder: Path, uses: Uses) -> Item:
    """A model that was unpacked to train on from it."""
    name, digest = folder.name, ""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        facts = json.loads((folder / "unpacked.json").read_bytes())
        name, digest = str(facts["name"])[:256], bare(str(facts["digest"]))
    at, why = uses.last.get(f"model:{digest}", (None, ""))
    needs = [
        f"training {run.id} ({run.name})"
        for run in uses.trainings.values()
        if digest and bare(run.base_digest) == digest and run.ended_at is None
    ]
    return made(
        home, "cache", f"unpacked: {name}", [folder], at=at, why=why, digest=digest,
        needed_by=tuple(needs),
        protected_by=uses.guarded([f"unpacked:{digest}"], {name.lower(), digest} - {""}),
    )  # fmt: skip


def blob_files(
    library: Library, named: frozenset[str], held: frozenset[str], now: datetime
) -> Iterator[Item]:
    """Files among the blobs that no model has: `named` are the digests that models have."""
    parts: defaultdict[str, list[Path]] = defaultdict(list)
    orphans: list[Path] = []
    with suppress(OSError):
        for path in sorted(library.blobs.folder.iterdir()):
            found = _BLOB.fullmatch(path.name)
            if path.name.startswith("tmp-"):
                parts[f"left by killed work: {path.name}"].append(path)
            elif found and found[2]:
                parts[f"broken-off download: {found[1][:12]}"].append(path)
            elif found and f"sha256:{found[1]}" not in named:
                orphans.append(path)
    for name, paths in parts.items():
        yield _spared(_of_models(library, name, paths), _BUSY, now)
    busy = any("download" in name and _age(paths, now) < _BUSY for name, paths in parts.items())
    for path in orphans:
        item = _of_models(library, f"of no model: {path.name[7:19]}", [path])
        digest = path.name.replace("-", ":", 1)
        if digest in held or busy:
            item = _protected(item, "a model is being made or pulled")
        yield _spared(item, _ORPHAN, now)
    for path in sorted((library.root / "quarantine").glob("*")):
        yield _of_models(library, f"quarantine: {path.name}", [path])


def _of_models(library: Library, name: str, paths: list[Path]) -> Item:
    size = measure(paths)
    places = tuple(("models", path.relative_to(library.root).as_posix()) for path in paths)
    return Item(
        "cache", name, bytes=size.own, shared=size.shared, path=str(paths[0]), last_used=size.at,
        last_used_why="changed", places=places,  # type: ignore[arg-type]
    )  # fmt: skip


def _age(paths: list[Path], now: datetime) -> float:
    at = measure(paths).at
    return (now - at).total_seconds() if at else 0.0


def _spared(item: Item, seconds: float, now: datetime) -> Item:
    """Left alone while it changed a short time ago."""
    at = item.last_used or datetime.now(UTC)
    young = (now - at).total_seconds() < seconds
    return _protected(item, "it may be in the making") if young else item


def _protected(item: Item, why: str) -> Item:
    return item if item.protected_by else replace(item, protected_by=why)

"""What lies in a library's folder, by names, sizes and permissions; no blob is read.

The folder is `manifests/<host>/<namespace>/<model>/<tag>` and `blobs/sha256-<hex>`, and anything
may have been put there: links, pipes, folders in the place of files, manifests of any size.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import EngineError, InvalidRequest
from workbench.integrity._files import closed, ours, read_small
from workbench.integrity._records import Fault, Kind, Repair
from workbench.protocol import Layer, Manifest, ModelName

_BLOB = re.compile(r"sha256-([0-9a-f]{64})(-partial(-\d+)?)?")
_DIGEST = re.compile(rb"sha256[:-]([0-9a-f]{64})")
_SOURCES = 4  # repositories that are asked at most: a manifest may name any number
_YOUNG = 3600.0  # seconds for which a temporary file may be somebody's work
_PERMIT = Repair("permissions", "Let you read it, and nobody else change it.")
_ASIDE = Repair("aside", "Move it to the folder `quarantine` beside the blobs.")
_COPY = Repair("copy", "Put what it leads to in its place, when its bytes are right.")


@dataclass
class Blob:
    """A blob that manifests name: what it should be, and for whom."""

    path: Path
    digest: str  # sha256:<hex>
    claims: list[tuple[str, Layer]]  # model, and what its manifest says
    status: os.stat_result | None = None  # of a plain file that is there

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name, _ in self.claims))

    @property
    def sizes(self) -> set[int]:
        return {layer.size for _, layer in self.claims}

    @property
    def sources(self) -> tuple[str, ...]:
        """Models in whose repository it should be: where it came from first."""
        given = [layer.source for _, layer in self.claims if layer.source]
        return tuple(dict.fromkeys([*given[:_SOURCES], *self.names[:_SOURCES]]))

    def fault(self, kind: Kind, what: str, repair: Repair | None, root: Path) -> Fault:
        """What is wrong with it, told for all models that need it."""
        size, names = max(self.sizes), self.names
        return Fault(kind, self.path, what, names, repair, self.digest, size, self.sources, root)

    def again(self) -> Repair:
        """Getting the file anew, by its digest."""
        hosts = set()
        for name in self.sources:
            with suppress(InvalidRequest):
                hosts.add(ModelName.parse(name).host)
        where = " or ".join(sorted(hosts))
        return Repair(
            "file", f"Get it again by its digest: from your trainings' GGUF files, else {where}."
        )


@dataclass
class Survey:
    """All that was seen."""

    root: Path
    digests: dict[str, str] = field(default_factory=dict)  # model to its manifest's SHA-256
    models: list[str] = field(default_factory=list)
    blobs: dict[str, Blob] = field(default_factory=dict)  # by file name
    faults: list[Fault] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)  # digests (hex) that damaged manifests name
    unread: bool = False  # whether there are manifests that could not be read

    def add(self, kind: Kind, path: Path, what: str, **more: object) -> None:
        self.faults.append(Fault(kind, path, what, root=self.root, **more))  # type: ignore[arg-type]


def survey(root: Path, names: frozenset[str] | None = None) -> Survey:
    """Look at all of the folder, or only at the models with these keys (`ModelName.key`)."""
    found = Survey(root)
    for folder in (root / "manifests", root / "blobs"):
        with suppress(OSError):
            _permitted(found, folder, folder.stat())
    for path, status in _entries(root / "manifests", found):
        _manifest(found, path, status, names)
    if names is None:
        _folder_of_blobs(found)
    for blob in found.blobs.values():
        _blob(found, blob)
    return found


def _entries(folder: Path, found: Survey, depth: int = 1) -> Iterator[tuple[Path, os.stat_result]]:
    """Everything below the folder of manifests that is no folder on the way to a tag."""
    for path in _listed(folder, found):
        try:
            status = path.lstat()
        except OSError:
            continue  # deleted just now
        if depth < 4 and stat.S_ISDIR(status.st_mode):
            _permitted(found, path, status)
            yield from _entries(path, found, depth + 1)
        else:
            yield path, status


def _listed(folder: Path, found: Survey) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        if all(fault.path != folder for fault in found.faults):
            found.add("permissions", folder, f"cannot be listed ({error.strerror})")
        return []


def _permitted(
    found: Survey, path: Path, status: os.stat_result, affects: tuple[str, ...] = ()
) -> None:
    if what := closed(status):
        repair = _PERMIT if ours(status) else None
        found.add("permissions", path, what, affects=affects, repair=repair)


def _manifest(
    found: Survey, path: Path, status: os.stat_result, names: frozenset[str] | None
) -> None:
    name = _name(path.relative_to(found.root / "manifests").parts)
    if names is not None and (name is None or name.key() not in names):
        return
    if name is None or stat.S_ISDIR(status.st_mode) or not _plain_or_link(status):
        found.add("foreign", path, "is no manifest of a model", repair=_ASIDE)
        return
    shown = name.display()
    affects = (shown,)
    found.models.append(shown)
    if stat.S_ISLNK(status.st_mode):
        found.unread = True
        found.add("symlink", path, "is a link to elsewhere", affects=affects, repair=_COPY)
        return
    _permitted(found, path, status, affects)
    manifest = _parsed(found, path, shown)
    if manifest is None:
        return
    count = len(manifest.of("model"))
    if count != 1:
        what = f"names {count} model files, not one"
        found.add("manifest", path, what, affects=affects)
    for layer in manifest.all:
        file = found.root / "blobs" / layer.digest.replace(":", "-")
        found.blobs.setdefault(file.name, Blob(file, layer.digest, [])).claims.append(
            (shown, layer)
        )


def _parsed(found: Survey, path: Path, name: str) -> Manifest | None:
    """The manifest; None for a damaged one, and for one that was deleted just now."""
    raw = b""
    try:
        raw = read_small(path)
        manifest = Manifest.parse(raw)
    except FileNotFoundError:
        found.models.remove(name)
        return None
    except (OSError, EngineError):
        found.unread = found.unread or not raw
        found.kept |= _named(raw)
        found.add("manifest", path, "is a damaged manifest", affects=(name,))
        return None
    found.digests[name] = hashlib.sha256(raw).hexdigest()
    return manifest


def _named(raw: bytes) -> set[str]:
    return {hex.decode() for hex in _DIGEST.findall(raw)}


def _name(parts: tuple[str, ...]) -> ModelName | None:
    """The model of a manifest's place; None when it is none."""
    if len(parts) != 4:
        return None
    host, namespace, model, tag = parts
    try:
        name = ModelName.parse(f"{host}/{namespace}/{model}:{tag}")
    except InvalidRequest:
        return None
    return name if name.path().parts == parts else None


def _plain_or_link(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)


def _folder_of_blobs(found: Survey) -> None:
    """What lies among the blobs and is none that a manifest names."""
    partial: dict[str, int] = {}
    kept = found.kept | _in_trash(found.root / "trash")
    for path in _listed(found.root / "blobs", found):
        if path.name in found.blobs:
            continue
        try:
            status = path.lstat()
        except OSError:
            continue
        plain, match = stat.S_ISREG(status.st_mode), _BLOB.fullmatch(path.name)
        if path.name.startswith("tmp-"):
            _leftover(found, path, status)
        elif match is None or not plain:
            found.add("foreign", path, "is no blob", repair=_ASIDE, size=status.st_size)
        elif match[2]:
            name = f"sha256-{match[1]}-partial"
            partial[name] = partial.get(name, 0) + (status.st_blocks * 512 if not match[3] else 0)
        elif match[1] not in kept and not found.unread:
            what = (
                f"({status.st_size:,} bytes) is named by no model: its manifest was deleted, which "
                "cannot be made again from it, or it was uploaded and not used"
            )
            found.add("orphan", path, what, size=status.st_size, digest=f"sha256:{match[1]}")
    for name, size in partial.items():
        what = f"is a download that was broken off ({size:,} bytes); a pull goes on from there"
        found.add("partial", found.root / "blobs" / name, what, size=size)


def _leftover(found: Survey, path: Path, status: os.stat_result) -> None:
    if time.time() - status.st_mtime > _YOUNG:
        what = "was left by work that was killed; the engine removes it when it starts"
        found.add("partial", path, what, size=status.st_size)


def _in_trash(folder: Path) -> set[str]:
    """Digests that models in the trash name: their blobs wait there for an undo."""
    kept: set[str] = set()
    for place, _, files in os.walk(folder):
        for file in files:
            with suppress(OSError, EngineError):
                kept |= _named(read_small(Path(place, file)))
    return kept


def _blob(found: Survey, blob: Blob) -> None:
    """Whether a blob that is named is there, and of its size."""
    try:
        status = blob.path.lstat()
    except FileNotFoundError:
        found.faults.append(blob.fault("missing", "is missing", blob.again(), found.root))
        return
    except OSError as error:
        what = f"cannot be looked at ({error.strerror})"
        found.faults.append(blob.fault("permissions", what, None, found.root))
        return
    if stat.S_ISLNK(status.st_mode):
        what = "is a link to elsewhere, where its bytes may change"
        found.faults.append(blob.fault("symlink", what, _COPY, found.root))
        return
    if not stat.S_ISREG(status.st_mode):
        found.faults.append(blob.fault("foreign", "is no plain file", _ASIDE, found.root))
        return
    if what := closed(status):
        repair = _PERMIT if ours(status) else None
        found.faults.append(blob.fault("permissions", what, repair, found.root))
    if status.st_size not in blob.sizes:
        what = f"has {status.st_size} of {max(blob.sizes)} bytes"
        found.faults.append(blob.fault("truncated", what, blob.again(), found.root))
        return
    blob.status = status
    wrong = [name for name, layer in blob.claims if layer.size != status.st_size]
    for name in dict.fromkeys(wrong):
        path = found.root / "manifests" / ModelName.parse(name).path()
        what = f"tells a wrong size of {blob.path.name[:19]}"
        found.add("manifest", path, what, affects=(name,))

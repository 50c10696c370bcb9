"""Models as they take space: of our own library by their blobs, of another engine by its list.

Blobs that several models share come back only when the last of them goes. What an Ollama keeps is
known only by its list and by the weights that its Modelfiles name: whether two of its models share
these can be told, the rest cannot.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import EngineError, WorkbenchError
from workbench.library import Library, last_load
from workbench.protocol import Manifest, ModelName, digest_of
from workbench.storage._records import Item
from workbench.storage._uses import Uses, bare

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.types import Model

_LARGEST = 4 * 1024 * 1024  # bytes of a manifest or a config that is read
_FROM = re.compile(r"^FROM .*sha256[-:]([0-9a-f]{64})", re.M)


def library_models(library: Library, uses: Uses, fixed: frozenset[str]) -> list[Item]:
    """The models of our library, damaged ones too."""
    found = [(name, path, blobs_of(library, path)) for name, path in library.names()]
    namers = Counter(digest for _, _, blobs in found for digest in blobs)
    items = []
    for name, path, blobs in found:
        with suppress(OSError):  # deleted just now
            digest = bare(digest_of(path))
            own = [one for one in blobs if namers[one] == 1 and one not in fixed]
            bytes_ = sum(blobs[one] for one in own)
            installed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            place = path.relative_to(library.root).as_posix()
            items.append(
                _item(
                    name.display(), digest, uses, kind="model", bytes=bytes_,
                    shared=sum(blobs.values()) - bytes_, path=str(path),
                    family=_family(library, path), places=(("models", place),), blobs=blobs,
                    installed=installed, loaded=last_load(library.root, digest),
                )
            )  # fmt: skip
    return items


def fixed_blobs(library: Library) -> frozenset[str]:
    """Blobs that stay whatever goes: the trash, unfinished work or another folder has them too."""
    linked = set()
    for path in library.blobs.folder.glob("sha256-*"):
        with suppress(OSError):
            if path.stat().st_nlink > 1:
                linked.add(path.name.replace("-", ":", 1))
    return frozenset(linked | library.trashed() | library.held())


def remote_models(engine: Engine, uses: Uses) -> list[Item]:
    """The models of an engine whose files are not ours. Raises EngineError."""
    models = engine.models()
    weights = {model.name: _weights(engine, model) for model in models}
    namers = Counter(weights.values())
    items = []
    for model in models:
        of = weights[model.name]
        alone = namers[of] == 1
        items.append(
            _item(
                model.name, bare(model.digest), uses, kind="remote",
                bytes=model.size if alone else 0, shared=0 if alone else model.size,
                path=engine.url, family=model.family, places=(), blobs={of: model.size},
                installed=model.modified_at, loaded=None,
            )
        )  # fmt: skip
    return items


def regained(going: list[Item], staying: list[Item], fixed: frozenset[str]) -> int:
    """The bytes that come back when these models go together and those stay."""
    blobs = {digest: size for item in going for digest, size in item.blobs.items()}
    kept = fixed.union(*(item.blobs for item in staying))
    return sum(size for digest, size in blobs.items() if digest not in kept)


def _item(
    name: str, digest: str, uses: Uses, *, installed: datetime | None, loaded: datetime | None,
    **more: object,
) -> Item:  # fmt: skip
    word = f"model:{digest}"
    times = [uses.last.get(word), (loaded, "used by the engine"), (installed, "installed")]
    known = [(one[0], one[1]) for one in times if one is not None and one[0] is not None]
    at, why = max(known, default=(None, ""), key=lambda one: one[0])
    called = {name.lower(), name.lower().removesuffix(":latest"), digest}
    needs = [*uses.needs.get(word, ()), *{uses.wanted[one] for one in called if one in uses.wanted}]
    return Item(
        name=name, digest=digest, last_used=at, last_used_why=why,
        needed_by=tuple(needs), used_by=tuple(uses.told.get(word, ())),
        protected_by=uses.guarded([word], called), **more,  # type: ignore[arg-type]
    )  # fmt: skip


def blobs_of(library: Library, path: Path) -> dict[str, int]:
    """The blobs of a manifest, and itself under its path, with the bytes that they take. A damaged
    one keeps its blobs, too."""
    try:
        size = path.stat().st_size
        raw = path.read_bytes() if size <= _LARGEST else b""
    except OSError:
        return {}
    found = {str(path): size}
    for one in sorted(set(re.findall(rb"sha256:[0-9a-f]{64}", raw))):
        digest = one.decode()
        with suppress(OSError):
            found[digest] = library.blob(digest).stat().st_size
    return found


def lacking(library: Library, path: Path) -> str:
    """What a model lacks of what its manifest names; "" where it is all there."""
    try:
        for layer in Manifest.parse(path.read_bytes()).all:
            size = library.blob(layer.digest).stat().st_size
            if size != layer.size:
                return f"the blob {layer.digest[:19]} has {size:,} of {layer.size:,} bytes."
    except (OSError, EngineError) as error:
        return f"{error}."
    return ""


def _family(library: Library, path: Path) -> str:
    """As its config says; "" where that is damaged."""
    try:
        config = library.blob(Manifest.parse(path.read_bytes()).config.digest)
        if config.stat().st_size > _LARGEST:
            return ""
        value = json.loads(config.read_bytes())["model_family"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, WorkbenchError):
        return ""
    return value[:64] if isinstance(value, str) else ""


def _weights(engine: Engine, model: Model) -> str:
    """The digest of the file with its weights, else its own."""
    with suppress(EngineError):
        if found := _FROM.search(engine.show(model.name).modelfile):
            return f"sha256:{found[1]}"
    return bare(model.digest) or model.name


def same_model(one: str, other: str) -> bool:
    """Whether two names mean one model."""
    try:
        return ModelName.parse(one).key() == ModelName.parse(other).key()
    except WorkbenchError:
        return one == other

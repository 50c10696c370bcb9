"""The models on disk, in Ollama's layout: `manifests/<host>/<namespace>/<model>/<tag>`, `blobs/`.

Reading takes no lock: manifests and blobs appear and vanish whole. Writing takes one lock per
library, across threads and processes, for the short moment in which a manifest changes and
blobs that nothing refers to any more are removed. Blobs that unfinished work needs are held, and
those of models in the trash are kept. Never point it at the folder of a live Ollama.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from workbench.errors import EngineError, InvalidRequest, ModelNotFound, WorkbenchError
from workbench.gguf import Header, read_header
from workbench.library._blobs import Blobs, publish
from workbench.library._describe import capabilities_of, details_of
from workbench.library._trash import Trash, trashed_manifests
from workbench.library._uses import Holds
from workbench.protocol import Layer, Manifest, ModelName, digest_of, parse_digest
from workbench.types import Message

_log = logging.getLogger(__name__)
_LARGEST_TEXT = 64 * 1024 * 1024  # of a layer that is read into memory


@dataclass(frozen=True)
class Installed:
    """One model with everything that a request needs to know of it."""

    name: ModelName
    digest: str  # SHA-256 of the manifest file, bare hex
    size: int
    modified_at: datetime
    manifest: Manifest
    config: Mapping[str, Any]
    model_path: Path
    adapter_paths: tuple[Path, ...]
    projector_paths: tuple[Path, ...]
    template: str | None
    system: str
    parameters: Mapping[str, Any]
    messages: tuple[Message, ...]
    licenses: tuple[str, ...]
    header: Header
    capabilities: tuple[str, ...]
    details: dict[str, Any]


class Library:
    """All installed models under one root. A kill while the trash was filled is made good here."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = Blobs(root / "blobs")
        self._manifests = root / "manifests"
        self._lock = FileLock(root / ".lock")
        self._holds = Holds(root, self._lock)
        self._headers: dict[str, Header] = {}
        self._loaded: dict[Path, tuple[tuple[int, int], Installed]] = {}
        self._reported: set[tuple[Path, str]] = set()
        self.trash().recover()

    def blob(self, digest: str) -> Path:
        """The path of the blob. Raises InvalidRequest for what is no digest."""
        return self.blobs.path(digest)

    def installed(self) -> list[Installed]:
        """Newest first. What is damaged is left out, with one line in the log."""
        models = []
        for name, path in self.names():
            try:
                models.append(self._load(name, path))
            except (OSError, WorkbenchError) as error:
                if (path, str(error)) not in self._reported:
                    self._reported.add((path, str(error)))
                    _log.warning("%s is damaged and left out: %s", name.display(), error)
        return sorted(models, key=lambda model: model.modified_at, reverse=True)

    def find(self, name: str) -> Installed:
        """The model of this name in any case. Raises InvalidRequest or ModelNotFound."""
        existing, path = self._existing(ModelName.parse(name))
        if not path.is_file():
            raise ModelNotFound(f"model '{name}' not found", 404)
        try:
            return self._load(existing, path)
        except FileNotFoundError:
            raise ModelNotFound(f"model '{name}' not found", 404) from None  # deleted just now
        except (OSError, WorkbenchError) as error:
            raise EngineError(
                f"model '{name}' is damaged ({error}); delete it and get it again", 500
            ) from error

    def write_manifest(self, name: ModelName, manifest: Manifest, raw: bytes | None = None) -> None:
        """Install or replace a model; `raw` are the manifest's bytes when they came from afar.

        An existing spelling of the name stays. Blobs that only the old model used are removed.
        """
        with self._lock:
            self._check(manifest)
            _, path = self._existing(name)
            old = path.read_bytes() if path.is_file() else b""
            path.parent.mkdir(parents=True, exist_ok=True)
            with self.blobs.workspace() as folder:
                with (folder / "manifest").open("wb") as file:
                    file.write(raw if raw is not None else manifest.render())
                    file.flush()
                    os.fsync(file.fileno())
                publish(folder / "manifest", path)
            self._prune(_digests(old))

    def copy(self, source: str, destination: str) -> None:
        """A second name for a model. Raises as the protocol's copy does."""
        names = []
        for word, text in (("source", source), ("destination", destination)):
            try:
                names.append(ModelName.parse(text))
            except InvalidRequest:
                raise InvalidRequest(f'{word} "{text}" is invalid', 400) from None
        with self._lock:
            _, path = self._existing(names[0])
            if not path.is_file():
                raise ModelNotFound(f'model "{source}" not found', 404)
            if names[0].key() != names[1].key():
                raw = path.read_bytes()
                self.write_manifest(names[1], Manifest.parse(raw), raw)

    def delete(self, name: str) -> None:
        """Remove a model and the blobs that no other model uses."""
        try:
            parsed = ModelName.parse(name)
        except InvalidRequest:
            raise InvalidRequest(f'name "{name}" is invalid', 400) from None
        with self._lock:
            _, path = self._existing(parsed)
            if not path.is_file():
                raise ModelNotFound(f"model '{name}' not found", 404)
            raw = path.read_bytes()
            path.unlink()
            for folder in list(path.parents)[:3]:
                with suppress(OSError):  # not empty: it holds other models
                    folder.rmdir()
            self._prune(_digests(raw))

    def hold(self, digests: Iterable[str]) -> AbstractContextManager[Callable[[str], None]]:
        """Keep these blobs from being removed while work needs them; yields a way to add more."""
        return self._holds.hold(digests)

    def held(self) -> set[str]:
        """Blobs that work of any process needs which is not done."""
        return self._holds.held()

    def trash(self, home: Path | None = None) -> Trash:
        """The trash of this folder and, where it is given, of a home."""
        return Trash(self.root, self._lock, self._prune, home)

    def trashed(self) -> set[str]:
        """Blobs that models in the trash name: nobody else may, and yet they are kept."""
        return {one for path in trashed_manifests(self.root) for one in _digests(path.read_bytes())}

    def sweep(self) -> None:
        """Remove what killed work left an hour ago or longer; what can resume stays."""
        self.blobs.sweep()

    def header(self, digest: str) -> Header:
        """The GGUF header of a blob, read once."""
        if digest not in self._headers:
            self._headers[digest] = read_header(self.blob(digest))
        return self._headers[digest]

    def names(self) -> Iterator[tuple[ModelName, Path]]:
        """All models and their manifests, damaged ones too."""
        for path in self._manifests.glob("*/*/*/*"):
            host, namespace, model, tag = path.relative_to(self._manifests).parts
            with suppress(InvalidRequest):  # a file of someone else's
                yield ModelName.parse(f"{host}/{namespace}/{model}:{tag}"), path

    def _existing(self, name: ModelName) -> tuple[ModelName, Path]:
        """The spelling under which the model exists, else the given one; and its path."""
        path = self._manifests / name.path()
        if path.is_file():
            return name, path
        same = ((other, at) for other, at in self.names() if other.key() == name.key())
        return next(same, (name, path))

    def _prune(self, digests: Iterable[str]) -> None:
        """Remove those of these blobs that no manifest names, also none in the trash, and no work.

        Digests are taken from the bytes, so that a damaged manifest still keeps its blobs.
        """
        with self._lock:
            orphans = set(digests) - self.held() if digests else set()
            for path in (*(path for _, path in self.names()), *trashed_manifests(self.root)):
                if orphans:
                    orphans -= _digests(path.read_bytes())
            for digest in orphans:
                self.blob(digest).unlink(missing_ok=True)

    def _load(self, name: ModelName, path: Path) -> Installed:
        status = path.stat()
        stamp = (status.st_ino, status.st_mtime_ns)
        known = self._loaded.get(path)
        if known is not None and known[0] == stamp:
            self._check(known[1].manifest)
            return known[1]
        model = self._read(name, path)
        self._loaded[path] = (stamp, model)
        return model

    def _check(self, manifest: Manifest) -> None:
        for layer in manifest.all:
            blob = self.blob(layer.digest)
            if not blob.is_file() or blob.stat().st_size != layer.size:
                raise EngineError(f"blob {layer.digest} is missing or cut", 500)

    def _read(self, name: ModelName, path: Path) -> Installed:
        raw = path.read_bytes()
        manifest = Manifest.parse(raw)
        self._check(manifest)
        models = manifest.of("model")
        if len(models) != 1:
            raise EngineError(f"the manifest names {len(models)} model files, not one", 500)
        header = self.header(models[0].digest)
        config = _object(self._text(manifest.config))
        template = next(map(self._text, manifest.of("template", "prompt")), None)
        projectors = self._paths(manifest, "projector")
        return Installed(
            name=name,
            digest=parse_digest(digest_of(raw)),
            size=manifest.size,
            modified_at=datetime.fromtimestamp(path.stat().st_mtime).astimezone(),
            manifest=manifest,
            config=config,
            model_path=self.blob(models[0].digest),
            adapter_paths=self._paths(manifest, "adapter"),
            projector_paths=projectors,
            template=template,
            system="\n".join(map(self._text, manifest.of("system"))),
            parameters=_object(next(map(self._text, manifest.of("params")), "{}")),
            messages=_messages(next(map(self._text, manifest.of("messages")), "[]")),
            licenses=tuple(map(self._text, manifest.of("license"))),
            header=header,
            capabilities=capabilities_of(header, template, bool(projectors)),
            details=details_of(header, config, models[0].source),
        )

    def _paths(self, manifest: Manifest, kind: str) -> tuple[Path, ...]:
        return tuple(self.blob(layer.digest) for layer in manifest.of(kind))

    def _text(self, layer: Layer) -> str:
        path = self.blob(layer.digest)
        if path.stat().st_size > _LARGEST_TEXT:
            raise EngineError(f"the {layer.kind} layer is too large", 500)
        return path.read_text("utf-8", "replace")


def _digests(raw: bytes) -> set[str]:
    return {found.decode() for found in re.findall(rb"sha256:[0-9a-f]{64}", raw)}


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise EngineError("a layer that should be a JSON object is none", 500)
    return value


def _messages(text: str) -> tuple[Message, ...]:
    try:
        return tuple(Message(item["role"], item.get("content", "")) for item in json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise EngineError("the stored messages cannot be read", 500) from None

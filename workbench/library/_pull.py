"""Pull: a model from an Ollama-compatible registry or the Hugging Face Hub.

The manifest, then blob after blob (parts in parallel, see _download), then the manifest is
written. Pulls of the same digest share one download; when the last who waits for it leaves,
it stops, and the next pull goes on from there. Blobs that are here already are checked too,
so a pull repairs a damaged model.
"""

from __future__ import annotations

import asyncio

from workbench.errors import EngineError, GGUFError
from workbench.library import _hub
from workbench.library._create import Creation
from workbench.library._download import Download
from workbench.library._events import Emit, Event
from workbench.library._library import Library
from workbench.library._registry import PullLimits, Registry, registry_url
from workbench.protocol import Layer, Manifest, ModelName, digest_of

_EVERY = 0.06  # seconds between two lines of progress


class Puller:
    """All pulls of one library."""

    def __init__(self, library: Library, limits: PullLimits | None = None) -> None:
        self._library = library
        self._limits = limits or PullLimits()
        self._downloads: dict[str, Download] = {}

    async def pull(self, name: ModelName, emit: Emit, *, insecure: bool = False) -> None:
        """The pull, step by step. Raises InvalidRequest before the first step, or EngineError."""
        hub = _hub.is_hub(name)
        base, token = (_hub.endpoint(), _hub.token()) if hub else (registry_url(name, insecure), "")
        emit({"status": "pulling manifest"})
        async with Registry(base, self._limits, insecure=insecure, token=token) as registry:
            try:
                raw = await registry.manifest(f"{name.namespace}/{name.model}", name.tag)
            except EngineError:
                if not hub:
                    raise
                await self._from_hub(registry, name, emit)
            else:
                await self._from_registry(registry, name, raw, emit)

    async def fetch(
        self, name: ModelName, layer: Layer, emit: Emit, *, insecure: bool = False
    ) -> None:
        """Have this one blob here, whole and right, from the repository of `name`: by its digest,
        whatever the tag means by now. Raises InvalidRequest or EngineError."""
        hub = _hub.is_hub(name)
        base, token = (_hub.endpoint(), _hub.token()) if hub else (registry_url(name, insecure), "")
        async with Registry(base, self._limits, insecure=insecure, token=token) as registry:
            url = registry.blob_url(f"{name.namespace}/{name.model}", layer.digest)
            with self._library.hold([layer.digest]):
                await self._blob(registry, url, layer, emit)

    async def _from_registry(
        self, registry: Registry, name: ModelName, raw: bytes, emit: Emit
    ) -> None:
        manifest = Manifest.parse(raw)
        models = manifest.of("model")
        if len(models) != 1:
            raise EngineError("pull: this model is not one GGUF file, which this engine needs", 500)
        with self._library.hold(layer.digest for layer in manifest.all):
            for layer in manifest.all:
                url = registry.blob_url(f"{name.namespace}/{name.model}", layer.digest)
                await self._blob(registry, url, layer, emit)
            emit({"status": "verifying sha256 digest"})
            try:
                await asyncio.to_thread(self._library.header, models[0].digest)
            except GGUFError as error:
                raise EngineError(f"pull: the model's file cannot be used: {error}", 500) from error
            emit({"status": "writing manifest"})
            await asyncio.to_thread(self._library.write_manifest, name, manifest, raw)
        emit({"status": "success"})

    async def _from_hub(self, registry: Registry, name: ModelName, emit: Emit) -> None:
        """A GGUF file of a repository, found by the Hub's list of files."""
        file = await _hub.find(registry, name)
        with self._library.hold([file.layer.digest]):
            await self._blob(registry, file.url, file.layer, emit)
            await Creation(self._library, file.request, emit).run()

    async def _blob(self, registry: Registry, url: str, layer: Layer, emit: Emit) -> None:
        """Have the blob of `layer` here, whole and right."""
        status = f"pulling {layer.digest.removeprefix('sha256:')[:12]}"
        event: Event = {"status": status, "digest": layer.digest, "total": layer.size}
        blob = self._library.blob(layer.digest)
        if blob.is_file() and await asyncio.to_thread(digest_of, blob) == layer.digest:
            emit({**event, "completed": layer.size})
            return
        download = await self._join(registry, url, layer)
        try:
            while not download.task.done():
                done = download.completed
                emit({**event, "completed": done} if done else event)
                await asyncio.wait({download.task}, timeout=_EVERY)
            download.task.result()
            emit({**event, "completed": layer.size})
        finally:
            download.waiters -= 1
            if not download.waiters:
                download.task.cancel()
                await asyncio.wait({download.task})

    async def _join(self, registry: Registry, url: str, layer: Layer) -> Download:
        """The download of this digest that is under way, or a new one."""
        while (known := self._downloads.get(layer.digest)) and not known.waiters:
            await asyncio.wait({known.task})  # it is being cancelled
        if known is None:
            known = Download(self._library.blobs, registry.twin(), url, layer.digest, layer.size)
            self._downloads[layer.digest] = known
            known.task.add_done_callback(lambda _: self._downloads.pop(layer.digest, None))
        known.waiters += 1
        return known

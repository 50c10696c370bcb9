"""Pull: a model from an Ollama-compatible registry or the Hugging Face Hub.

The manifest, then blob after blob (parts in parallel, see _download), then the manifest is
written. Pulls of the same digest share one download; when the last who waits for it leaves,
it stops, and the next pull goes on from there. Blobs that are here already are checked too,
so a pull repairs a damaged model.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from workbench.embedded import _hub
from workbench.embedded._create import Creation
from workbench.embedded._download import Download
from workbench.embedded._library import Library
from workbench.embedded._registry import PullLimits, Registry, registry_url
from workbench.embedded._stream import Event
from workbench.errors import EngineError, GGUFError
from workbench.protocol import Layer, Manifest, ModelName, digest_of

_EVERY = 0.06  # seconds between two lines of progress


class Puller:
    """All pulls of one library."""

    def __init__(self, library: Library, limits: PullLimits | None = None) -> None:
        self._library = library
        self._limits = limits or PullLimits()
        self._downloads: dict[str, Download] = {}

    async def pull(self, name: ModelName, insecure: bool = False) -> AsyncGenerator[Event, None]:
        """The pull, step by step. Raises InvalidRequest before the first step, or EngineError."""
        hub = _hub.is_hub(name)
        base, token = (_hub.endpoint(), _hub.token()) if hub else (registry_url(name, insecure), "")
        yield {"status": "pulling manifest"}
        async with Registry(base, self._limits, insecure=insecure, token=token) as registry:
            repository = f"{name.namespace}/{name.model}"
            try:
                raw = await registry.manifest(repository, name.tag)
            except EngineError:
                if not hub:
                    raise
                events = self._from_hub(registry, name)
            else:
                events = self._from_registry(registry, name, raw)
            async with aclosing(events):
                async for event in events:
                    yield event

    async def _from_registry(
        self, registry: Registry, name: ModelName, raw: bytes
    ) -> AsyncGenerator[Event, None]:
        manifest = Manifest.parse(raw)
        models = manifest.of("model")
        if len(models) != 1:
            raise EngineError("pull: this model is not one GGUF file, which this engine needs", 500)
        with self._library.hold(layer.digest for layer in manifest.all):
            for layer in manifest.all:
                url = registry.blob_url(f"{name.namespace}/{name.model}", layer.digest)
                async with aclosing(self._blob(registry, url, layer)) as events:
                    async for event in events:
                        yield event
            yield {"status": "verifying sha256 digest"}
            try:
                await asyncio.to_thread(self._library.header, models[0].digest)
            except GGUFError as error:
                raise EngineError(f"pull: the model's file cannot be used: {error}", 500) from error
            yield {"status": "writing manifest"}
            await asyncio.to_thread(self._library.write_manifest, name, manifest, raw)
        yield {"status": "success"}

    async def _from_hub(self, registry: Registry, name: ModelName) -> AsyncGenerator[Event, None]:
        """A GGUF file of a repository, found by the Hub's list of files."""
        file = await _hub.find(registry, name)
        with self._library.hold([file.layer.digest]):
            async with aclosing(self._blob(registry, file.url, file.layer)) as events:
                async for event in events:
                    yield event
            async with aclosing(Creation(self._library, file.request).events()) as events:
                async for event in events:
                    yield event

    async def _blob(
        self, registry: Registry, url: str, layer: Layer
    ) -> AsyncGenerator[Event, None]:
        """Have the blob of `layer` here, whole and right."""
        hex_digits = layer.digest.removeprefix("sha256:")
        event: Event = {"status": f"pulling {hex_digits[:12]}", "digest": layer.digest}
        event["total"] = layer.size
        blob = self._library.blob(layer.digest)
        if blob.is_file() and await asyncio.to_thread(digest_of, blob) == layer.digest:
            yield {**event, "completed": layer.size}
            return
        download = await self._join(registry, url, layer)
        try:
            while True:
                done = download.completed
                yield {**event, "completed": done} if done else event
                if download.task.done():
                    download.task.result()
                    return
                await asyncio.wait({download.task}, timeout=_EVERY)
        finally:
            download.waiters -= 1
            if not download.waiters and not download.task.done():
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

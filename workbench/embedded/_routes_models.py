"""Ollama's routes that manage models: tags, show, copy, delete, blobs, create, pull."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workbench.embedded._guard import read_json
from workbench.embedded._stream import events_of, ndjson
from workbench.errors import EngineError, InvalidRequest, ModelNotFound
from workbench.library import (
    Creation,
    Emit,
    Event,
    Installed,
    Library,
    Puller,
    PullLimits,
    show,
)
from workbench.protocol import CREATE_FIELDS, CreateRequest, ModelName

Work = Callable[[Emit], Awaitable[None]]
_NAMED: dict[str, tuple[type, ...]] = {"model": (str,), "name": (str,)}
_SHOW = _NAMED | {"verbose": (bool,), "system": (str,)}
_COPY: dict[str, tuple[type, ...]] = {"source": (str,), "destination": (str,)}
_PULL = _NAMED | {"insecure": (bool,), "stream": (bool,)}
_PIECE = 4 * 1024 * 1024  # bytes of an upload that are written at once


class Unloader(Protocol):
    """What the library side wants of the scheduler."""

    async def unload(self, path: Path) -> None:
        """Unload the model of this file."""


def routes(library: Library, scheduler: Unloader, limits: PullLimits | None = None) -> list[Route]:
    """The routes of this file."""
    models = _Models(library, scheduler, Puller(library, limits))
    return [
        Route("/api/tags", models.tags, methods=["GET"]),
        Route("/api/show", models.show, methods=["POST"]),
        Route("/api/copy", models.copy, methods=["POST"]),
        Route("/api/delete", models.delete, methods=["DELETE"]),
        Route("/api/blobs/{digest}", models.has_blob, methods=["HEAD"]),
        Route("/api/blobs/{digest}", models.put_blob, methods=["POST"]),
        Route("/api/create", models.create, methods=["POST"]),
        Route("/api/pull", models.pull, methods=["POST"]),
    ]


class _Models:
    def __init__(self, library: Library, scheduler: Unloader, puller: Puller) -> None:
        self._library, self._scheduler, self._puller = library, scheduler, puller

    async def tags(self, request: Request) -> Response:
        models = await asyncio.to_thread(self._library.installed)
        return JSONResponse({"models": [_line(model) for model in models]})

    async def show(self, request: Request) -> Response:
        body = await read_json(request, _SHOW)
        name = _name(body)
        if not name:
            raise InvalidRequest("model is required", 400)
        name = ModelName.parse(name).display()
        model = await asyncio.to_thread(self._library.find, name)
        verbose, system = body.get("verbose", False), body.get("system", "")
        return JSONResponse(await asyncio.to_thread(show, model, verbose, system))

    async def copy(self, request: Request) -> Response:
        body = await read_json(request, _COPY)
        source, destination = body.get("source", ""), body.get("destination", "")
        before = self._known(destination)
        await asyncio.to_thread(self._library.copy, source, destination)
        await self._forget(before)
        return Response(status_code=200)

    async def delete(self, request: Request) -> Response:
        name = _name(await read_json(request, _NAMED))
        before = self._known(name)
        await asyncio.to_thread(self._library.delete, name)
        await self._forget(before)
        return Response(status_code=200)

    async def has_blob(self, request: Request) -> Response:
        there = self._library.blob(request.path_params["digest"]).is_file()
        return Response(status_code=200 if there else 404)

    async def put_blob(self, request: Request) -> Response:
        """Stream the body to the disk; its digest must be the one in the path."""
        digest = request.path_params["digest"]
        there = self._library.blob(digest).is_file()
        with self._library.blobs.writer() as writer:
            piece = bytearray()
            try:
                async for part in request.stream():
                    piece += b"" if there else part  # what is there already is only read to the end
                    if len(piece) >= _PIECE:
                        await asyncio.to_thread(writer.write, bytes(piece))
                        piece.clear()
            except ClientDisconnect:
                raise InvalidRequest("the upload was broken off", 499) from None
            if not there:
                writer.write(bytes(piece))
                await asyncio.to_thread(writer.commit, digest)
        return Response(status_code=200 if there else 201)

    async def create(self, request: Request) -> Response:
        body = await read_json(request, CREATE_FIELDS)
        wanted = CreateRequest.parse(body)

        async def work(emit: Emit) -> None:
            try:
                if wanted.source:
                    await asyncio.to_thread(self._library.find, wanted.source)
            except ModelNotFound:
                await self._puller.pull(
                    ModelName.parse(wanted.source),
                    lambda event: None if event["status"] == "success" else emit(event),
                )
            await Creation(self._library, wanted, emit).run()

        return self._progress(request, body, wanted.name, work)

    async def pull(self, request: Request) -> Response:
        body = await read_json(request, _PULL)
        name = ModelName.parse(_name(body))

        async def work(emit: Emit) -> None:
            await self._puller.pull(name, emit, insecure=body.get("insecure", False))

        return self._progress(request, body, name, work)

    def _progress(
        self,
        request: Request,
        body: Event,
        name: ModelName,
        work: Callable[[Emit], Awaitable[None]],
    ) -> Response:
        """The events of `work`, after which what it replaced is unloaded."""

        async def whole(emit: Emit) -> None:
            before = self._known(name.display())
            await work(emit)
            await self._forget(before)

        return ndjson(request, events_of(whole), body.get("stream", True))

    def _known(self, name: str) -> Installed | None:
        try:
            return self._library.find(name)
        except EngineError:
            return None  # whoever asks next raises it, or replaces what is damaged

    async def _forget(self, before: Installed | None) -> None:
        """Unload a model whose file has been removed."""
        if before is not None and not before.model_path.exists():
            await self._scheduler.unload(before.model_path)


def _name(body: dict[str, Any]) -> str:
    return str(body.get("model") or body.get("name") or "")


def _line(model: Installed) -> dict[str, Any]:
    name = model.name.display()
    return {
        "name": name,
        "model": name,
        "modified_at": model.modified_at.isoformat(),
        "size": model.size,
        "digest": model.digest,
        "details": model.details,
        "capabilities": list(model.capabilities),
    }

"""A real registry on loopback that can fail in every way: cut, flip, stall, 401, 429, 500."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from workbench.protocol import Layer, Manifest, digest_of

_PIECE = 16_384


class RegistryServer:
    """What it holds, what it was asked, and what it shall do wrong next."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.files: dict[str, bytes] = {}  # of a Hub repository
        self.asked: list[tuple[str, int, int]] = []  # digest, first byte, bytes sent
        self.headers: list[dict[str, str]] = []
        self.cuts: list[int] = []  # the next answers end after so many bytes
        self.statuses: list[int] = []  # the next answers
        self.stalls = 0  # so many next answers never go on after their first piece
        self.flips = False
        self.pause = 0.0  # seconds between pieces
        self.token = ""
        self.realm = ""  # where tokens are said to be given; here, when empty
        self.ranges = True
        self.elsewhere = ""  # another server, to which blobs are redirected
        self.app = Starlette(
            routes=[
                Route("/v2/{repository:path}/manifests/{tag}", self._manifest),
                Route("/v2/{repository:path}/blobs/{digest}", self._blob),
                Route("/token", self._token),
                Route("/api/models/{repository:path}/tree/main", self._tree),
                Route("/{owner}/{name}/resolve/main/{path:path}", self._file),
            ]
        )

    def add(self, name: str, gguf: bytes, **texts: Any) -> dict[str, int]:
        """Publish a model; its blobs with their sizes."""
        layers = [self._store("model", gguf)]
        for kind, value in texts.items():
            text = value if isinstance(value, str) else json.dumps(value)
            layers.append(self._store(kind, text.encode()))
        config = self._store("config", json.dumps({"model_format": "gguf"}).encode())
        manifest = Manifest(config, tuple(layers))
        self.manifests[name] = manifest.render()
        return {layer.digest: layer.size for layer in manifest.all}

    def sent(self, digest: str) -> int:
        return sum(count for asked, _, count in self.asked if asked == digest)

    def _store(self, kind: str, content: bytes) -> Layer:
        digest = digest_of(content)
        self.blobs[digest] = content
        return Layer(kind, digest, len(content))

    def _refusal(self, request: Request) -> Response | None:
        self.headers.append(dict(request.headers))
        if self.statuses:
            return Response("no", self.statuses.pop(0), headers={"retry-after": "0"})
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            where = self.realm or f"{request.base_url}token"
            realm = f'Bearer realm="{where}",service="here",scope="pull"'
            return Response("who?", 401, headers={"www-authenticate": realm})
        return None

    async def _token(self, request: Request) -> Response:
        assert dict(request.query_params) == {"service": "here", "scope": "pull"}
        return JSONResponse({"token": self.token})

    async def _manifest(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        name = f"{request.path_params['repository']}:{request.path_params['tag']}"
        found = self.manifests.get(name)
        return Response(found) if found is not None else Response("no", 404)

    async def _blob(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        if self.elsewhere:
            return RedirectResponse(self.elsewhere + request.url.path, 307)
        return self._refusal(request) or self._content(request, digest, self.blobs[digest])

    async def _tree(self, request: Request) -> Response:
        items = [{"type": "file", "path": "README.md", "size": 3}]
        for path, content in self.files.items():
            oid = digest_of(content).removeprefix("sha256:")
            items.append({"type": "file", "path": path, "lfs": {"oid": oid, "size": len(content)}})
        return self._refusal(request) or JSONResponse(items)

    async def _file(self, request: Request) -> Response:
        path = request.path_params["path"]
        return self._refusal(request) or self._content(request, path, self.files[path])

    def _content(self, request: Request, digest: str, content: bytes) -> Response:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))
        start, end, status = 0, len(content), 200
        if wanted and self.ranges:
            start, end, status = int(wanted[1]), min(int(wanted[2]) + 1, end), 206
        number = len(self.asked)
        self.asked.append((digest, start, 0))
        if self.flips:
            content = bytes([content[0] ^ 1]) + content[1:]
        pieces = self._pieces(number, content[start:end])
        headers = {"content-length": str(end - start)}
        if status == 206:
            headers["content-range"] = f"bytes {start}-{end - 1}/{len(content)}"
        return StreamingResponse(pieces, status, headers)

    async def _pieces(self, number: int, content: bytes) -> AsyncIterator[bytes]:
        digest, start, _ = self.asked[number]
        cut = self.cuts.pop(0) if self.cuts else len(content)
        stall = self.stalls > 0
        self.stalls -= stall
        for at in range(0, min(cut, len(content)), _PIECE):
            piece = content[at : min(at + _PIECE, cut)]
            yield piece
            self.asked[number] = (digest, start, at + len(piece))
            if stall:
                await asyncio.sleep(60)
            await asyncio.sleep(self.pause)
        if cut < len(content):
            await asyncio.sleep(0.05)  # let what was sent arrive
            raise ConnectionAbortedError("cut, as the test asked")

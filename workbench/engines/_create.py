"""Create a model: find its files, hash them, upload what the engine lacks, follow the making.

The engine stores files by their SHA-256. A file that it has is not sent again; sending one
twice does no harm. A file is hashed and sent in pieces, never held in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from workbench.engines import _parse
from workbench.engines._arguments import Create, Files
from workbench.engines._http import LONG, Body, Transport
from workbench.errors import InvalidRequest
from workbench.types import Progress

PIECE = 8 * 1024 * 1024  # bytes hashed or read between two steps of progress
TICK = 0.2  # seconds between two steps of progress of an upload

# The first pattern that matches gives the weights (Ollama's order, adapters added) …
_WEIGHTS = ("model*.safetensors", "adapter*.safetensors", "consolidated*.safetensors",
            "pytorch_model*.bin", "consolidated*.pth", "*.gguf", "*.bin")  # fmt: skip
# … and these go with weights that are not GGUF.
_COMPANIONS = ("*.json", "tokenizer.model", "*.jinja", "vocab.txt", "merges.txt")


async def create(
    http: Transport, name: str, given: Create, messages: list[dict[str, Any]]
) -> AsyncGenerator[Progress, None]:
    """Upload the files and create the model. Raises EngineError, InvalidRequest for paths."""
    body: dict[str, Any] = {"model": name, **given, "messages": messages or None}
    body["from"] = body.pop("from_", None)
    for field in ("files", "adapters"):
        if body.get(field) is None:
            continue
        digests: dict[str, str] = {}
        for file, path in files_by_name(body[field]).items():
            async with aclosing(_send(http, file, path, digests)) as sent:
                async for step in sent:
                    yield step
        body[field] = digests
    async with aclosing(steps(http, "/api/create", body)) as made:
        async for step in made:
            yield step


async def steps(http: Transport, path: str, body: Body) -> AsyncGenerator[Progress, None]:
    """The steps of long work of the engine, up to its success."""
    async with aclosing(http.objects(path, body, _success)) as objects:
        async for data in objects:
            yield _parse.record(Progress, data)


def _success(data: dict[str, Any]) -> bool:
    return data.get("status") == "success"


def files_by_name(given: Files) -> dict[str, Path]:
    """What to upload, by the name that the engine shall see."""
    if isinstance(given, Mapping):
        files = {name: Path(path).expanduser() for name, path in given.items()}
    else:
        path = Path(given).expanduser()
        files = files_of_folder(path) if path.is_dir() else {path.name: path}
    missing = next((path for path in files.values() if not path.is_file()), None)
    if missing is not None:
        raise InvalidRequest(f"There is no file {missing}. Check the path.")
    return files


def files_of_folder(folder: Path) -> dict[str, Path]:
    """A model's files in a folder: weights of one kind, and what belongs to them."""
    weights = next((found for each in _WEIGHTS if (found := sorted(folder.glob(each)))), [])
    if not weights:
        raise InvalidRequest(
            f"{folder} holds no model: neither safetensors, nor PyTorch weights, nor GGUF."
        )
    if weights[0].suffix != ".gguf":
        weights += [path for pattern in _COMPANIONS for path in sorted(folder.glob(pattern))]
    return {path.name: path for path in weights}


async def _send(
    http: Transport, name: str, path: Path, digests: dict[str, str]
) -> AsyncGenerator[Progress, None]:
    """Hash a file, note its digest under its name, and upload it unless the engine has it."""
    import asyncio

    hashed = hashlib.sha256()
    total, done = path.stat().st_size, 0
    async with aclosing(_pieces(path)) as pieces:
        async for piece in pieces:
            await asyncio.to_thread(hashed.update, piece)
            done += len(piece)
            yield Progress(f"hashing {name}", total, done)
    digests[name] = digest = f"sha256:{hashed.hexdigest()}"
    address = f"/api/blobs/{digest}"
    answer = await http.send("HEAD", address, accept=(404,))
    await answer.aclose()
    if answer.is_success:
        yield Progress(f"{name} is there already", total, total, digest)
        return
    async with aclosing(_upload(http, address, path, done)) as counts:
        async for count in counts:
            yield Progress(f"uploading {name}", total, count, digest)


async def _upload(
    http: Transport, address: str, path: Path, total: int
) -> AsyncGenerator[int, None]:
    """POST a file and tell now and then how many bytes went."""
    import asyncio

    sent = 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal sent
        sent = 0
        async with aclosing(_pieces(path)) as pieces:
            async for piece in pieces:
                sent += len(piece)
                if sent <= total:
                    yield piece
        if sent != total:
            raise InvalidRequest(f"{path} changed while it was sent. Wait until it is complete.")

    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(total)}
    post = http.send("POST", address, content, headers=headers, read=LONG)
    task = asyncio.ensure_future(post)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=TICK)
            yield sent
        await (await task).aclose()
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _pieces(path: Path) -> AsyncGenerator[bytes, None]:
    """A file's bytes, read in a thread so that the loop goes on."""
    import asyncio

    try:
        with path.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, PIECE):
                yield piece
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read ({error.strerror}).") from None

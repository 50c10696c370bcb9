"""What the library's tests share: a server on loopback, uploads, creates, waiting."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from workbench.library import PullLimits
from workbench.protocol import digest_of

QUICK = PullLimits(
    parts=4, smallest=100_000, largest=200_000, piece=10_000, tries=4, stall=1.0, pause=0.01
)


class Scheduler:
    """Remembers what it was asked to unload; the routes want no more of the real one."""

    def __init__(self) -> None:
        self.unloaded: list[Path] = []

    async def unload(self, path: Path) -> None:
        self.unloaded.append(path)


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """`app` on a free loopback port, in a thread; its URL."""
    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    started = threading.Event()
    for _ in range(2000):
        if server.started:
            break
        started.wait(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(20)
        assert not thread.is_alive()


async def upload(client: httpx.AsyncClient, content: bytes) -> str:
    """Put a blob; its digest."""
    digest = digest_of(content)
    response = await client.post(f"/api/blobs/{digest}", content=content)
    assert response.status_code in {200, 201}, response.text
    return digest


async def create(client: httpx.AsyncClient, model: str, **fields: Any) -> list[dict[str, Any]]:
    """The lines of a create."""
    response = await client.post("/api/create", json={"model": model, **fields})
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


async def until(condition: Callable[[], Any]) -> None:
    """Wait, within bounds, until something that must come about has come about."""
    for _ in range(12000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came about")

"""The engine's web application: all routes behind the guard."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from workbench.embedded import _routes_models, _routes_openai, _routes_run
from workbench.embedded._guard import Guard, error_response, plain_error
from workbench.embedded._scheduler import Scheduler
from workbench.errors import WorkbenchError
from workbench.library import Library


class Server(uvicorn.Server):
    """uvicorn, without its way of killing the process again by the signal that ended it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


class Activity:
    """ASGI middleware that knows whether anybody has asked for anything lately."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._requests = 0
        self._last = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._requests += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._requests -= 1
            self._last = time.monotonic()

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last request ended; 0 while one runs."""
        return 0.0 if self._requests else time.monotonic() - self._last


def make_app(library: Library, scheduler: Scheduler) -> Starlette:
    """The application. When it shuts down, the loaded models go with it."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(library.sweep)
        try:
            yield
        finally:
            await scheduler.close()

    return Starlette(
        routes=[
            Route("/", _root, methods=["GET"]),
            *_routes_run.routes(library, scheduler),
            *_routes_models.routes(library, scheduler),
            *_routes_openai.routes(library, scheduler),
        ],
        middleware=[Middleware(Guard)],
        exception_handlers={
            HTTPException: plain_error,
            WorkbenchError: error_response,
            Exception: error_response,
        },
        lifespan=lifespan,
    )


async def _root(request: Request) -> Response:
    return PlainTextResponse("Ollama is running")

"""Answers as lines of JSON, and the client's going away as cancellation of the work.

An error before the first line is raised, so that the app answers with its status; after it,
the protocol wants a last line `{"error": …}` under status 200. Whoever makes the events needs
no care for clients that leave: the generator is cancelled at its `await` and closed.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from workbench.errors import WorkbenchError
from workbench.library import Emit, Event

_log = logging.getLogger(__name__)


def last(events: Sequence[Event]) -> Event:
    """Progress in one object is its last line."""
    return events[-1]


async def events_of(work: Callable[[Emit], Awaitable[None]]) -> AsyncGenerator[Event, None]:
    """What `work` emits, as it comes; closing it cancels `work` and waits for its end."""
    queue: asyncio.Queue[Event | None] = asyncio.Queue()
    task = asyncio.ensure_future(work(queue.put_nowait))
    task.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
        await task
    finally:
        task.cancel()
        await asyncio.wait({task})


def ndjson(
    request: Request,
    events: AsyncGenerator[Event, None],
    stream: bool,
    collapse: Callable[[Sequence[Event]], Event] = last,
) -> Response:
    """Send `events` as they come, or all of them as one object made by `collapse`.

    There must be at least one event. `request`'s body must have been read.
    """
    return _Events(events, None if stream else collapse)


class _Events(Response):
    def __init__(
        self,
        events: AsyncGenerator[Event, None],
        collapse: Callable[[Sequence[Event]], Event] | None,
    ) -> None:
        self._events, self._collapse = events, collapse
        kind = "application/x-ndjson" if collapse is None else "application/json; charset=utf-8"
        super().__init__(media_type=kind)
        del self.headers["content-length"]  # not known: the body is sent in chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        work = asyncio.create_task(self._send_all(send))
        gone = asyncio.create_task(_disconnect(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            gone.cancel()
            await asyncio.wait({work, gone})
        if not work.cancelled():
            work.result()

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._events) as events:
            if self._collapse is not None:
                whole = self._collapse([event async for event in events])
                await self._start(send)
                await send({"type": "http.response.body", "body": _line(whole)})
                return
            first = await anext(events)
            await self._start(send)
            await _body(send, first)
            try:
                async for event in events:
                    await _body(send, event)
            except WorkbenchError as error:
                await _body(send, {"error": str(error)})
            except Exception:
                _log.exception("a stream broke")
                await _body(send, {"error": "internal error; the engine's log has the details"})
            await send({"type": "http.response.body", "body": b""})

    async def _start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})


async def _body(send: Send, event: Event) -> None:
    await send({"type": "http.response.body", "body": _line(event), "more_body": True})


def _line(event: Event) -> bytes:
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

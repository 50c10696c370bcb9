"""A streamed answer: each batch of pieces is one write to the client.

What goes wrong before the first batch is raised, so that it gets a status; afterwards it is
the last thing in the stream. A client that goes away cancels the work (see `_stream`).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Send

from workbench.embedded._answer import Batch
from workbench.embedded._stream import _Events
from workbench.errors import WorkbenchError

_log = logging.getLogger(__name__)


class BatchStream(_Events):
    """`write` makes bytes of a batch, `fail` of an error's message and status."""

    def __init__(
        self,
        batches: AsyncGenerator[Batch, None],
        write: Callable[[Batch], bytes],
        fail: Callable[[str, int], bytes],
        media_type: str,
    ) -> None:
        Response.__init__(self, media_type=media_type)
        del self.headers["content-length"]  # not known: the body is sent in chunks
        self._batches, self._write, self._fail = batches, write, fail

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._batches) as batches:
            first = await anext(batches)
            await self._start(send)
            await _body(send, self._write(first))
            try:
                async for batch in batches:
                    await _body(send, self._write(batch))
            except WorkbenchError as error:
                await _body(send, self._fail(str(error), getattr(error, "status", None) or 500))
            except Exception:
                _log.exception("a stream broke")
                await _body(send, self._fail("internal error; see the engine's log", 500))
            await send({"type": "http.response.body", "body": b""})


async def _body(send: Send, content: bytes) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": True})

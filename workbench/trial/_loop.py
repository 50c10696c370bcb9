"""An event loop in a thread of its own, on which a bench asks while its caller writes and waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_TICK = 0.1  # seconds between two looks of the caller


class Loop:
    """`look` is called in the caller's thread ten times a second while something runs, and raises
    to give it up; `last` is called there when it has ended, however it did."""

    def __init__(self, look: Callable[[], object], last: Callable[[], object]) -> None:
        self._look, self._last = look, last
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`."""
        ended = threading.Event()

        async def guarded() -> T:
            try:
                return await work
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(guarded(), self._loop)
        try:
            while not future.done():
                ended.wait(_TICK)
                if not ended.is_set():
                    self._look()
            return future.result()
        except BaseException:
            future.cancel()
            ended.wait(10)  # what was under way is closed before anything else begins
            raise
        finally:
            self._last()

    @property
    def runs(self) -> bool:
        """Whether it was not closed yet."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

"""The plain twins: the async clients, driven by one background event loop per process.

There is no second implementation. The loop lives in a daemon thread, so the twins also
work where a loop runs already (Jupyter) and from several threads at once; Ctrl-C and
a generator that is closed early cancel the request. At exit what still runs is cancelled. A
forked child gets a loop of its own.
"""

from __future__ import annotations

import atexit
import inspect
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import wraps
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from workbench.engines._http import Client
from workbench.errors import EngineError
from workbench.types import EngineKind

if TYPE_CHECKING:
    import asyncio

A = TypeVar("A", bound=Client)
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Items = SimpleQueue[tuple[bool, Any]]  # (True, item), or (False, error or None at the end)

AHEAD = 1000  # items that a stream may be ahead of a slow reader
PATIENCE = 5.0  # seconds to wait for a cancelled request to be gone
THREAD = "workbench-engines"

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def background() -> asyncio.AbstractEventLoop:
    """The process's loop, started on first use."""
    global _loop
    import asyncio

    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_loop.run_forever, name=THREAD, daemon=True)
            thread.start()
            atexit.register(_stop, _loop, thread, os.getpid())
        return _loop


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread, pid: int) -> None:
    import asyncio

    async def end() -> None:
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=1)
        loop.stop()

    if os.getpid() == pid:  # a forked child inherits this call, but not the thread
        asyncio.run_coroutine_threadsafe(end(), loop)
        thread.join(2)
        if not thread.is_alive():
            loop.close()


def _forget() -> None:
    global _loop, _lock
    _loop, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def run(work: Coroutine[Any, Any, R]) -> R:
    """Do `work` in the background loop and wait; an interrupt cancels it."""
    import asyncio

    future = asyncio.run_coroutine_threadsafe(work, background())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def iterate(source: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """Read `source` in the background loop. Closing the generator ends it there at once.

    The loop reads ahead into a queue: a hop between threads for every item would cost more
    than the item.
    """
    import asyncio

    queue: Items = SimpleQueue()
    gone = threading.Event()
    future = asyncio.run_coroutine_threadsafe(_pump(source, queue, gone), background())
    try:
        while True:
            good, item = queue.get()
            if good:
                yield item
            elif item is None:
                return
            else:
                raise item
    finally:
        future.cancel()
        if threading.current_thread().name != THREAD:  # any thread may collect a generator
            gone.wait(PATIENCE)


async def _pump(source: AsyncGenerator[T, None], queue: Items, gone: threading.Event) -> None:
    import asyncio

    end: BaseException | None = EngineError("The stream was closed before its end; ask again.")
    try:
        async for item in source:
            queue.put((True, item))
            while queue.qsize() > AHEAD:  # noqa: ASYNC110 (the reader is in another thread)
                await asyncio.sleep(0.01)
        end = None
    except Exception as error:
        end = error
    finally:
        try:
            await source.aclose()
        finally:
            queue.put((False, end))
            gone.set()


class Plain(Generic[A]):
    """What the twins share: the async client inside, closing, the context manager."""

    def __init__(self, inner: A) -> None:
        self._inner = inner

    def __repr__(self) -> str:
        return repr(self._inner).removeprefix("Async")

    @property
    def url(self) -> str:
        return self._inner.url

    @property
    def kind(self) -> EngineKind:
        return self._inner.kind

    def close(self) -> None:
        """Free the connections. A later call opens new ones."""
        run(self._inner.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def plain_call(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Plain[A], P], R]:
    """The plain twin of an async method."""

    @wraps(method)
    def call(self: Plain[A], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return run(method(self._inner, *args, **kwargs))

    _show_as(call, method)
    return call


def plain_stream(
    method: Callable[Concatenate[A, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[Plain[A], P], Generator[T, None, None]]:
    """The plain twin of a method that streams."""

    @wraps(method)
    def stream(self: Plain[A], /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        return iterate(method(self._inner, *args, **kwargs))

    _show_as(stream, method)
    return stream


def _show_as(twin: Any, method: Callable[..., Any]) -> None:
    """Give the twin the signature that its users see: a Generator where a stream was."""
    shown = inspect.signature(method)
    returns = str(shown.return_annotation).replace("AsyncGenerator", "Generator")
    twin.__signature__ = shown.replace(return_annotation=returns)

"""Work on chunks in several processes, results in order, never more in flight than needed.

Processes are spawned, not forked, so threads of the caller do no harm; each ends by itself when
the caller is gone, however that came about.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from multiprocessing.connection import wait
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_MOST_PROCESSES = 32
_TOO_FEW = 10  # chunks: done here sooner than processes are started, which takes each a second


def processes() -> int:
    """As many as there are cores for this process."""
    here = hasattr(os, "sched_getaffinity")
    return min(len(os.sched_getaffinity(0)) if here else os.cpu_count() or 1, _MOST_PROCESSES)


class Workers:
    """So many processes, started when there is enough to do; they end with the `with`."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def in_order(
        self, work: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Iterator[_Result]:
        """The results of the items, in the items' order."""
        rest = iter(items)
        first = list(islice(rest, _TOO_FEW + 1))
        if self.count < 2 or len(first) <= _TOO_FEW:
            yield from map(work, chain(first, rest))
            return
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.count, context, initializer=_end_with_parent)
        waiting: deque[Future[_Result]] = deque()
        for item in chain(first, rest):
            waiting.append(self._pool.submit(work, item))
            if len(waiting) > self.count + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _end_with_parent() -> None:
    """A killed caller leaves no process behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)

"""Which models are loaded: one child per model file, shared, timed, and fitted into memory.

- Requests with equal load-time settings share a child; a request that differs waits until the
  child is idle and loads it anew. Several first requests at once load once.
- A child has `parallel` slots; who finds none waits in line, at most OLLAMA_MAX_QUEUE of them.
- The keep_alive clock starts when the last request ends.
- Before a load, memory is estimated: idle children go until it fits, those first that would
  expire first; what cannot fit even alone is refused. Loads happen one after the other, so
  that each sees what the one before it left.

Everything here runs on one event loop; between two awaits nothing changes.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.embedded._account import Account
from workbench.embedded._limits import Limits, child_settings, free_threads, load_of
from workbench.embedded._measure import Watch
from workbench.embedded._memory import available_bytes, needed_bytes, refuse
from workbench.embedded._runner import Runner, Settings
from workbench.errors import EngineBusy
from workbench.library import Installed, note_load

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Loaded:
    """A child and who uses it."""

    runner: Runner
    model: Installed  # as last asked for
    keep_alive: float  # seconds after the last request
    users: int = 0
    last_used: float = 0.0  # time.time()
    timer: asyncio.TimerHandle | None = None

    @property
    def expires_at(self) -> float:
        """Seconds since the epoch, `inf` for never; while in use, as if it ended now."""
        return (time.time() if self.users else self.last_used) + self.keep_alive


class Scheduler:
    """The loaded models of this engine."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._loaded: dict[str, Loaded] = {}  # by path of the model's blob
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._loading = asyncio.Lock()
        self._freed = asyncio.Event()
        self._waiting = 0
        self._unloads: set[asyncio.Task[None]] = set()
        self._account = Account(lambda: self.busy)

    def running(self) -> list[Loaded]:
        """The loaded models, the one that stays longest first."""
        alive = [loaded for loaded in self._loaded.values() if loaded.runner.alive]
        return sorted(alive, key=lambda loaded: loaded.expires_at, reverse=True)

    @property
    def busy(self) -> bool:
        """Whether any request waits or runs."""
        return self._waiting > 0 or any(
            loaded.users
            for loaded in list(self._loaded.values())  # asked by a thread, too
        )

    @asynccontextmanager
    async def use(
        self, model: Installed, options: Mapping[str, Any], keep_alive: float | None = None,
        *, as_it_is: bool = False,
    ) -> AsyncIterator[Runner]:  # fmt: skip
        """A slot of a child with this model. Raises EngineBusy, NotEnoughMemory, EngineError.

        `as_it_is` takes a child that is loaded with other settings, too.
        """
        if self._waiting >= self.limits.max_queue:
            raise EngineBusy(
                "server busy, please try again.  maximum pending requests exceeded", 503
            )
        seconds = self.limits.keep_alive if keep_alive is None else keep_alive
        settings = child_settings(model, options, self.limits)
        if as_it_is and settings.model in self._loaded:
            settings = self._loaded[settings.model].runner.settings
        self._waiting += 1
        try:
            loaded = await self._take_slot(model, settings, seconds)
        finally:
            self._waiting -= 1
        try:
            yield loaded.runner
        finally:
            loaded.runner.slots.release()
            self._release(loaded)

    async def load(
        self, model: Installed, options: Mapping[str, Any], keep_alive: float | None
    ) -> None:
        """Have the model loaded, without a request to it."""
        seconds = self.limits.keep_alive if keep_alive is None else keep_alive
        settings = child_settings(model, options, self.limits)
        self._release(await self._get(model, settings, seconds))

    async def unload(self, path: Path) -> None:
        """Unload the model of this file when it is idle: now, or after its last request."""
        loaded = self._loaded.get(str(path))
        if loaded is not None:
            loaded.keep_alive = 0.0
            if not loaded.users:
                await self._stop(loaded)

    async def close(self) -> None:
        """End all children."""
        await asyncio.gather(*(self._stop(loaded) for loaded in list(self._loaded.values())))
        await self._account.close()

    async def _take_slot(self, model: Installed, settings: Settings, keep_alive: float) -> Loaded:
        while True:
            loaded = await self._get(model, settings, keep_alive)
            try:
                await loaded.runner.slots.acquire()
            except BaseException:
                self._release(loaded)
                raise
            if loaded.runner.alive:
                return loaded
            loaded.runner.slots.release()  # it crashed while we waited
            self._release(loaded)

    async def _get(self, model: Installed, settings: Settings, keep_alive: float) -> Loaded:
        """The child for these settings with one more user; loaded when there is none."""
        async with self._turns[settings.model]:
            loaded = self._loaded.get(settings.model)
            if loaded is not None and loaded.runner.settings != settings:
                while loaded.users and loaded.runner.alive:
                    await self._wait_for_freed()
                await self._stop(loaded)
            if self._loaded.get(settings.model) is not loaded or loaded is None:
                loaded = await self._load(model, settings, keep_alive)
            elif not loaded.runner.alive:
                await self._stop(loaded)
                loaded = await self._load(model, settings, keep_alive)
            loaded.users += 1
            loaded.model, loaded.keep_alive = model, keep_alive
            if loaded.timer is not None:
                loaded.timer.cancel()
            return loaded

    async def _load(self, model: Installed, settings: Settings, keep_alive: float) -> Loaded:
        async with self._loading:
            await self._make_room(needed_bytes(model.header, load_of(settings)))
            threads = settings.num_thread or await free_threads(model.header.size)
            _log.info("loading %s, %d threads (%s)", model.name.display(), threads, settings)
            runner = Runner(settings)
            started = time.monotonic()
            await runner.start(self.limits.load_timeout, threads)
            _log.info("loaded in %.2f s as process %d", time.monotonic() - started, runner.pid)
            runner.watch = Watch(self._account, model, runner, threads)
            loaded = Loaded(runner, model, keep_alive)
            self._loaded[settings.model] = loaded
            return loaded

    async def _make_room(self, need: int) -> None:
        """Unload idle children until `need` bytes fit. Raises NotEnoughMemory."""
        while True:
            for loaded in [one for one in self._loaded.values() if not one.runner.alive]:
                await self._stop(loaded)
            held = sum(loaded.runner.resident_bytes for loaded in self._loaded.values())
            free = available_bytes(held)
            if need > free + held:
                raise refuse(need, free + held)
            if need <= free and len(self._loaded) < self.limits.max_loaded:
                return
            if not self._loaded:
                raise refuse(need, free)
            idle = [loaded for loaded in self._loaded.values() if not loaded.users]
            if idle:
                victim = min(idle, key=lambda one: (one.expires_at, one.last_used))
                _log.info("unloading %s to make room", victim.model.name.display())
                await self._stop(victim)
            else:
                await self._wait_for_freed()

    async def _wait_for_freed(self) -> None:
        self._freed.clear()
        await self._freed.wait()

    def _release(self, loaded: Loaded) -> None:
        loaded.users -= 1
        loaded.last_used = time.time()
        note_load(loaded.model.model_path.parents[1], loaded.model.digest)
        self._freed.set()
        if loaded.users:
            return
        if loaded.keep_alive <= 0 or not loaded.runner.alive:
            self._expire(loaded)
        elif math.isfinite(loaded.keep_alive):
            loop = asyncio.get_running_loop()
            seconds = min(loaded.keep_alive, 10**8)  # three years; the loop knows no more
            loaded.timer = loop.call_later(seconds, self._expire, loaded)

    def _expire(self, loaded: Loaded) -> None:
        if not loaded.users:
            task = asyncio.ensure_future(self._stop(loaded))
            self._unloads.add(task)  # the loop itself holds tasks only weakly
            task.add_done_callback(self._unloads.discard)

    async def _stop(self, loaded: Loaded) -> None:
        if self._loaded.get(loaded.runner.settings.model) is loaded:
            del self._loaded[loaded.runner.settings.model]
            if loaded.runner.watch is not None:
                loaded.runner.watch.ended()
        if loaded.timer is not None:
            loaded.timer.cancel()
        await loaded.runner.stop()
        self._freed.set()

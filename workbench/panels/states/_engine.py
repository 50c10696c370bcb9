"""The engine as all panels of a page see it: which one answers, its models, what is in memory.

One state for the whole page, refreshed by whichever panel is shown. Polling never starts an
engine, so what somebody stopped stays stopped; opening the page does it once, a button again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from traitlets import Any as AnyTrait
from traitlets import Bool, Unicode
from traitlets import Tuple as TupleTrait

from workbench.errors import EngineUnreachable, StreamBroken
from workbench.panels.states._state import State
from workbench.types import EngineKind, Model, RunningModel

if TYPE_CHECKING:
    from workbench.engines import AsyncEngine


@dataclass(frozen=True, slots=True)
class EngineView:
    """The engine that answers, as far as a person cares."""

    kind: EngineKind
    url: str
    version: str


class EngineState(State):
    """`engine` is None while none answers."""

    actions = frozenset({"start", "stop", "unload", "delete"})
    settable = frozenset({"deleting"})
    url = Unicode("")
    engine = AnyTrait(None, allow_none=True)
    starting = Bool(False)
    models = TupleTrait(default_value=())
    loaded = TupleTrait(default_value=())
    _connection = AnyTrait(None, allow_none=True)
    _asked = Bool(False)
    deleting = Unicode("")  # the model whose deletion waits for a second click

    async def connect(self, *, start: bool = True) -> AsyncEngine:
        """The connection, made anew when it broke. Raises EngineUnreachable.

        An engine that was started again has another port, and a page that waited for its reader
        (a preheated one) knows only the old one: so it is asked whether it is there still.
        """
        if self._connection is not None:
            try:
                await self._connection.version()
            except (EngineUnreachable, StreamBroken):
                self._connection = None  # not closed: an answer may still stream
        if self._connection is None:
            from workbench.engines import aconnect

            self._connection = await aconnect(self.url or None, start=start)
        connection: AsyncEngine = self._connection
        return connection

    async def drop(self) -> None:
        """Close the connection and forget it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def refresh(self, *, start: bool = True) -> None:
        """What answers and what it has; the first time an engine is started if none does."""
        await (self.start() if start and not self._asked else self._look(start=False))

    async def start(self) -> None:
        """Connect, starting the embedded engine where none answers."""
        self._asked = True
        self.starting = True
        try:
            await self._look(start=True)
        finally:
            self.starting = False

    async def stop(self) -> None:
        """Stop the embedded engine; its models leave memory, nothing stored is lost."""
        from workbench.engines import stop_engine

        await self.drop()
        await asyncio.to_thread(stop_engine)
        await self._look(start=False)

    async def _look(self, *, start: bool) -> None:
        try:
            engine = await self.connect(start=start)
            view = EngineView(engine.kind, engine.url, await engine.version())
            self.models, self.loaded = tuple(await engine.models()), tuple(await engine.running())
            self.engine = view
        except (EngineUnreachable, StreamBroken):
            self._connection = None  # not closed: an answer may still stream
            self.engine, self.loaded = None, ()
            if start:
                raise

    @property
    def health(self) -> tuple[str, str]:
        """A tone and some words: is the engine there?"""
        if self.starting or (self.engine is None and not self._asked):
            return "busy", "Looking for an engine"
        if self.engine is None:
            return "bad", "Engine stopped"
        count = len(self.loaded)
        words = f"{count} model{'s' if count > 1 else ''} loaded" if count else "Engine ready"
        return "good", words

    @property
    def writers(self) -> tuple[Model, ...]:
        """The models that can be asked for text; an engine that does not say is trusted."""
        return tuple(m for m in self.models if not m.capabilities or "completion" in m.capabilities)

    def running(self, name: str) -> RunningModel | None:
        """The model in memory, None when it is not."""
        return next((model for model in self.loaded if model.name == name), None)

    async def unload(self, name: str) -> None:
        """Give the model's memory back."""
        await (await self.connect()).unload(name)
        await self._look(start=False)

    async def delete(self, name: str) -> None:
        """Second click: delete for good. Only what was asked about is deleted."""
        if name and name == self.deleting:
            await (await self.connect()).delete(name)
            self.deleting = ""
            await self._look(start=False)

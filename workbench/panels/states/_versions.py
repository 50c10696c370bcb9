"""What the Versions panel knows: releases, which one is in use, and a state for each of its views.

All of it is read from the store in a thread: when a view is opened, and again when a release, a
switch, an update or an alias changed, here or elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Enum, Instance, Int, Unicode
from traitlets import Tuple as TupleTrait

from workbench.panels.states._doing import DoingState
from workbench.panels.states._engine import EngineState
from workbench.panels.states._jobs import JobsState
from workbench.panels.states._versions_files import FilesState
from workbench.panels.states._versions_health import HealthState
from workbench.panels.states._versions_models import FamilyState
from workbench.panels.states._versions_part import PartState
from workbench.panels.states._versions_releases import TimelineState
from workbench.panels.states._versions_storage import StorageState
from workbench.panels.states._versions_update import FlowState

VIEWS = ("releases", "update", "models", "modelfiles", "storage", "health")


class VersionsState(DoingState):
    """`used` is the release in use, `releases` are all, the newest first."""

    actions = frozenset({"show", "play", "leave", "measured"})
    view = Enum(VIEWS, "releases")
    engine = Instance(EngineState, ())
    jobs = Instance(JobsState, ())
    update = Unicode("")  # the id of the update that is opened at first
    used = AnyTrait(None, allow_none=True)
    before = AnyTrait(None, allow_none=True)  # the release that a rollback leads to
    releases = TupleTrait(default_value=())
    switches = TupleTrait(default_value=())
    updates = TupleTrait(default_value=())
    known = Bool(False)  # whether all of it was read
    moved = Int(0)  # counts up when the keyboard goes along with the view; 0: it stays
    opener = AnyTrait(None, allow_none=True)  # called with a model's name to play with
    leader = AnyTrait(None, allow_none=True)  # called with a panel's name to show that
    measurer = AnyTrait(None, allow_none=True)  # called with a suite to show what was measured

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._moves = 0
        self._seen: object = None
        self.timeline = TimelineState(source=self)
        self.flow = FlowState(source=self)
        self.family = FamilyState(source=self)
        self.files = FilesState(source=self)
        self.storage = StorageState(source=self)
        self.health = HealthState(source=self)
        self._parts: dict[str, PartState] = {
            "releases": self.timeline, "update": self.flow, "models": self.family,
            "modelfiles": self.files, "storage": self.storage, "health": self.health,
        }  # fmt: skip

    @property
    def part(self) -> PartState:
        """The state of the view that is shown."""
        return self._parts[self.view]

    async def refresh(self, *, start: bool = True) -> None:
        """Releases and jobs; the engine's models; what the view shows, where it changed."""
        changed = await self.changed()
        models = self.engine.models, self.engine.engine
        try:
            await self.engine.refresh(start=start)
        finally:
            if changed or models != (self.engine.models, self.engine.engine):
                await self.part.look()
            else:
                await self.part.tick()
        if self.update:
            text, self.update = self.update, ""
            await self.flow.open_update(text)

    async def changed(self) -> bool:
        """Read the store again where something changed; whether it did."""
        await self.jobs.refresh()
        seen = await asyncio.to_thread(_changes)
        if seen == self._seen:
            return False
        self._seen = seen
        await self.read()
        return True

    async def read(self) -> None:
        """The releases and their switches, anew."""
        await self.ask(_read, self._use)

    def _use(self, found: Mapping[str, Any]) -> None:
        for name, value in found.items():
            self.set_trait(name, value)
        self.known = True

    async def show(self, value: str, move: str = "") -> None:
        """One of the views; the keyboard goes along where what it stood on vanishes."""
        if value == "update":
            self.flow.shut()
        self.go(value, bool(move))
        await self.part.look()

    def go(self, view: str, move: bool) -> None:
        """Turn to a view, which is drawn from what is known."""
        self._moves += 1
        self.timeline.returned = self.flow.returned = 0
        self.view, self.moved = view, self._moves if move else 0

    def play(self, name: str) -> None:
        """Open this model in the Playground."""
        if self.opener is not None:
            self.opener(name)

    def leave(self, value: str) -> None:
        """Show another panel of the page."""
        if self.leader is not None:
            self.leader(value)

    async def measured(self, value: str) -> None:
        """What was measured on this suite, in Benchmarks."""
        if self.measurer is not None:
            await self.measurer(value)

    def close(self) -> None:
        for part in self._parts.values():
            part.close()


def _changes() -> list[Any]:
    """What changes when a release is made, used or imported, an update goes on, an alias is set."""
    from workbench import releases, versions

    return [
        [one.version for one in releases.history()],
        [(one.at, one.version) for one in releases.switches()[:1]],
        [(one.alias, one.at) for one in releases.aliases()],
        [(one.id, one.state, [step.state for step in one.steps]) for one in versions.updates()],
    ]


def _read() -> dict[str, Any]:
    from workbench import releases, versions

    return {
        "releases": tuple(releases.history()),
        "switches": tuple(releases.switches()),
        "used": releases.current(),
        "before": releases.previous(),
        "updates": tuple(versions.updates()),
    }

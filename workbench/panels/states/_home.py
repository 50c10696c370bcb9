"""What Home shows beside the engine and the jobs: this machine, and what `doctor` finds."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from traitlets import Any as AnyTrait
from traitlets import Instance

from workbench.panels.states._checks import ChecksState
from workbench.panels.states._engine import EngineState
from workbench.panels.states._jobs import JobsState


class HomeState(ChecksState):
    """Everything on Home."""

    actions = ChecksState.actions | {"play"}
    engine = Instance(EngineState, ())
    jobs = Instance(JobsState, ())
    machine = AnyTrait(None, allow_none=True)
    disk_free = AnyTrait(None, allow_none=True)
    _checked = AnyTrait(None, allow_none=True)  # which engine and models the checks saw
    opener = AnyTrait(None, allow_none=True)  # called with a model's name to play with

    async def refresh(self, *, start: bool = True) -> None:
        """Machine, jobs, then the engine: what cannot fail is there first."""
        await self._look_at_machine()
        await self.jobs.refresh()
        try:
            await self.engine.refresh(start=start)
        finally:
            here = (self.engine.engine, tuple(model.name for model in self.engine.models))
            if here != self._checked and not self.checking:
                self._checked = here
                await self.run_checks()

    async def _look_at_machine(self) -> None:
        from workbench import hardware, settings

        if self.machine is None:  # with a graphics card this asks its tool: once is enough
            self.machine = await asyncio.to_thread(hardware.machine)
        _, available = await asyncio.to_thread(hardware.memory)
        self.machine = replace(self.machine, memory_available=available)
        self.disk_free = await asyncio.to_thread(
            lambda: hardware.disk_free(settings.models_folder())
        )

    def play(self, name: str) -> None:
        """Open this model in the Playground."""
        if self.opener is not None:
            self.opener(name)

"""A Modelfile as a model: its name, its base, the steps of making it, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from threading import Event
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Unicode
from traitlets import Tuple as TupleTrait

from workbench.errors import ModelfileError, WorkbenchError
from workbench.panels.states._versions_part import PartState

if TYPE_CHECKING:
    from workbench.domains import Domain
    from workbench.types import Progress

STEPS = 6  # that are shown


class BuildState(PartState):
    """`called` is the name as typed, `base` the installed model in the place of what FROM says;
    `target` is what the model will be called. `replacing` waits for a second click."""

    actions = frozenset({"call", "choose_base", "build", "stop"})
    base = Unicode("")
    called = Unicode("")
    target = Unicode("")
    wrong_name = Unicode("")
    building = Bool(False)
    stopping = Bool(False)
    steps = TupleTrait(default_value=())
    step = AnyTrait(None, allow_none=True)  # the Progress of now
    replacing = Unicode("")
    built = Unicode("")  # the model that was made last
    build_problem = Unicode("")
    findings = TupleTrait(default_value=())

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._halt = Event()

    @property
    def written(self) -> Domain | str:
        """What is built: the domain with the text of the editor, or the text."""
        raise NotImplementedError

    async def recheck(self) -> None:
        """Look again at the text, its name and its base."""
        raise NotImplementedError

    @property
    def errors(self) -> list[Any]:
        """What keeps it from being built."""
        return [one for one in self.findings if one.severity == "error"]

    @property
    def bases(self) -> list[str]:
        """Installed models that it can be built on."""
        return [one.name for one in self.source.engine.writers]

    @property
    def ready(self) -> bool:
        """Whether it can be built."""
        return bool(self.target) and not (self.errors or self.wrong_name or self.building)

    async def call(self, value: str) -> None:
        """What the model, or the part of its name before the domain's, is to be."""
        self.called, self.replacing = value.strip(), ""
        await self.recheck()

    async def choose_base(self, value: str) -> None:
        """On which installed model; "" is what FROM says."""
        self.base, self.replacing = value, ""
        await self.recheck()

    def named(self, source: Domain | str) -> dict[str, str]:
        """In a thread: what the model will be called, or why it cannot be."""
        from workbench.domains import target

        try:
            return {"target": target(source, self.called or None, self.base or None),
                    "wrong_name": ""}  # fmt: skip
        except WorkbenchError as error:
            of_a_line = getattr(error, "line", None) is not None  # a finding says it already
            return {"target": "", "wrong_name": "" if of_a_line else str(error)}

    async def build(self, replace: str = "", value: str = "") -> None:
        """Make the model; one that has its name is replaced by a second click only."""
        if value:  # Enter in the field
            await self.call(value)
        if not self.ready:
            return
        target = self.target
        there = any(one.name in (target, f"{target}:latest") for one in self.source.engine.models)
        if there and not (replace and replace == self.replacing == target):
            self.replacing = target
            return
        source, replacing = self.written, bool(self.replacing)
        self._halt.clear()
        self.building, self.replacing, self.built, self.build_problem = True, "", "", ""
        self.steps, self.step = (), None
        loop = asyncio.get_running_loop()
        try:
            made = await self.do(lambda: self._make(source, replacing, loop))
        finally:
            self.building, self.stopping, self.step = False, False, None
        self.build_problem, self.problem = self.problem, ""
        self.built = target if made else ""
        await self.source.engine.refresh(start=False)
        await self.look()

    def stop(self) -> None:
        """End after the step that is being done; nothing of it stays."""
        if self.building:
            self.stopping = True
            self._halt.set()

    def _make(self, source: Domain | str, replace: bool, loop: asyncio.AbstractEventLoop) -> bool:
        """In a thread: whether it was made."""
        from workbench.domains import build

        with self.connected() as engine:
            steps = build(
                engine, source, self.called or None, base=self.base or None, replace=replace
            )
            assert isinstance(steps, Generator)
            for step in steps:
                loop.call_soon_threadsafe(self._show, step)
                if self._halt.is_set() and step.digest is None:
                    steps.close()  # which deletes what is in the making
                    raise ModelfileError("Stopped: nothing was made. Build it again at any time.")
        return True

    def _show(self, step: Progress) -> None:
        if self.building:
            told = [one for one in self.steps if one != step.status]
            self.steps, self.step = (*told[-STEPS + 1 :], step.status), step

    def close(self) -> None:
        self._halt.set()

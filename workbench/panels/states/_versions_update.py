"""The updates: the next one, the one that is under way step by step, those that were."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Int, Unicode

from workbench.errors import JobError, WorkbenchError
from workbench.panels.states._versions_new import NewUpdateState
from workbench.panels.states._versions_part import PartState

if TYPE_CHECKING:
    from workbench.versions import Step, Update

LIVE = ("waiting", "running")


class FlowState(PartState):
    """`update` is the one that is looked at, None while the form is shown; `undoing` its id while
    taking it back waits for a second click."""

    actions = frozenset({"open_update", "leave", "stop", "resume", "wish", "stay", "undo"})
    settable = frozenset({"why"})
    id = Unicode("")
    update = AnyTrait(None, allow_none=True)
    job = AnyTrait(None, allow_none=True)
    undoing = Unicode("")
    why = Unicode("")
    returned = Int(0)  # counts up when the keyboard returns from that question; 0: it stays
    focus = Unicode("")  # the row to which the keyboard returns
    unread = Unicode("")  # why it cannot be shown

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.new = NewUpdateState(source=self)

    @property
    def live(self) -> bool:
        """Whether the update is under way."""
        return self.update is not None and self.update.state in LIVE

    @property
    def in_use(self) -> bool:
        """Whether the release in use is the one that the update made."""
        used = self.source.used
        return bool(self.update and used and used.version == self.update.version)

    def evidence(self, step: Step) -> str:
        """Of a step, as JSON."""
        told = step.evidence
        return json.dumps(told, indent=2, ensure_ascii=False, default=str) if told else ""

    def suite_of(self, update: Update) -> str:
        """Whose questions were asked; empty where none were."""
        return str(update.plan.get("suite") or "") if update.step("suite").state == "done" else ""

    async def look(self) -> None:
        await (self._read() if self.id else self.new.look())

    async def tick(self) -> None:
        if self.id and (self.update is None or self.live):
            await self._read()

    async def _read(self) -> None:
        id = self.id
        try:
            found, self.unread = await asyncio.to_thread(_found, id), ""
        except WorkbenchError as error:
            self.unread = str(error)
            return
        if self.id == id:
            self.update, self.job = found

    async def open_update(self, id: str) -> None:
        """An update, and all that is known of it."""
        self.id, self.focus, self.undoing, self.problem, self.unread = id, id, "", "", ""
        self.update = self.job = None
        self.source.go("update", True)
        await self._read()
        if self.update is not None:
            self.id = self.focus = self.update.id

    def shut(self) -> None:
        """Look at no update."""
        self.id, self.update, self.job, self.undoing, self.problem = "", None, None, "", ""

    async def leave(self) -> None:
        """Back to the form and the list."""
        await self.source.show("update", "yes")

    async def stop(self) -> None:
        """End it before anything is switched; what was found out is kept."""
        from workbench import versions

        await self._tell(lambda id: versions.stop(id))

    async def resume(self) -> None:
        """Go on where it was."""
        from workbench import versions

        await self._tell(lambda id: versions.resume(id))

    def wish(self) -> None:
        """First click: take back what it switched?"""
        self.undoing, self.why, self.problem = self.id, "", ""

    def stay(self) -> None:
        """Rather not; the keyboard returns to where it was."""
        self.undoing, self.returned = "", self.returned + 1

    async def undo(self, value: str | None = None) -> None:
        """Second click: what was in use before is in use again."""
        if self.undoing and self.undoing == self.id and self.update is not None:
            why = (self.why if value is None else value).strip()
            await self._tell(self._undone(self.update, why))
            self.undoing = self.undoing if self.problem else ""

    def _undone(self, update: Update, why: str) -> Callable[[str], Any]:
        """Going back, through the page's engine."""
        from workbench import versions

        if not update.before:
            return versions.undo
        url = self.source.engine.url or update.plan.get("engine")
        reason = why or f"The update {update.id} was undone."
        return lambda _id: versions.rollback(to=update.before, why=reason, engine=url)

    async def _tell(self, what: Callable[[str], Any]) -> None:
        id = self.id
        if self.busy or not id:
            return
        self.busy = True
        try:
            await self.do(lambda: what(id))
        finally:
            self.busy = False
        problem = self.problem
        await self.source.changed()
        await self._read()
        self.problem = self.problem or problem


def _found(id: str) -> tuple[Update, Any]:
    from workbench import jobs, versions

    update = versions.find(id)
    try:
        job = jobs.get(update.job) if update.job else None
    except JobError:  # of another home, or deleted
        job = None
    return update, job

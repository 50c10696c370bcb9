"""What panels of long work share: records and their jobs, a list of them and the opened one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Instance, Int, Unicode

from workbench.panels.states._doing import DoingState
from workbench.panels.states._engine import EngineState
from workbench.panels.states._jobs import JobsState

if TYPE_CHECKING:
    from workbench.jobs import Job


class RecordsState(DoingState):
    """`new` is what is to be begun, `opened` the record that is looked at; views are "new" and
    `listing`. `_changes`, `_read` and `_remove` ask the panel's room, in a thread."""

    kind: ClassVar[str]  # of jobs that belong here
    listing: ClassVar[str]  # the view with the list and the opened record
    new: Any
    opened: Any
    engine = Instance(EngineState, ())
    jobs = Instance(JobsState, ())
    their_jobs = Dict()  # by id, as they were when the store was read
    known = Bool(False)  # whether all of it was read
    deleting = Unicode("")  # the record whose deletion waits for a second click
    focus = Unicode("")  # the row to which the keyboard returns
    moved = Int(0)  # counts up when the keyboard goes along with the view; 0: it stays
    opener = AnyTrait(None, allow_none=True)  # called with a model's name to play with
    leader = AnyTrait(None, allow_none=True)  # called with a panel's name to show that

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._moves = 0
        self._seen: object = None

    async def changed(self) -> bool:
        """Read the store again where something changed, here or elsewhere; whether it did."""
        await self.jobs.refresh()
        changes = await asyncio.to_thread(self._changes)
        seen = changes, [(job.id, job.state) for job in self.own_jobs]
        if seen == self._seen:
            return False
        self._seen = seen
        await self.look()
        return True

    @property
    def own_jobs(self) -> tuple[Job, ...]:
        """Jobs that belong here, the newest first."""
        return tuple(job for job in self.jobs.jobs if job.kind == self.kind)

    def job_of(self, record: Any) -> Job | None:
        """The job that works on it, as new as it is known; None where there is none."""
        live = (job for job in self.jobs.jobs if job.id == record.job)
        found: Job | None = next(live, self.their_jobs.get(record.job))
        return found

    async def look(self) -> None:
        """Everything that is shown, anew."""
        await self.ask(self._read, self._use)
        await (self.new.look() if self.view == "new" else self.opened.look())

    def _use(self, found: Mapping[str, Any]) -> None:
        for name, value in found.items():
            self.set_trait(name, value)
        self.known = True

    async def show(self, value: str, move: str = "") -> None:
        """One of the views; the keyboard goes along where what it stood on vanishes."""
        if value == self.listing:
            self.opened.open("")
        await self._go(value, bool(move))

    async def _go(self, view: str, move: bool) -> None:
        self._moves += 1
        self.view, self.deleting, self.moved = view, "", self._moves if move else 0
        await self.look()

    def play(self, name: str) -> None:
        """Open this model in the Playground."""
        if self.opener is not None:
            self.opener(name)

    def leave(self, value: str) -> None:
        """Show another panel of the page."""
        if self.leader is not None:
            self.leader(value)

    async def forget(self, id: str) -> None:
        """Second click: delete for good. Only what was asked about is deleted."""
        wanted, self.deleting = (id if id and id == self.deleting else ""), ""
        if wanted:
            await self.do(lambda: self._remove(wanted))
            problem = self.problem
            if not problem:
                self.opened.open("")
            await self.look()
            self.problem = self.problem or problem

    @staticmethod
    def _changes() -> list[Any]:
        """What is another one when the store has to be read again."""
        raise NotImplementedError

    @staticmethod
    def _read() -> dict[str, Any]:
        """The traits that come out of the store."""
        raise NotImplementedError

    @staticmethod
    def _remove(id: str) -> None:
        """Delete a record for good. Raises WorkbenchError."""
        raise NotImplementedError

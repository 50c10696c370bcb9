"""One training: how far it is and how it learns, what came of it, and the way that led to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from traitlets import Any as AnyTrait
from traitlets import Bool, Enum, Unicode

from workbench.errors import JobError, WorkbenchError
from workbench.panels.states._data_form import Fields, FormState
from workbench.panels.states._doing import DoingState
from workbench.panels.states._train_curve import TRAIN, VALIDATION, Curves, Picture, picture
from workbench.panels.states._train_lineage import Plan, plan
from workbench.panels.states._train_settings import kinds, wrong_name

PARTS = ("progress", "gain", "export", "lineage", "settings")


class ExportState(FormState):
    """The form that writes other kinds of file of a training, and puts one into the engine."""

    function = "workbench.train.export_again"
    fields: ClassVar[Fields] = {
        "name": "", "system": "", "deploy": "yes", "replace": "", "as_adapter": "", "force": "",
    }  # fmt: skip
    lists = ("kinds",)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of GGUF files."""
        return kinds()

    def begin(self) -> None:
        """As at first, for the training that is opened."""
        self.texts, self.started, self.problem = {**self.fields}, "", ""
        self.picked, self.problems = {"kinds": ()}, {}

    @property
    def missing(self) -> str:
        if not self.source.whole:
            return "There are no weights yet: the training has not come to its end."
        return "" if self.picked["kinds"] else "Tick a kind of file."

    def given(self) -> tuple[list[Any], dict[str, Any]]:
        named: dict[str, Any] = {"kinds": [*self.picked["kinds"]]}
        named |= {name: self.text(name) for name in ("name", "system") if self.text(name)}
        switches = ("deploy", "replace", "as_adapter", "force")
        return [self.source.id], named | {name: True for name in switches if self.text(name)}

    def check(self) -> dict[str, str]:
        name = self.text("name")
        wrong = wrong_name(name) if name else ""
        return {"name": wrong} if wrong else {}


class TrainingState(DoingState):
    """`training` is None while the list is shown; `job` is the one that trains it."""

    actions = frozenset({"turn_to", "stop", "pause", "resume"})
    source = AnyTrait(None, allow_none=True)  # the panel's state
    id = Unicode("")
    training = AnyTrait(None, allow_none=True)
    job = AnyTrait(None, allow_none=True)
    part = Enum(PARTS, "progress")
    curves = AnyTrait(Curves())
    plan = AnyTrait(None, allow_none=True)
    stopping = Bool(False)  # it was told to stop and save
    whole = Bool(False)  # whether its weights are there
    unread = Unicode("")  # why it cannot be shown

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.export = ExportState(source=self)

    @property
    def jobs(self) -> Any:
        """Those of the page; the form looks there when it has begun one."""
        return self.source.jobs

    @property
    def picture(self) -> Picture | None:
        """Both losses."""
        return picture(self.curves.points(TRAIN), self.curves.points(VALIDATION))

    @property
    def exports(self) -> list[Any]:
        """Jobs that exported it again, the newest first."""
        own = (job for job in self.source.own_jobs if job.arguments.get("training") == self.id)
        return [job for job in own if self.training is None or job.id != self.training.job]

    def open(self, id: str, part: str = "progress") -> None:
        """Look at this training when the view is drawn next; at the list, where it is empty."""
        self.id, self.part, self.problem, self.unread = id, part, "", ""
        self.training = self.job = self.plan = None
        self.curves, self.stopping, self.whole = Curves(), False, False
        self.export.begin()

    async def look(self) -> None:
        """The training anew, and what its job reported since."""
        id, curves = self.id, self.curves
        if not id:
            return
        try:
            found, self.unread = await asyncio.to_thread(_found, id, curves), ""
        except WorkbenchError as error:
            self.unread = str(error)
            return
        if self.id != id:
            return
        training, self.job, self.curves, self.stopping, self.whole = found
        changed, self.training = training != self.training, training
        if self.part == "lineage" and (changed or self.plan is None):
            drawn = await asyncio.to_thread(_drawn, id)
            if self.id == id:
                self.plan = drawn

    async def turn_to(self, value: str) -> None:
        """Another part of the training."""
        self.part, self.source.deleting, self.plan = value, "", None
        await self.look()

    async def stop(self) -> None:
        """End the training now; what was learnt is exported."""
        from workbench import train

        await self._tell(train.stop)

    async def pause(self) -> None:
        """Save a checkpoint and end the job, to go on later."""
        from workbench import train

        await self._tell(train.pause)

    async def resume(self) -> None:
        """Go on from the last checkpoint."""
        from workbench import train

        await self._tell(train.resume)

    async def _tell(self, what: Callable[[str], Any]) -> None:
        id = self.id
        await self.do(lambda: what(id))
        await self.jobs.refresh()
        await self.look()


def _found(id: str, curves: Curves) -> Any:
    from workbench import jobs, lineage

    training = lineage.find(id)
    try:
        job = jobs.get(training.job) if training.job else None
    except JobError:  # of another home, or deleted
        job = None
    read = curves.read_on(jobs.history(job.id, curves.last)) if job else curves
    running = job is not None and not job.ended
    stopping = running and (training.folder / "stop").exists()
    return training, job, read, stopping, (training.folder / "model").is_dir()


def _drawn(id: str) -> Plan:
    from workbench import lineage

    return plan(lineage.graph(id))

"""What the Training panel knows: trainings and their jobs, the view, what is to be begun.

All of it is read from the store in a thread: when a view is opened, and again when a training
began, changed or ended, here or elsewhere. Of an opened one the progress is read every time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Enum, Instance, Int, Unicode
from traitlets import Tuple as TupleTrait

from workbench.panels.states._doing import DoingState
from workbench.panels.states._engine import EngineState
from workbench.panels.states._jobs import JobsState
from workbench.panels.states._train_new import NewTrainingState
from workbench.panels.states._train_run import TrainingState

if TYPE_CHECKING:
    from workbench.jobs import Job
    from workbench.lineage import Training

VIEWS = ("new", "runs")
KIND = "training"  # of jobs that belong here


class TrainState(DoingState):
    """`trainings` are all there are, the newest first; `opened` is the one that is looked at."""

    actions = frozenset({"show", "open_training", "see", "further", "forget", "play", "leave"})
    settable = frozenset({"deleting"})
    engine = Instance(EngineState, ())
    jobs = Instance(JobsState, ())
    view = Enum(VIEWS, "new")
    dataset = Unicode("")  # the one that a new training learns from at first
    training = Unicode("")  # the id, or the model's name, of the training that is opened at first
    trainings = TupleTrait(default_value=())
    datasets = TupleTrait(default_value=())
    their_jobs = Dict()  # by id, as they were when the store was read
    known = Bool(False)  # whether all of it was read
    deleting = Unicode("")  # the training whose deletion waits for a second click
    focus = Unicode("")  # the row to which the keyboard returns
    moved = Int(0)  # counts up when the keyboard goes along with the view; 0: it stays
    opener = AnyTrait(None, allow_none=True)  # called with a model's name to play with
    leader = AnyTrait(None, allow_none=True)  # called with a panel's name to show that

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.new, self.opened = NewTrainingState(source=self), TrainingState(source=self)
        self._moves = 0
        self._seen: object = None

    def close(self) -> None:
        self.new.close()

    async def refresh(self, *, start: bool = True) -> None:
        """What is being trained; the store where something changed; the engine's models."""
        await self.jobs.refresh()
        seen = await asyncio.to_thread(_changes), [(job.id, job.state) for job in self.own_jobs]
        if seen != self._seen:
            self._seen = seen
            await self.look()
        elif self.view == "runs":
            await self.opened.look()
        if self.dataset:
            label, self.dataset = self.dataset, ""
            await self.begin(label)
        if self.training:
            text, self.training = self.training, ""
            await self.open_training(text)
        await self.engine.refresh(start=start)

    @property
    def own_jobs(self) -> tuple[Job, ...]:
        """Jobs that train or export, the newest first."""
        return tuple(job for job in self.jobs.jobs if job.kind == KIND)

    def job_of(self, training: Training) -> Job | None:
        """The job that trains it, as new as it is known; None where there is none."""
        live = (job for job in self.jobs.jobs if job.id == training.job)
        found: Job | None = next(live, self.their_jobs.get(training.job))
        return found

    def served(self, training: Training) -> Any:
        """The model in the engine that came of it; None where there is none (any more)."""
        digest = training.digest.removeprefix("sha256:")
        there = (m for m in self.engine.models if m.digest.removeprefix("sha256:") == digest)
        return next(there, None) if digest else None

    async def look(self) -> None:
        """Everything that is shown, anew."""
        await self.ask(_read, self._use)
        if self.view == "new":
            await self.new.look()
        else:
            await self.opened.look()

    def _use(self, found: Mapping[str, Any]) -> None:
        news = found["trainings"] != self.trainings
        for name, value in found.items():
            self.set_trait(name, value)
        self.new.known = self.new.known and not news  # a training gives a base model
        self.known = True

    async def show(self, value: str, move: str = "") -> None:
        """One of the views; the keyboard goes along where what it stood on vanishes."""
        if value == "runs":
            self.opened.open("")
        await self._go(value, bool(move))

    async def _go(self, view: str, move: bool) -> None:
        self._moves += 1
        self.view, self.deleting, self.moved = view, "", self._moves if move else 0
        if view != "new":
            self.new.price.close()
        await self.look()

    async def open_training(self, id: str, part: str = "progress") -> None:
        """A training, and all that is known of it."""
        self.focus = id
        self.opened.open(id, part)
        await self._go("runs", True)

    async def see(self, id: str) -> None:
        """The training of this job."""
        job = next((job for job in self.own_jobs if job.id == id), None)
        if job is not None and isinstance(job.arguments.get("training"), str):
            await self.open_training(job.arguments["training"], "export")

    async def begin(self, dataset: str) -> None:
        """A new training on this dataset."""
        await self._begin(dataset=dataset)

    async def further(self, name: str) -> None:
        """A new training that goes on from this model."""
        await self._begin(base=name)

    async def _begin(self, **what: str) -> None:
        await self.new.begin(**what)
        await self._go("new", True)

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
            await self.do(lambda: _remove(wanted))
            problem = self.problem
            if not problem:
                self.opened.open("")
            await self.look()
            self.problem = self.problem or problem


def _changes() -> list[Any]:
    """What changes when a training or a dataset is begun, noted or removed anywhere."""
    from workbench import lineage
    from workbench.settings import home

    found: list[Any] = [
        (one.id, one.job, one.digest, one.ended_at, bool(one.export), bool(one.card))
        for one in lineage.trainings(limit=20)
    ]
    with suppress(OSError):  # there is none yet
        found.append((home() / "datasets").stat().st_mtime_ns)
    return found


def _read() -> dict[str, Any]:
    from workbench import data, jobs, lineage

    return {
        "trainings": tuple(lineage.trainings()),
        "datasets": tuple(data.datasets()),
        "their_jobs": {job.id: job for job in jobs.jobs(limit=500) if job.kind == KIND},
    }


def _remove(id: str) -> None:
    from workbench import train

    train.remove(id)

"""What the Training panel knows: trainings and their jobs, the view, what is to be begun.

All of it is read from the store in a thread: when a view is opened, and again when a training
began, changed or ended, here or elsewhere. Of an opened one the progress is read every time.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from traitlets import Enum, Unicode
from traitlets import Tuple as TupleTrait

from workbench.panels.states._records import RecordsState
from workbench.panels.states._train_new import NewTrainingState
from workbench.panels.states._train_run import TrainingState

if TYPE_CHECKING:
    from workbench.lineage import Training

VIEWS = ("new", "runs")
KIND = "training"  # of jobs that belong here


class TrainState(RecordsState):
    """`trainings` are all there are, the newest first; `opened` is the one that is looked at."""

    actions = frozenset({"show", "open_training", "see", "further", "forget", "play", "leave"})
    settable = frozenset({"deleting"})
    kind, listing = KIND, "runs"
    view = Enum(VIEWS, "new")
    dataset = Unicode("")  # the one that a new training learns from at first
    training = Unicode("")  # the id, or the model's name, of the training that is opened at first
    trainings = TupleTrait(default_value=())
    datasets = TupleTrait(default_value=())

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.new, self.opened = NewTrainingState(source=self), TrainingState(source=self)

    def close(self) -> None:
        self.new.close()

    async def refresh(self, *, start: bool = True) -> None:
        """What is being trained; the store where something changed; the engine's models."""
        if not await self.changed() and self.view == "runs":
            await self.opened.look()
        if self.dataset:
            label, self.dataset = self.dataset, ""
            await self.begin(label)
        if self.training:
            text, self.training = self.training, ""
            await self.open_training(text)
        await self.engine.refresh(start=start)

    def served(self, training: Training) -> Any:
        """The model in the engine that came of it; None where there is none (any more)."""
        digest = training.digest.removeprefix("sha256:")
        there = (m for m in self.engine.models if m.digest.removeprefix("sha256:") == digest)
        return next(there, None) if digest else None

    def _use(self, found: Mapping[str, Any]) -> None:
        news = found["trainings"] != self.trainings
        super()._use(found)
        self.new.known = self.new.known and not news  # a training gives a base model

    async def _go(self, view: str, move: bool) -> None:
        if view != "new":
            self.new.price.close()
        await super()._go(view, move)

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

    @staticmethod
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

    @staticmethod
    def _read() -> dict[str, Any]:
        from workbench import data, jobs, lineage

        return {
            "trainings": tuple(lineage.trainings()),
            "datasets": tuple(data.datasets()),
            "their_jobs": {job.id: job for job in jobs.jobs(limit=500) if job.kind == KIND},
        }

    @staticmethod
    def _remove(id: str) -> None:
        from workbench import train

        train.remove(id)

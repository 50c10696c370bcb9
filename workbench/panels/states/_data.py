"""What the Data panel knows: collections, datasets, the view, and what is being made.

All of it is read from the disk and the store in a thread: when a view is opened, and again when
something was gathered, made or deleted, here or elsewhere.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Enum, Instance, Int, Unicode
from traitlets import Tuple as TupleTrait

from workbench.panels.states._data_clean import CleanState
from workbench.panels.states._data_dataset import DatasetState
from workbench.panels.states._data_gather import GatherState, offers
from workbench.panels.states._data_import import ImportState
from workbench.panels.states._doing import DoingState
from workbench.panels.states._engine import EngineState
from workbench.panels.states._jobs import JobsState

if TYPE_CHECKING:
    from workbench.jobs import Job

VIEWS = ("gather", "clean", "imports", "datasets")
KINDS = frozenset({"gather", "data"})  # of jobs that belong here


class DataState(DoingState):
    """`collections` and `datasets` are all there are; `opened` is the dataset that is looked at."""

    actions = frozenset({"show", "open_dataset", "see", "refine", "forget", "teach"})
    settable = frozenset({"deleting"})
    engine = Instance(EngineState, ())
    jobs = Instance(JobsState, ())
    view = Enum(VIEWS, "gather")
    dataset = Unicode("")  # the label of the dataset that is opened at first
    collections = TupleTrait(default_value=())
    datasets = TupleTrait(default_value=())
    known = Bool(False)  # whether both were read
    notice = Unicode("")  # why the collections cannot be read
    deleting = Unicode("")  # what waits for a second click: name, name/key or name@digest
    focus = Unicode("")  # the row to which the keyboard returns
    moved = Int(0)  # counts up when the keyboard goes along with the view; 0: it stays
    trainer = AnyTrait(None, allow_none=True)  # awaited with a dataset's label to train on it

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.gather, self.clean = GatherState(source=self), CleanState(source=self)
        self.imports, self.opened = ImportState(source=self), DatasetState(source=self)
        self._moves = 0
        self._seen: object = None

    def close(self) -> None:
        self.opened.close()

    async def refresh(self, *, start: bool = True) -> None:
        """What is being made; the disk where something changed; the engine's models."""
        await self.jobs.refresh()
        seen = await asyncio.to_thread(_changes), [(job.id, job.state) for job in self.own_jobs]
        if seen != self._seen:
            self._seen = seen
            await self.look()
        if self.dataset:
            label, self.dataset = self.dataset, ""
            await self.open_dataset(label)
        await self.engine.refresh(start=start)

    @property
    def own_jobs(self) -> tuple[Job, ...]:
        """Jobs that gather or make datasets, the newest first."""
        return tuple(job for job in self.jobs.jobs if job.kind in KINDS)

    async def look(self) -> None:
        """Everything that is shown, anew."""
        await self.ask(_read, self._use)
        part: Any = self.opened if self.view == "datasets" else getattr(self, self.view)
        await part.look()

    def _use(self, found: dict[str, Any]) -> None:
        for name, value in found.items():
            self.set_trait(name, value)
        if not self.known:
            self.gather.offers = tuple(offers())
        self.known = True

    async def show(self, value: str, move: str = "") -> None:
        """One of the views; the keyboard goes along where what it stood on vanishes."""
        if value == "datasets":
            self.opened.open("", "overview")
        await self._go(value, bool(move))

    async def _go(self, view: str, move: bool) -> None:
        self._moves += 1
        self.view, self.deleting, self.moved = view, "", self._moves if move else 0
        await self.look()

    async def open_dataset(self, label: str, part: str = "overview") -> None:
        """A dataset, and all that is known of it."""
        self.focus = label
        self.opened.open(label, part)
        await self._go("datasets", True)

    async def see(self, id: str) -> None:
        """What this job made."""
        job = next((job for job in self.own_jobs if job.id == id), None)
        made = job.result if job and isinstance(job.result, dict) else {}
        if "label" in made:
            await self.open_dataset(str(made["label"]))

    async def refine(self, name: str) -> None:
        """Clean this collection."""
        self.clean.begin(name)
        await self._go("clean", True)

    async def teach(self, label: str) -> None:
        """Begin a training with this dataset."""
        if self.trainer is not None:
            await self.trainer(label)

    async def forget(self, id: str) -> None:
        """Second click: delete for good. Only what was asked about is deleted."""
        wanted, self.deleting = (id if id and id == self.deleting else ""), ""
        if wanted:
            await self.do(lambda: _remove(wanted))
            if "@" in wanted and not self.problem:
                self.opened.open("", "overview")
            await self.look()


def _changes() -> list[Any]:
    """What changes when something is gathered, made or deleted anywhere."""
    from workbench.settings import home

    paths = [home() / "datasets", *sorted(home().glob("collections/*/*/source.json"))]
    found = []
    for path in paths:
        with suppress(OSError):  # it was deleted meanwhile
            found.append((str(path), path.stat().st_mtime_ns))
    return found


def _read() -> dict[str, Any]:
    from workbench import data, gather

    return {
        "datasets": tuple(data.datasets()),
        "collections": tuple(gather.collections()),
        "notice": " ".join(gather.problems()),
    }


def _remove(what: str) -> None:
    from workbench import data, gather

    name, slash, key = what.partition("/")
    if "@" in what:
        data.remove(what)
    elif slash:
        gather.remove_source(name, key)
    else:
        gather.remove_collection(name)

"""What the Tuning panel knows: studies and their jobs, the view, the study that is to be begun.

All of it is read from the store in a thread: when a view is opened, and again when a study began,
changed or ended, here or elsewhere. Of an opened one the trials are read every time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Enum, Instance, Int, Unicode
from traitlets import Tuple as TupleTrait

from workbench.panels.states._doing import DoingState
from workbench.panels.states._engine import EngineState
from workbench.panels.states._jobs import JobsState
from workbench.panels.states._tune_new import NewStudyState
from workbench.panels.states._tune_study import StudyState

if TYPE_CHECKING:
    from workbench.jobs import Job
    from workbench.tune import Study

VIEWS = ("new", "studies")
KIND = "tuning"  # of jobs that belong here
MOST = 200  # studies in the list


class TuneState(DoingState):
    """`studies` are all there are, the newest first; `opened` is the one that is looked at."""

    actions = frozenset({"show", "open_study", "again", "forget", "play", "measured", "leave"})
    settable = frozenset({"deleting"})
    engine = Instance(EngineState, ())
    jobs = Instance(JobsState, ())
    view = Enum(VIEWS, "new")
    model = Unicode("")  # the one that is tuned at first
    suite = Unicode("")  # the one whose questions are asked at first
    study = Unicode("")  # the id, or the name, of the study that is opened at first
    studies = TupleTrait(default_value=())
    their_jobs = Dict()  # by id, as they were when the store was read
    known = Bool(False)  # whether all of it was read
    deleting = Unicode("")  # the study whose deletion waits for a second click
    focus = Unicode("")  # the row to which the keyboard returns
    moved = Int(0)  # counts up when the keyboard goes along with the view; 0: it stays
    opener = AnyTrait(None, allow_none=True)  # called with a model's name to play with
    leader = AnyTrait(None, allow_none=True)  # called with a panel's name to show that
    measurer = AnyTrait(None, allow_none=True)  # called with a suite to show what was measured

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.new, self.opened = NewStudyState(source=self), StudyState(source=self)
        self._moves = 0
        self._seen: object = None

    async def refresh(self, *, start: bool = True) -> None:
        """What is being tuned; the store where something changed; the engine's models."""
        await self.jobs.refresh()
        seen = await asyncio.to_thread(_changes), [(job.id, job.state) for job in self.own_jobs]
        if seen != self._seen:
            self._seen = seen
            await self.look()
        elif self.view == "studies" and self.opened.live:
            await self.opened.look()
        models = self.engine.models
        await self.engine.refresh(start=start)
        if self.view == "new" and (models != self.engine.models or not self.new.known):
            await self.new.look()
        if self.model or self.suite:
            wanted = {"model": self.model, "suite": self.suite}
            self.model = self.suite = ""
            await self.new.begin(**wanted)
        if self.study:
            text, self.study = self.study, ""
            await self.open_study(text)

    @property
    def own_jobs(self) -> tuple[Job, ...]:
        """Jobs that tune, the newest first."""
        return tuple(job for job in self.jobs.jobs if job.kind == KIND)

    def job_of(self, study: Study) -> Job | None:
        """The job that works on it, as new as it is known; None where there is none."""
        live = (job for job in self.jobs.jobs if job.id == study.job)
        found: Job | None = next(live, self.their_jobs.get(study.job))
        return found

    def has(self, name: str) -> bool:
        """Whether the engine has a model of this name."""
        whole = name if ":" in name else f"{name}:latest"
        return any(model.name in (name, whole) for model in self.engine.models)

    async def look(self) -> None:
        """Everything that is shown, anew."""
        await self.ask(_read, self._use)
        await (self.new.look() if self.view == "new" else self.opened.look())

    def _use(self, found: Mapping[str, Any]) -> None:
        for name, value in found.items():
            self.set_trait(name, value)
        self.known = True

    async def show(self, value: str, move: str = "") -> None:
        """One of the views; the keyboard goes along where what it stood on vanishes."""
        if value == "studies":
            self.opened.open("")
        await self._go(value, bool(move))

    async def _go(self, view: str, move: bool) -> None:
        self._moves += 1
        self.view, self.deleting, self.moved = view, "", self._moves if move else 0
        await self.look()

    async def open_study(self, id: str) -> None:
        """A study, and all that is known of it."""
        self.focus = id
        self.opened.open(id)
        await self._go("studies", True)

    async def again(self, id: str) -> None:
        """A new study that begins with the settings of this one."""
        study = next((one for one in self.studies if one.id == id), None)
        if study is not None:
            await self.new.like(study)
            await self._go("new", True)

    def play(self, name: str) -> None:
        """Open this model in the Playground."""
        if self.opener is not None:
            self.opener(name)

    async def measured(self, value: str) -> None:
        """What was measured on this suite, in Benchmarks."""
        if self.measurer is not None:
            await self.measurer(value)

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
    """What changes when a study is begun, told or removed anywhere."""
    from workbench import tune

    return [(one.id, one.job, one.state, one.ended_at) for one in tune.studies(limit=10)]


def _read() -> dict[str, Any]:
    from workbench import jobs, tune

    return {
        "studies": tuple(tune.studies(limit=MOST + 1)),
        "their_jobs": {job.id: job for job in jobs.jobs(limit=500) if job.kind == KIND},
    }


def _remove(id: str) -> None:
    from workbench import tune

    tune.remove(tune.find(id))

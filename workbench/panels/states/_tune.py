"""What the Tuning panel knows: studies and their jobs, the view, the study that is to be begun.

All of it is read from the store in a thread: when a view is opened, and again when a study began,
changed or ended, here or elsewhere. Of an opened one the trials are read every time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Enum, Unicode
from traitlets import Tuple as TupleTrait

from workbench.panels.states._records import RecordsState
from workbench.panels.states._tune_new import NewStudyState
from workbench.panels.states._tune_study import StudyState

if TYPE_CHECKING:
    pass

VIEWS = ("new", "studies")
KIND = "tuning"  # of jobs that belong here
MOST = 200  # studies in the list


class TuneState(RecordsState):
    """`studies` are all there are, the newest first; `opened` is the one that is looked at."""

    actions = frozenset({"show", "open_study", "again", "forget", "play", "measured", "leave"})
    settable = frozenset({"deleting"})
    kind, listing = KIND, "studies"
    view = Enum(VIEWS, "new")
    model = Unicode("")  # the one that is tuned at first
    suite = Unicode("")  # the one whose questions are asked at first
    study = Unicode("")  # the id, or the name, of the study that is opened at first
    studies = TupleTrait(default_value=())
    measurer = AnyTrait(None, allow_none=True)  # called with a suite to show what was measured

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.new, self.opened = NewStudyState(source=self), StudyState(source=self)

    async def refresh(self, *, start: bool = True) -> None:
        """What is being tuned; the store where something changed; the engine's models."""
        if not await self.changed() and self.view == "studies" and self.opened.live:
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

    def has(self, name: str) -> bool:
        """Whether the engine has a model of this name."""
        whole = name if ":" in name else f"{name}:latest"
        return any(model.name in (name, whole) for model in self.engine.models)

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

    async def measured(self, value: str) -> None:
        """What was measured on this suite, in Benchmarks."""
        if self.measurer is not None:
            await self.measurer(value)

    @staticmethod
    def _changes() -> list[Any]:
        """What changes when a study is begun, told or removed anywhere."""
        from workbench import tune

        return [(one.id, one.job, one.state, one.ended_at) for one in tune.studies(limit=10)]

    @staticmethod
    def _read() -> dict[str, Any]:
        from workbench import jobs, tune

        return {
            "studies": tuple(tune.studies(limit=MOST + 1)),
            "their_jobs": {job.id: job for job in jobs.jobs(limit=500) if job.kind == KIND},
        }

    @staticmethod
    def _remove(id: str) -> None:
        from workbench import tune

        tune.remove(tune.find(id))

"""One study: its trials and their front, the point that is looked at, and what is made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Enum, Int, Unicode
from traitlets import Tuple as TupleTrait

from workbench.errors import JobError, WorkbenchError
from workbench.panels.states._data_form import number_of
from workbench.panels.states._doing import DoingState
from workbench.panels.states._tune_make import MakeState
from workbench.panels.states._tune_picture import (
    Plane,
    convergence,
    figure_of,
    figures,
    ordered,
    plane,
    settings,
)

ROWS = 50
AGAIN = 5  # trials after which it is told anew which settings matter
PARTS = ("front", "trials", "matters", "settings")


class StudyState(DoingState):
    """`study` is None while the list is shown. `trials` are by number; `front` and `best` are
    numbers; `chosen` is the one that is looked at, None for the best."""

    actions = frozenset({
        "turn_to", "choose", "look_by", "weigh", "sort", "stop", "pause", "resume", "extend",
        "show_more",
    })  # fmt: skip
    settable = frozenset({"more"})
    source = AnyTrait(None, allow_none=True)  # the panel's state
    id = Unicode("")
    study = AnyTrait(None, allow_none=True)
    job = AnyTrait(None, allow_none=True)
    part = Enum(PARTS, "front")
    trials = TupleTrait(default_value=())
    front = TupleTrait(default_value=())
    best = AnyTrait(None, allow_none=True)
    chosen = AnyTrait(None, allow_none=True)
    across = Unicode("")  # the figure along the plane; empty: the first there is
    goal = Int(0)  # the objective whose progress is shown
    order = Unicode("number")  # by which the trials are sorted
    falling = Bool(False)
    rows = Int(ROWS)  # of the table of trials
    report = AnyTrait(None, allow_none=True)
    more = Unicode("20")  # trials that an extension adds
    unread = Unicode("")  # why it cannot be shown

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.make = MakeState(study=self)
        self._weighed = 0

    @property
    def live(self) -> bool:
        """Whether its job works."""
        return self.job is not None and not self.job.ended

    @property
    def picked(self) -> Any:
        """The trial that is looked at: chosen, else the best, else the default; None for none."""
        wanted = (self.trial(self.chosen), self.trial(self.best), self.default)
        return next((one for one in wanted if one is not None), None)

    @property
    def default(self) -> Any:
        """The trial of the settings as they are without tuning; None before it was made."""
        return next((one for one in self.done if one.why == "default"), None)

    def trial(self, number: int | None) -> Any:
        """The trial of this number; None where there is none."""
        return next((one for one in self.trials if one.number == number), None)

    @property
    def done(self) -> list[Any]:
        """Trials that were measured to the end."""
        return [one for one in self.trials if one.measured is not None and one.state == "done"]

    @property
    def figures(self) -> list[str]:
        """What was measured."""
        return figures(self.trials)

    @property
    def axes(self) -> tuple[str, str] | None:
        """The figures of the plane, along and up; None where there are fewer than two."""
        there = self.figures
        up = "quality" if "quality" in there else (there or [""])[0]
        beside = [name for name in there if name != up]
        across = self.across if self.across in beside else (beside or [""])[0]
        return (across, up) if across and up else None

    @property
    def plane(self) -> Plane | None:
        """All that was measured, by two figures."""
        return plane(self.done, *self.axes) if self.axes else None

    @property
    def progress(self) -> Plane | None:
        """The best so far of one goal."""
        told = [one for one in self.trials if one.values and one.state in ("done", "repeated")]
        values = [(one.number, one.values[self.goal]) for one in told
                  if len(one.values) > self.goal]  # fmt: skip
        return convergence(values, self.rising(self.goal))

    def rising(self, place: int) -> bool:
        """Whether more is better of the goal at this place."""
        from workbench import tune

        return tune.objective(self.study.objectives[place]).direction == "maximize"

    def figure(self, trial: Any, name: str) -> float | None:
        """A figure of a trial."""
        return figure_of(trial.measured, name)

    @property
    def lines(self) -> Any:
        """Settings as lines, the goals last."""
        names = [one.name for one in self.study.space.parameters] + self.figures
        rows = {one.number: {**one.point, **self._reached(one)} for one in self.done}
        curved = [one.name for one in self.study.space.parameters if one.log]
        return settings(names, rows, curved)

    def _reached(self, trial: Any) -> dict[str, Any]:
        told = {name: figure_of(trial.measured, name) for name in self.figures}
        return {name: value for name, value in told.items() if value is not None}

    @property
    def sorted_trials(self) -> list[Any]:
        """By what was asked for; those that have no such figure come last."""
        return ordered(self.trials, self.order, self.falling)

    def changes(self, trial: Any) -> dict[str, Any]:
        """The trial's figures beside the default's, by name; of the default itself none."""
        from workbench import tune

        base = self.default
        if trial is None or base is None or trial.number == base.number:
            return {}
        return {one.metric: one for one in tune.changes(base.measured, trial.measured)}

    def why(self, trial: Any) -> str:
        """Why it was tried, where that was not the search's own idea; why it ended."""
        known = {"default": "", "earlier": "An earlier study found it good.", "again": ""}
        if trial.state == "repeated":
            return "" if trial.repeats is None else f"The same settings as trial {trial.repeats}."
        return known.get(trial.why, str(trial.why))

    @property
    def words(self) -> list[str]:
        """What the point gains and costs beside the default, a sentence for each figure."""
        from workbench import tune

        told = (tune.in_words(one) for one in self.changes(self.picked).values())
        return [f"{words[:1].upper()}{words[1:]}." for words in told if " 1.00 ×" not in words]

    def open(self, id: str) -> None:
        """Look at this study when the view is drawn next; at the list, where it is empty."""
        self.id, self.part, self.problem, self.unread = id, "front", "", ""
        self.study = self.job = self.report = self.best = self.chosen = None
        self.trials = self.front = ()
        self.make.begin()
        self.order, self.falling, self.across, self.goal = "number", False, "", 0
        self.rows = ROWS

    async def look(self) -> None:
        """The study and its trials anew."""
        id = self.id
        if not id:
            return
        try:
            found, self.unread = await asyncio.to_thread(_found, id), ""
        except WorkbenchError as error:
            self.unread = str(error)
            return
        if self.id != id:
            return
        for name, value in found.items():
            self.set_trait(name, value)
        if self.part == "matters":
            await self._weigh(id)

    async def _weigh(self, id: str) -> None:
        """The report: its words at once, then, which takes seconds, which settings matter. While
        trials are made, anew after some of them only."""
        done = len(self.done)
        news = done - self._weighed
        if self.report is not None and (not news or (self.live and news < AGAIN)):
            return
        self._weighed = done
        ways = ("ped-anova",) if self.report is not None else (None, "ped-anova")
        for method in ways:
            await self.ask(partial(_reported, id, method), partial(self._use, id))

    def _use(self, id: str, made: Any) -> None:
        if self.id == id:
            self.report = made

    async def turn_to(self, value: str) -> None:
        """Another part of the study."""
        self.part, self.source.deleting = value, ""
        self.make.begin(self.make.name)
        await self.look()

    def choose(self, number: str) -> None:
        """Look at this point."""
        if number.isdecimal():
            self.chosen = int(number)
            self.make.begin(self.make.name)

    def look_by(self, value: str) -> None:
        """Another figure along the plane."""
        self.across = value

    def weigh(self, value: str) -> None:
        """The progress of another goal."""
        if self.study is not None and value.isdecimal() and int(value) < len(self.study.objectives):
            self.goal = int(value)

    def sort(self, value: str) -> None:
        """Sort by this; a second time, the other way round."""
        self.falling = not self.falling if self.order == value else value in ("quality",)
        self.order = value

    def show_more(self) -> None:
        """More rows of the table of trials."""
        self.rows += ROWS

    async def pause(self) -> None:
        """End the job after the trial that is being made, to go on later."""
        from workbench import tune

        await self._tell(tune.pause)

    async def resume(self) -> None:
        """Go on."""
        from workbench import tune

        await self._tell(tune.resume)

    async def stop(self) -> None:
        """No more trials; what is best so far is confirmed."""
        from workbench import tune

        await self._tell(tune.stop)

    async def extend(self, value: str = "") -> None:
        """Go on with so many more trials."""
        from workbench import tune

        self.more = value or self.more
        count = number_of(self.more.strip())
        if not count or count != int(count):
            self.problem = "Write how many trials more: a whole number from 1 on."
            return
        await self._tell(lambda study: tune.start(tune.extend(study, iterations=int(count))))

    async def _tell(self, what: Callable[[Any], Any]) -> None:
        study = self.study
        await self.do(lambda: what(study))
        problem = self.problem
        await self.source.jobs.refresh()
        await self.look()
        self.problem = self.problem or problem


def _found(id: str) -> Mapping[str, Any]:
    from workbench import jobs, tune

    study = tune.find(id)
    try:
        job = jobs.get(study.job) if study.job else None
    except JobError:  # of another home, or deleted
        job = None
    best = tune.best(study)
    return {
        "study": study,
        "job": job,
        "trials": tuple(tune.trials(study)),
        "front": tuple(one.number for one in tune.front(study)),
        "best": best.number if best else None,
    }


def _reported(id: str, method: Any) -> Any:
    from workbench import tune

    return tune.report(id, method=method)

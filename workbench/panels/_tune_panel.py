"""Tuning: which settings make a model best for these questions, on this machine.

`Tuning(model="starter", suite="quick")` in a cell begins with those, `Tuning(study="starter-1")`
opens a study; `tuning.state.studies` has all of them. The same without a panel: `workbench.tune`.
"""

from __future__ import annotations

from workbench.panels._base import Panel
from workbench.panels.states import TuneState

_FORM = "new.texts new.picked new.problems new.busy new.problem new.known new.usual new.space"
_ALL = f"view known moved leader engine.models engine.engine {_FORM} new.notes new.size new.memory"
_OPEN = "view opened.id opened.part opened.study opened.job"
_POINTS = "opened.trials opened.front opened.best opened.chosen"
_MADE = " ".join(f"opened.make.{name}" for name in (
    "name", "replacing", "applied", "busy", "form", "written", "problem"))  # fmt: skip


class Tuning(Panel):
    """All studies: the next one, those under way, those that were."""

    name = "tune"
    title = "Tuning"
    make_state = TuneState
    keywords = ("view", "model", "suite", "study")
    every = 1.0  # seconds: a front is watched here while it grows
    columns = (
        (
            ("tune_top", "view studies problem jobs.jobs"),
            ("tune_new", _ALL),
            ("tune_plan", _ALL),
            ("tune_list", "view known studies their_jobs jobs.jobs moved focus opened.id"),
            ("tune_study", f"{_OPEN} deleting moved opened.problem opened.unread opened.trials"),
            ("tune_front", f"{_OPEN} {_POINTS} {_MADE} opened.across opened.goal opened.order "
                           "opened.falling opened.rows opener measurer engine.models"),
            ("tune_matters", f"{_OPEN} {_POINTS} opened.report opened.goal opened.problem"),
            ("tune_settings", f"{_OPEN} {_MADE} opened.more jobs.opened jobs.log"),
        ),
    )  # fmt: skip

"""Training: make a model learn, watch it, see what was gained, put it to work.

`Training(dataset="docs")` in a cell begins with that dataset, `Training(training="docs-tuned")`
opens a training; `training.state.trainings` has all of them. The same without a panel:
`workbench.train` and `workbench.lineage`.
"""

from __future__ import annotations

from workbench.panels._base import Panel
from workbench.panels.states import TrainState

_FORM = ("texts", "picked", "problems", "busy", "started", "problem")
_NEW = " ".join(f"new.{name}" for name in (*_FORM, "known", "bases", "defaults"))
_AGAIN = " ".join(f"opened.export.{name}" for name in _FORM)
_ALL = "view known datasets trainings leader"
_OPEN = "view opened.id opened.part opened.training opened.job"
_PRICE = "new.price.found new.price.busy new.price.problem"
_LOG = "jobs.opened jobs.log"


class Training(Panel):
    """All trainings: the next one, those under way, those that were."""

    name = "train"
    title = "Training"
    make_state = TrainState
    keywords = ("view", "dataset", "training")
    every = 1.0  # seconds: the curve of a training is watched here
    columns = (
        (
            ("train_top", "view trainings problem jobs.jobs"),
            ("train_start", _ALL),
            ("train_new", f"{_ALL} moved {_NEW} new.presets new.feedback engine.models"),
            ("train_price", f"{_ALL} {_NEW} {_PRICE} engine.models"),
            ("train_list", f"{_ALL} their_jobs jobs.jobs moved focus opened.id engine.models"),
            ("train_run", f"{_OPEN} deleting moved opener opened.problem opened.unread "
                          "opened.stopping opened.whole engine.models engine.engine"),
            ("train_progress", f"{_OPEN} opened.curves {_LOG}"),
            ("train_gain", _OPEN),
            ("train_export", f"{_OPEN} {_AGAIN} opened.whole jobs.jobs {_LOG} engine.models"),
            ("train_lineage", f"{_OPEN} opened.plan"),
            ("train_settings", _OPEN),
        ),
    )  # fmt: skip

"""Data: what should it learn from? Gather documents, clean them, look, check, split.

`Data(view="datasets")` in a cell, or `Data(dataset="docs")` to open one; `data.state.datasets`
has all of them and `data.state.opened` what is known of the opened one. The same without a
panel: `workbench.gather` and `workbench.data`.
"""

from __future__ import annotations

from workbench.panels._base import Panel
from workbench.panels.states import DataState

_OPEN = "view opened.dataset opened.part opened.problem"
_MODEL = "opened.model engine.models"


def _form(path: str) -> str:
    names = ("texts", "picked", "problems", "busy", "started", "problem")
    return " ".join(f"{path}.{name}" for name in names)


class Data(Panel):
    """All that a model can learn from here, from the first document to a dataset that is split."""

    name = "data"
    title = "Data"
    make_state = DataState
    keywords = ("view", "dataset")
    every = 1.0  # seconds: the progress of a job is watched here
    columns = (
        (
            ("data_top", "view collections datasets notice problem"),
            ("data_start", "view known collections notice gather.offers"),
            ("data_gather", f"view {_form('gather')}"),
            ("data_clean", f"view moved collections datasets {_form('clean')} clean.suites"),
            ("data_import", f"view {_form('imports')} imports.shape imports.preview "
                            "imports.columns"),
            ("data_jobs", "view jobs.jobs jobs.opened jobs.log"),
            ("data_collections", "view known collections deleting gather.inside gather.rows"),
            ("data_list", "view known collections datasets moved focus opened.label "
                          "opened.verdicts"),
            ("data_dataset", f"{_OPEN} deleting moved opened.label opened.versions opened.remade "
                             "opened.verdicts"),
            ("data_overview", f"{_OPEN} opened.parent opened.statistics opened.wrong {_MODEL}"),
            ("data_report", _OPEN),
            ("data_examples", f"{_OPEN} opened.example opened.at opened.split_name {_MODEL}"),
            ("data_checks", f"{_OPEN} opened.validation {_MODEL}"),
            ("data_make", f"{_OPEN} opened.about {_form('opened.split')} {_form('opened.code')}"),
            ("data_versions", f"{_OPEN} opened.versions opened.parent opened.against "
                              "opened.difference datasets"),
        ),
    )  # fmt: skip

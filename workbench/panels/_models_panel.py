"""Models: which model suits my task and my machine? Find, price, compare and install one.

`Models(text="a code model that fits in 8 GB")` in a cell. `Models(cards=[...])` is about these
cards instead of those that the workbench knows; `models.state.results` has what was found.
"""

from __future__ import annotations

import ipywidgets
from traitlets import dlink

from workbench.panels._base import Panel
from workbench.panels._chart import Chart
from workbench.panels.states import CatalogueState

_WHERE = "view opened catalogue"
_TRAY = "compare.names"


class Models(Panel):
    """All models there are, as far as anybody told us."""

    name = "models"
    title = "Models"
    make_state = CatalogueState
    keywords = ("text", "machine", "cards")
    every = 1.0  # seconds: the progress of an installation is watched here
    columns = (
        (
            ("catalogue_top", f"{_WHERE} profile machines wanted other notices problem"),
            ("catalogue_search", f"{_WHERE} filters results problem"),
            ("catalogue_list", f"{_WHERE} results rows focus asking {_TRAY}"),
            ("catalogue_card", f"{_WHERE} {_TRAY} jobs.jobs opener fit.answer"),
            ("catalogue_fit", "opened profile jobs.jobs fit.answer fit.load fit.problem"),
            ("catalogue_facts", f"{_WHERE} jobs.jobs fit.answer"),
            ("catalogue_recommend", f"{_WHERE} advice.found advice.problem {_TRAY}"),
            ("catalogue_compare", f"{_WHERE} compare.comparison compare.plot compare.saved"),
            ("catalogue_tray", f"{_WHERE} {_TRAY}"),
        ),
    )

    def _draw_columns(self) -> ipywidgets.Box:
        box = super()._draw_columns()
        chart = Chart()  # the page hides it beside everything but a comparison
        dlink((self.state.compare, "figure"), (chart, "figure"))
        *parts, tray = box.children[0].children
        box.children[0].children = (*parts, chart, tray)
        return box

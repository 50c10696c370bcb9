"""What users see: panels that are a notebook cell and a dashboard page at once.

State and rules are in `states/` (traitlets, no widget); views here draw them from the HTML
templates in `pages/` and know no rules. Names are resolved on first use, so that the command
line can ask for `voila_command` and tests for a state without importing ipywidgets.
"""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
    from workbench.panels._base import Panel
    from workbench.panels._bench_panel import Benchmarks
    from workbench.panels._data_panel import Data
    from workbench.panels._home import Home
    from workbench.panels._models_panel import Models
    from workbench.panels._playground import Playground
    from workbench.panels._shell import Shell
    from workbench.panels._train_panel import Training
    from workbench.panels._tune_panel import Tuning
    from workbench.panels._versions_panel import Versions
    from workbench.panels._voila import voila_command

__all__ = [
    "Benchmarks",
    "Data",
    "Home",
    "Models",
    "Panel",
    "Playground",
    "Shell",
    "Training",
    "Tuning",
    "Versions",
    "voila_command",
]

_HOMES = {
    "Benchmarks": "_bench_panel",
    "Data": "_data_panel",
    "Home": "_home",
    "Models": "_models_panel",
    "Panel": "_base",
    "Playground": "_playground",
    "Shell": "_shell",
    "Training": "_train_panel",
    "Tuning": "_tune_panel",
    "Versions": "_versions_panel",
    "voila_command": "_voila",
}


def __getattr__(name: str) -> typing.Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

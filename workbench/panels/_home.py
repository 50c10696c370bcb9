"""Home: which engine, which models, what this machine has, what is being done, what is wrong."""

from __future__ import annotations

from workbench.panels._base import Panel
from workbench.panels.states import HomeState

_ENGINE = "engine.engine engine.loaded engine.starting"


class Home(Panel):
    """The first panel. In the shell, a model can be opened in the Playground from here."""

    name = "home"
    title = "Home"
    make_state = HomeState
    columns = (
        (
            ("models", f"{_ENGINE} engine.models engine.deleting jobs.jobs opener"),
            ("jobs", "jobs.jobs jobs.curves jobs.opened jobs.log"),
            ("checks", "checks checking fixing fixed"),
        ),
        (("engine", _ENGINE), ("machine", "machine disk_free")),
    )

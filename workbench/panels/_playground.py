"""The Playground: ask a model, watch it write, stop it, change its options, take the code along.

`Playground(model="starter")` in a cell; `playground.state` has the turns and figures afterwards.
"""

from __future__ import annotations

from workbench.panels._base import Panel
from workbench.panels.states import PlaygroundState

_TURNS = "mode single chat live"
_ENGINE = "engine.models engine.engine engine.starting"
_OPTIONS = "options.texts options.problems options.own"


class Playground(Panel):
    """One model at a time, as a prompt or as a chat."""

    name = "playground"
    title = "Playground"
    make_state = PlaygroundState
    keywords = ("model", "mode", "system")
    columns = (
        (
            ("playground_top", f"model mode live {_ENGINE}"),
            ("playground_turns", f"{_TURNS} problem editing jobs.jobs {_ENGINE}"),
            ("playground_composer", f"{_TURNS} composer model system"),
            ("playground_stats", f"{_TURNS} model engine.loaded"),
            ("playground_code", f"{_TURNS} model system {_OPTIONS}"),
        ),
        (("playground_options", f"{_OPTIONS} model engine.models"),),
    )

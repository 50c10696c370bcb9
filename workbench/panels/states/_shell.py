"""The shell's rules: which tabs there are, and which is shown."""

from __future__ import annotations

from traitlets import Instance, Unicode
from traitlets import Tuple as TupleTrait

from workbench.panels.states._engine import EngineState
from workbench.panels.states._state import State


class ShellState(State):
    """`tabs` are pairs of name and title."""

    settable = frozenset({"shown"})
    tabs = TupleTrait(default_value=())
    shown = Unicode("")
    engine = Instance(EngineState, ())

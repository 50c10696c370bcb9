"""What the panels know and decide: traitlets state and rules, without a widget or a browser."""

from __future__ import annotations

from workbench.panels.states._answer import Turn
from workbench.panels.states._bench import BenchState
from workbench.panels.states._catalogue import CatalogueState
from workbench.panels.states._data import DataState
from workbench.panels.states._engine import EngineState
from workbench.panels.states._home import HomeState
from workbench.panels.states._jobs import JobsState
from workbench.panels.states._options import OptionsState
from workbench.panels.states._playground import PlaygroundState
from workbench.panels.states._shell import ShellState
from workbench.panels.states._state import Problem, State, reject_unknown
from workbench.panels.states._train import TrainState
from workbench.panels.states._tune import TuneState
from workbench.panels.states._versions import VersionsState

__all__ = [
    "BenchState",
    "CatalogueState",
    "DataState",
    "EngineState",
    "HomeState",
    "JobsState",
    "OptionsState",
    "PlaygroundState",
    "Problem",
    "ShellState",
    "State",
    "TrainState",
    "TuneState",
    "Turn",
    "VersionsState",
    "reject_unknown",
]

"""The shell: one page with a tab per panel that exists, and the engine's health in sight.

A panel is built when its tab is opened for the first time and stops polling while another one
is shown. All panels share one engine state, which whichever is shown keeps fresh.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import ipywidgets

from workbench.panels import states
from workbench.panels._base import Panel, style_sheet
from workbench.panels._bench_panel import Benchmarks
from workbench.panels._data_panel import Data
from workbench.panels._fragment import Part
from workbench.panels._home import Home
from workbench.panels._models_panel import Models
from workbench.panels._playground import Playground
from workbench.panels._train_panel import Training
from workbench.panels._tune_panel import Tuning
from workbench.panels._versions_panel import Versions


class Shell(ipywidgets.VBox):  # type: ignore[misc]
    """All panels on one page: `Shell()`, or `Shell(show="playground")`."""

    panels: Mapping[str, Panel] = MappingProxyType({})

    def __init__(self, *, show: str = "home", **unknown: Any) -> None:
        states.reject_unknown("Shell", unknown, ("show",))
        kinds = (Home, Models, Benchmarks, Data, Training, Tuning, Versions, Playground)
        tabs = tuple((panel.name, panel.title) for panel in kinds)
        if show not in dict(tabs):
            raise ValueError(f"There is no panel {show!r}. Show one of: {', '.join(dict(tabs))}.")
        super().__init__()
        engine, jobs = states.EngineState(), states.JobsState()
        home = states.HomeState(engine=engine, jobs=jobs, opener=self.play)
        self.home = Home(home, shown=False)
        catalogue = states.CatalogueState(engine=engine, jobs=jobs, opener=self.play)
        self.models = Models(catalogue, shown=False)
        self.bench = Benchmarks(states.BenchState(engine=engine, jobs=jobs), shown=False)
        data = states.DataState(engine=engine, jobs=jobs, trainer=self.train_on)
        self.data = Data(data, shown=False)
        train = states.TrainState(engine=engine, jobs=jobs, opener=self.play, leader=self.lead)
        self.train = Training(train, shown=False)
        tune = states.TuneState(engine=engine, jobs=jobs, opener=self.play, leader=self.lead,
                                measurer=self.look_at)  # fmt: skip
        self.tune = Tuning(tune, shown=False)
        versions = states.VersionsState(engine=engine, jobs=jobs, opener=self.play,
                                        leader=self.lead, measurer=self.look_at)  # fmt: skip
        self.versions = Versions(versions, shown=False)
        self.playground = Playground(states.PlaygroundState(engine=engine, jobs=jobs), shown=False)
        panels = (self.home, self.models, self.bench, self.data, self.train, self.tune,
                  self.versions, self.playground)  # fmt: skip
        self.panels = {panel.name: panel for panel in panels}
        self.state = states.ShellState(engine=engine, tabs=tabs, shown=show)
        watch = "shown engine.engine engine.loaded engine.starting"
        self._header = Part("shell", self.state, watch)
        self.state.observe(lambda change: self._switch(change["new"]), "shown")
        self.add_class("wb")
        self.children = (style_sheet(), self._header, *self.panels.values())
        self._switch(show)

    def play(self, model: str) -> None:
        """Open the Playground with this model."""
        self.playground.state.wish(model)
        self.state.shown = "playground"

    def lead(self, name: str) -> None:
        """Show this panel."""
        if name in self.panels:
            self.state.shown = name

    async def look_at(self, suite: str) -> None:
        """Open Benchmarks on what was measured of this suite."""
        self.lead("bench")
        self.bench.state.view = "board"
        await self.bench.state.choose("suite", suite)

    async def train_on(self, dataset: str) -> None:
        """Open Training with this dataset."""
        self.lead("train")
        await self.train.state.begin(dataset)

    def close(self) -> None:
        """Stop all panels."""
        for panel in self.panels.values():
            panel.close()
        if self.panels:
            self._header.stop()
        super().close()

    def _switch(self, name: str) -> None:
        for other, panel in self.panels.items():
            if other == name:
                panel.appear()
            else:
                panel.hide()

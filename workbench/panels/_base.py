"""What every panel is: a box that draws itself on first opening and polls while it is looked at.

A subclass names its parts (template and what it watches), column by column. `state.refresh()`
is called once on opening (a pre-heated page has its figures before anybody comes, but starts
nothing), then by a task on the kernel's loop as long as a browser shows the panel. A refresh
that fails shows its error as the panel's notice; the next one that works removes it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar

import ipywidgets

from workbench.panels._fragment import Fragment, Part, current_loop
from workbench.panels._html import FOLDER, render
from workbench.panels.states import Problem, State, reject_unknown

_log = logging.getLogger(__name__)


def style_sheet() -> ipywidgets.HTML:
    """The theme, for pages whose template does not bring it (JupyterLab)."""
    css = (FOLDER / "web" / "theme.css").read_text(encoding="utf-8")
    sheet = ipywidgets.HTML(f"<style>{css}</style>")
    sheet.layout.display = "none"
    return sheet


class Panel(ipywidgets.VBox):  # type: ignore[misc]
    """Base of the panels. `state` holds everything; the panel only shows it."""

    name: ClassVar[str] = "panel"
    title: ClassVar[str] = "Panel"
    columns: ClassVar[tuple[tuple[tuple[str, str], ...], ...]] = ()  # of (template, watch)
    make_state: ClassVar[type[State]] = State
    keywords: ClassVar[tuple[str, ...]] = ()  # of the state, settable here
    every: ClassVar[float] = 2.0  # seconds between two refreshes
    parts: tuple[Part, ...] = ()
    state: Any = None
    _poll: asyncio.Task[None] | None = None

    def __init__(self, state: State | None = None, *, shown: bool = True, **values: Any) -> None:
        unknown = set(values) - set(self.keywords)
        reject_unknown(type(self).__name__, unknown, ("state", "shown", *self.keywords))
        super().__init__()
        self.state = self.make_state(**values) if state is None else state
        self._loop = current_loop()
        self._sheet = (style_sheet(),) if shown else ()  # a shell brings it itself
        self._notice = Fragment(reports=True)
        self._notice.observe(self._seen, "seen")
        self.add_class("wb")
        self.add_class(f"wb-panel-{self.name}")
        if shown:
            self.appear()

    def appear(self) -> None:
        """Draw on first opening; show; poll."""
        self.layout.display = ""
        if not self.parts:
            inner = ipywidgets.VBox([self._notice, self._draw_columns()])
            inner.add_class("wb-panel")
            self.children = (*self._sheet, inner)
        self._start()

    def hide(self) -> None:
        """Stop polling and take no room; what is running goes on."""
        self.layout.display = "none"
        self._stop()

    def close(self) -> None:
        """Stop everything and leave the page."""
        self._stop()
        for part in self.parts:
            part.stop()
        if self.state is not None:  # ipywidgets also closes what could not be made
            self.state.close()
        super().close()

    def _draw_columns(self) -> ipywidgets.Box:
        columns = []
        for column in self.columns:
            parts = [Part(template, self.state, watch) for template, watch in column]
            self.parts += tuple(parts)
            columns.append(ipywidgets.VBox(parts))
        box = ipywidgets.Box(columns)
        box.add_class("wb-columns")
        box.add_class(f"wb-{self.name}")
        return box

    def _show(self, problem: Problem | None) -> None:
        self._notice.html = render("error", problem=problem, retry="") if problem else ""

    def _seen(self, change: Any) -> None:
        if self._loop is not None and change["new"]:
            self._loop.call_soon_threadsafe(self._start)

    def _start(self) -> None:
        hidden = self.layout.display == "none"
        if self._loop is not None and not hidden and (self._poll is None or self._poll.done()):
            self._poll = self._loop.create_task(self._refresh_forever())

    def _stop(self) -> None:
        if self._poll is not None:
            self._poll.cancel()
            self._poll = None

    async def _refresh_forever(self) -> None:
        while True:
            seen = self._notice.seen
            try:
                await self.state.refresh(start=seen)
            except Exception as error:
                _log.debug("refreshing %s failed", self.name, exc_info=True)
                self._show(Problem.of(error))
            else:
                self._show(None)
            if not self._notice.seen:
                return
            await asyncio.sleep(self.every if seen else 0)

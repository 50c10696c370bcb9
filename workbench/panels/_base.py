"""What every panel is: a box that draws itself on first opening and polls while it is looked at.

A subclass names its parts (template and what it watches), column by column. Polling is an
asyncio task on the kernel's loop that calls `state.refresh()`; it pauses while the panel or the
browser's tab is hidden and ends when the panel is closed. A poll that fails shows its error as
the panel's notice and goes on: the next one that works removes it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar

import ipywidgets

from workbench.panels._fragment import Fragment, Part, current_loop
from workbench.panels._html import render, theme_css
from workbench.panels.states import Problem, State, reject_unknown

_log = logging.getLogger(__name__)

Column = tuple[tuple[str, str], ...]  # (template, traits to watch) from top to bottom


def style_sheet() -> ipywidgets.HTML:
    """The theme, for pages whose template does not bring it (JupyterLab)."""
    sheet = ipywidgets.HTML(f"<style>{theme_css()}</style>")
    sheet.layout.display = "none"
    return sheet


class Panel(ipywidgets.VBox):  # type: ignore[misc]
    """Base of the panels. `state` holds everything; the panel only shows it."""

    name: ClassVar[str] = "panel"
    title: ClassVar[str] = "Panel"
    columns: ClassVar[tuple[Column, ...]] = ()
    make_state: ClassVar[type[State]] = State
    keywords: ClassVar[tuple[str, ...]] = ()  # of the state, settable here
    every: ClassVar[float] = 2.0  # seconds between two refreshes

    def __init__(self, state: State | None = None, *, shown: bool = True, **values: Any) -> None:
        unknown = set(values) - set(self.keywords)
        reject_unknown(type(self).__name__, unknown, ("state", "shown", *self.keywords))
        super().__init__()
        self.state = self.make_state(**values) if state is None else state
        self.parts: list[Part] = []
        self._poll: asyncio.Task[None] | None = None
        self._loop = current_loop()
        self._notice = Fragment()
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
            self.children = (style_sheet(), inner)
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
        self.state.close()
        super().close()

    def _draw_columns(self) -> ipywidgets.Box:
        columns = []
        for column in self.columns:
            parts = [Part(template, self.state, watch) for template, watch in column]
            self.parts.extend(parts)
            columns.append(ipywidgets.VBox(parts))
        box = ipywidgets.Box(columns)
        box.add_class("wb-columns")
        box.add_class(f"wb-{self.name}")
        return box

    def _show(self, problem: Problem | None) -> None:
        self._notice.html = render("error", problem=problem, retry="") if problem else ""

    def _seen(self, change: Any) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._start if change["new"] else self._stop)

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
            try:
                await self.state.refresh()
            except Exception as error:
                _log.debug("refreshing %s failed", self.name, exc_info=True)
                self._show(Problem.of(error))
            else:
                self._show(None)
            await asyncio.sleep(self.every)

"""The two bricks of every view: a piece of HTML that talks back, and its guarded place.

`Fragment` is the only widget with JavaScript of ours. `Part` draws a template whenever a trait
that it watches changes, and hands actions to the state: `data-action="engine.delete"` calls
`state.engine.delete(name=…)` if that state lists `delete` among its `actions`. What goes wrong
becomes an error card where the part stood. JupyterLab may deliver a widget's message on another
thread (a subshell): it is handed to the kernel's main loop before it touches a trait.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anywidget
import ipywidgets
import traitlets

from workbench.panels._html import FOLDER, render
from workbench.panels.states import Problem, State

_log = logging.getLogger(__name__)


class Fragment(anywidget.AnyWidget):  # type: ignore[misc]
    """Safe HTML in the page. `seen` says whether a browser shows it now."""

    _esm = FOLDER / "web" / "fragment.js"
    html = traitlets.Unicode("").tag(sync=True)
    seen = traitlets.Bool(False).tag(sync=True)
    reports = traitlets.Bool(False).tag(sync=True)  # whether `seen` is kept up to date


def current_loop() -> asyncio.AbstractEventLoop | None:
    """The running loop, None in a plain script: then nothing is drawn later by itself."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def find_state(root: State, path: str) -> tuple[State, str]:
    """`engine.models` is the trait (or method) `models` of the state `root.engine`."""
    *states, name = path.split(".")
    for state in states:
        root = getattr(root, state)
        if not isinstance(root, State):
            raise AttributeError(f"{path!r} does not lead through states.")
    return root, name


class Part(ipywidgets.Box):  # type: ignore[misc]
    """One template in its place. `watch` names the traits to watch: "mode engine.models"."""

    def __init__(self, template: str, state: State, watch: str) -> None:
        self._template = template
        self._state = state
        self._watch = [find_state(state, path) for path in watch.split()]
        self._loop = current_loop()
        self._waiting = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.fragment = Fragment()
        self.fragment.on_msg(self._message)
        super().__init__([self.fragment])
        for watched, name in self._watch:
            watched.observe(self._changed, name)
        self.draw()

    def draw(self) -> None:
        """Draw now; a failure becomes an error card."""
        self._waiting = False
        try:
            self.fragment.html = render(self._template, state=self._state)
            self.children = (self.fragment,)
        except Exception as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Show the error in this place, with its details and a way back."""
        _log.error("%s failed", self._template, exc_info=error)
        card = Fragment(html=render("error", problem=Problem.of(error), retry="again"))
        card.on_msg(lambda _widget, _content, _buffers: self.hop(self.draw))
        self.children = (card,)

    def stop(self) -> None:
        """No more drawing, no more tasks."""
        while self._watch:  # ipywidgets may close a widget twice
            watched, name = self._watch.pop()
            watched.unobserve(self._changed, name)
        for task in self._tasks:
            task.cancel()

    def hop(self, function: Callable[[], None], *, later: bool = False) -> None:
        """Call on the loop that owns the traits, wherever we are."""
        if self._loop is None or (not later and current_loop() is self._loop):
            function()
        else:
            self._loop.call_soon_threadsafe(function)

    def _changed(self, _change: object) -> None:
        if self._loop is None:
            self.draw()
        elif not self._waiting:  # several traits that change together are drawn once
            self._waiting = True
            self.hop(self.draw, later=True)

    def _message(self, _widget: object, content: object, _buffers: object) -> None:
        if isinstance(content, dict):
            self.hop(lambda: self._act(content))

    def _act(self, content: Mapping[str, Any]) -> None:
        try:
            state, name = find_state(self._state, str(content.get("action")))
            if name != "put" and name not in state.actions:
                raise AttributeError(f"{type(state).__name__} has no action {name!r}.")
            given = {**(content.get("values") or {}), **(content.get("data") or {})}
            method = getattr(state, name)
            known = inspect.signature(method).parameters
            work = method(**{key: value for key, value in given.items() if key in known})
            if inspect.iscoroutine(work):
                task = asyncio.ensure_future(self._guarded(work))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except Exception as error:
            self.fail(error)

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            self.fail(error)

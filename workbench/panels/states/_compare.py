"""Models side by side: the tray that follows one through the panel, and what is made of it."""

from __future__ import annotations

import asyncio
from typing import Any

from traitlets import Any as AnyTrait
from traitlets import Tuple as TupleTrait
from traitlets import Unicode

from workbench.panels.states._asking import AskingState

FORMATS = {"csv": "csv", "html": "html", "md": "markdown"}  # ending → method of a comparison


class CompareState(AskingState):
    """`names` are the tray; `comparison` is of them, `figure` plotly's JSON of `plot`."""

    actions = frozenset({"toggle", "clear", "draw", "save"})
    source = AnyTrait(None, allow_none=True)  # the catalogue's state
    names = TupleTrait(default_value=())
    comparison = AnyTrait(None, allow_none=True)
    plot = Unicode("")  # one of plotly's pictures; empty shows none and loads nothing
    figure = Unicode("")
    saved = Unicode("")  # the file that was written last

    async def toggle(self, name: str) -> None:
        """Put the model into the tray, or take it out."""
        kept = tuple(one for one in self.names if one != name)
        self.names = kept if len(kept) < len(self.names) else (*self.names, name)
        await self.source.look()

    async def clear(self) -> None:
        """Empty the tray."""
        self.names, self.plot = (), ""
        await self.look()

    async def draw(self, value: str) -> None:
        """Show this plot; plotly is loaded when the first is asked for."""
        self.plot = value
        await self.look()

    async def look(self) -> None:
        """Compare what is in the tray, and draw the plot that is shown."""
        from workbench import advice as room

        about, plot = (self.source.catalogue, self.names, self.source.profile), self.plot

        def work() -> Any:
            found = room.compare(*about) if about[1] else None
            return found, room.plot(found, plot).to_json() if found and plot else ""

        await self.ask(work, self._use)

    def _use(self, found: Any) -> None:
        before, (self.comparison, self.figure) = self.comparison, found
        if _shown(before) != _shown(self.comparison):  # a plot alone leaves the file true
            self.saved = ""

    def text(self, ending: str) -> str:
        """The comparison as CSV, HTML or Markdown."""
        return str(getattr(self.comparison, FORMATS[ending])())

    async def save(self, value: str) -> None:
        """Write the comparison into the home's folder `exports`, in this format."""
        from workbench import settings

        path = settings.home() / "exports" / f"comparison.{value}"
        path.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(path.write_text, self.text(value), encoding="utf-8")
        self.saved = str(path)


def _shown(comparison: Any) -> object:
    """What the table and the files say."""
    return comparison and (comparison.names, comparison.table)

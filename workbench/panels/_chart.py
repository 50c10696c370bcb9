"""A plotly figure in a panel: plotly's own script comes to the page when the first is shown.

Plotly's FigureWidget carries its 5 MB of script for every figure; this asks for it once a page,
gzipped, and shows the same figures. Nothing is asked of another server.
"""

from __future__ import annotations

import asyncio
import gzip
from functools import cache

import anywidget
import traitlets

from workbench.panels._fragment import current_loop
from workbench.panels._html import FOLDER


@cache
def plotly_script() -> bytes:
    """plotly.js as the plotly package brings it, gzipped."""
    from plotly.offline import get_plotlyjs

    return gzip.compress(get_plotlyjs().encode(), 6)


class Chart(anywidget.AnyWidget):  # type: ignore[misc]
    """`figure` is plotly's JSON of a figure; empty shows nothing."""

    _esm = FOLDER / "web" / "chart.js"
    figure = traitlets.Unicode("").tag(sync=True)

    def __init__(self) -> None:
        super().__init__()
        self._loop = current_loop()
        self.on_msg(self._asked)

    def _asked(self, _widget: object, content: object, _buffers: object) -> None:
        if content == "plotly" and self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._deliver(), self._loop)

    async def _deliver(self) -> None:
        self.send("plotly", [await asyncio.to_thread(plotly_script)])

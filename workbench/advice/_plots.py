"""Pictures of a comparison and of memory, as plotly figures.

They stand on transparent ground with a grey that reads on white and on black, in the colours of
Okabe and Ito, which the colour-blind tell apart; marks and dashes differ as well. What is not
known is left out, and the picture says of which models. Plotly is loaded when one is drawn.

Texts of models are escaped, since plotly reads some HTML in what it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import cycle
from typing import TYPE_CHECKING, Any

from workbench.catalogue import gigabytes
from workbench.errors import InvalidRequest
from workbench.fit import Fit

if TYPE_CHECKING:
    from workbench.advice._compare import Comparison
    from workbench.advice._table import Cell, Row

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#767676")
_MARKS = ("circle", "square", "diamond", "triangle-up", "x", "star", "cross", "pentagon")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_INK, _GRID = "#767676", "rgba(128,128,128,0.3)"


def plot(comparison: Comparison, name: str) -> Any:
    """The picture of this name: radar, parallel, scatter, quality or memory_bars."""
    if name == "quality":
        return scatter(comparison, y="performance")
    if name == "memory_bars":
        return memory_bars(dict(zip(comparison.names, comparison.fits, strict=True)))
    makers = {"radar": radar, "parallel": parallel, "scatter": scatter}
    if name not in makers:
        known = ", ".join([*makers, "quality", "memory_bars"])
        raise InvalidRequest(f"There is no picture {name!r:.60}. Use one of {known}.")
    return makers[name](comparison)


def radar(comparison: Comparison) -> Any:
    """Published and own results that all of the models have, in percent."""
    shared = [
        row
        for row in comparison.table
        if row.kind in ("result", "own")
        and row.key != "performance"
        and all(cell.value is not None for cell in row.cells)
    ]
    if len(shared) < 3:
        note = f"All of them share {len(shared)} results of one metric and setting; it takes 3."
        return _figure("Results that all of them have", note, empty=True)
    figure = _figure("Results that all of them have (percent)")
    axes = [_wrapped(row.label) for row in shared]
    for place, name in enumerate(comparison.names):
        cells = [row.cells[place] for row in shared]
        figure.add_scatterpolar(
            r=[cell.value for cell in (*cells, cells[0])],
            theta=[*axes, axes[0]],
            customdata=[_said(cell) for cell in (*cells, cells[0])],
            hovertemplate="%{theta}<br>%{customdata}",
            name=escape(name),
            **_look(place),
        )
    figure.update_polars(
        bgcolor="rgba(0,0,0,0)",
        radialaxis={"range": [0, 100], "gridcolor": _GRID, "ticksuffix": " %"},
        angularaxis={"gridcolor": _GRID},
    )
    return figure


def parallel(comparison: Comparison) -> Any:
    """One axis per number, each from its worst (0) to its best (1) among these models."""
    rows = [row for row in comparison.table if row.better and len(_numbers(row.cells)) > 1]
    if not rows:
        return _figure("Side by side", "No number is known of two of them.", empty=True)
    holes = sorted(
        {comparison.names[place] for row in rows for place, cell in enumerate(row.cells)
         if cell.value is None}
    )  # fmt: skip
    figure = _figure("Side by side, up is better", _missing(holes))
    for place, name in enumerate(comparison.names):
        figure.add_scatter(
            x=[_wrapped(row.label) for row in rows],
            y=[_share(row, place) for row in rows],
            customdata=[_said(row.cells[place], row.unit) for row in rows],
            hovertemplate="%{x}<br>%{customdata}",
            mode="lines+markers",
            name=escape(name),
            **_look(place),
        )
    figure.update_yaxes(tickvals=[0, 1], ticktext=["worst", "best"], range=[-0.05, 1.05])
    return figure


def scatter(comparison: Comparison, y: str = "generation_speed") -> Any:
    """Memory across; speed or the score upwards; intervals as bars."""
    rows = {row.key: row for row in comparison.table}
    if y not in rows:
        raise InvalidRequest(f"There is no row {y!r:.60} to draw.")
    across, up = rows["memory_usage"], rows[y]
    known = [
        place
        for place in range(len(comparison.names))
        if across.cells[place].value is not None and up.cells[place].value is not None
    ]
    holes = [name for place, name in enumerate(comparison.names) if place not in known]
    figure = _figure(f"Memory and {up.label}", _missing(holes), empty=not known)
    for place in known:
        x, at = across.cells[place], up.cells[place]
        figure.add_scatter(
            x=[_number(x) / 1e9],
            y=[at.value],
            error_x=_bars(x, 1e9),
            error_y=_bars(at),
            customdata=[[_said(x), _said(at, up.unit)]],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}",
            mode="markers",
            name=escape(comparison.names[place]),
            **_look(place),
        )
    figure.update_xaxes(title="memory (GB)", rangemode="tozero")
    unit = f" ({up.unit})" if up.unit else ""
    figure.update_yaxes(title=f"{up.label}{unit}", rangemode="tozero")
    return figure


def memory_bars(fits: Mapping[str, Fit], capacity: int | None = None) -> Any:
    """What takes the memory, part by part; a line at `capacity` bytes."""
    known = {name: fit for name, fit in fits.items() if fit.memory is not None}
    holes = [name for name in fits if name not in known]
    figure = _figure("What takes the memory", _missing(holes), empty=not known)
    kinds = dict.fromkeys(
        (part.name, part.where) for fit in known.values() if fit.memory for part in fit.memory.parts
    )
    colours = dict(zip(dict.fromkeys(kind for kind, _ in kinds), cycle(COLOURS), strict=False))
    for kind, where in kinds:
        sizes = [
            sum(p.bytes for p in fit.memory.parts if (p.name, p.where) == (kind, where))
            for fit in known.values()
            if fit.memory
        ]
        figure.add_bar(
            x=[size / 1e9 for size in sizes],
            y=[escape(name) for name in known],
            orientation="h",
            name=f"{kind}, graphics card" if where == "gpu" else kind,
            customdata=[gigabytes(size) for size in sizes],
            hovertemplate="%{y}: %{customdata}",
            marker={"color": colours[kind], "pattern": {"shape": "/" if where == "gpu" else ""}},
        )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title="GB")
    if capacity:
        figure.add_vline(x=capacity / 1e9, line_dash="dash", line_color=_INK)
    return figure


def _figure(title: str, note: str = "", *, empty: bool = False) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        template="none",
        title={"text": title, "subtitle": {"text": escape(note)}},
        font={"color": _INK},
        colorway=list(COLOURS),
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"align": "left", "namelength": -1},
    )
    figure.update_xaxes(gridcolor=_GRID, zerolinecolor=_GRID, automargin=True)
    figure.update_yaxes(gridcolor=_GRID, zerolinecolor=_GRID, automargin=True)
    if empty:
        figure.update_xaxes(visible=False)
        figure.update_yaxes(visible=False)
        figure.update_layout(height=160)
    return figure


def _look(place: int) -> dict[str, Any]:
    colour = COLOURS[place % len(COLOURS)]
    return {
        "line": {"color": colour, "dash": _DASHES[place % len(_DASHES)]},
        "marker": {"color": colour, "size": 9, "symbol": _MARKS[place % len(_MARKS)]},
    }


def _said(cell: Cell, unit: str = "") -> str:
    """For hovering: the value, its unit, who says so."""
    unit = f" {unit}" if unit and unit != "bytes" else ""
    parts = [f"{cell.text}{unit}", cell.note, cell.source]
    return "<br>".join(_wrapped(part, 60) for part in parts if part)


def _wrapped(text: str, width: int = 24) -> str:
    from textwrap import wrap

    return "<br>".join(escape(line) for line in wrap(text, width)[:6])


def _missing(names: Sequence[str]) -> str:
    return f"Not known in part, and left out there: {', '.join(names)}." if names else ""


def _number(cell: Cell) -> float:
    return float(cell.value) if isinstance(cell.value, int | float) else 0.0


def _numbers(cells: Iterable[Cell]) -> list[float]:
    return [float(cell.value) for cell in cells if isinstance(cell.value, int | float)]


def _share(row: Row, place: int) -> float | None:
    """From the worst (0) to the best (1) of the row; None where it is not known."""
    value, known = row.cells[place].value, _numbers(row.cells)
    if not isinstance(value, int | float):
        return None
    low, high = min(known), max(known)
    share = 0.5 if low == high else (value - low) / (high - low)
    return share if row.better == "high" else 1 - share


def _bars(cell: Cell, unit: float = 1.0) -> dict[str, Any] | None:
    if cell.low is None or cell.high is None:
        return None
    value = _number(cell)
    return {
        "type": "data",
        "symmetric": False,
        "array": [(cell.high - value) / unit],
        "arrayminus": [(value - cell.low) / unit],
        "thickness": 1,
    }

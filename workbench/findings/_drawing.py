"""How pictures of a study look: axes with their units, trials as marks, the ground they stand on.

The ground is transparent, with a grey that reads on white and on black; colours are those of Okabe
and Ito, which the colour-blind tell apart; marks differ as well. Names are escaped, since plotly
reads some HTML in what it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.findings._words import RISES, figure, label
from workbench.statistics import Interval

if TYPE_CHECKING:
    from workbench.findings._records import Trial
    from workbench.findings._report import Report

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#767676")
INK, GRID = "#767676", "rgba(128,128,128,0.3)"
_MARKS = ("circle", "square", "diamond", "triangle-up", "x", "star", "cross", "pentagon")
_UNITS = {"latency": (1.0, "s"), "memory": (1e9, "GB"), "throughput": (1.0, "tokens/s")}


@dataclass(frozen=True, slots=True)
class Axis:
    """What is shown along an axis: a trial's value and its interval, in the unit of the title."""

    title: str
    of: Callable[[Trial], float | None]
    ends: Callable[[Trial], tuple[float, float] | None]
    rises: bool
    size: float = 1.0


def cost(metric: str, title: str = "") -> Axis:
    """A figure of what was measured."""
    size, unit = _UNITS.get(metric, (1.0, ""))

    def of(trial: Trial) -> float | None:
        value = figure(trial.measured, metric)
        return None if value is None else value / size

    def ends(trial: Trial) -> tuple[float, float] | None:
        told = getattr(trial.measured, metric, None)
        return (told.low / size, told.high / size) if isinstance(told, Interval) else None

    title = title or metric.capitalize()
    return Axis(f"{title} ({unit})" if unit else title, of, ends, RISES[metric], size)


def goal_of(report: Report, place: int) -> Axis:
    """An objective: as a figure where it is one, so that it has its interval."""
    aim = report.objectives[place]
    if aim.formula in RISES:
        return cost(aim.formula, escape(aim.title))
    rises = aim.direction == "maximize"
    of = lambda trial: trial.values[place] if trial.values else None  # noqa: E731
    return Axis(escape(aim.title[:80]), of, lambda _: None, rises)


def done(report: Report) -> list[Trial]:
    """Trials that were measured in full."""
    return [one for one in report.trials if one.state == "done" and one.values is not None]


def marks(
    made: Any, report: Report, trials: Sequence[Trial], x: Callable[[Trial], Any],
    y: Callable[[Trial], Any], name: str, size: int, *, bars: Sequence[Any] = (),
    symbol: str = "circle", colour: str = COLOURS[0], opacity: float = 1.0,
    at: tuple[int, int] | None = None,
) -> None:  # fmt: skip
    """Trials as marks that say what they are; the default is a ring."""
    more: dict[str, Any] = {}
    for key, of, ends in zip(("error_x", "error_y"), (x, y), bars, strict=False):
        bounds = [(of(one), *(ends(one) or (None, None))) for one in trials]
        more[key] = bars_of(bounds, 1) | {"color": GRID}
    default = report.default.point if report.default else {}
    rings = [f"{symbol}-open" if one == report.default else symbol for one in trials]
    told = [f"trial {t.number}: {escape(label(t.point, default)[:300])}" for t in trials]
    made.add_scatter(
        x=[x(one) for one in trials], y=[y(one) for one in trials], mode="markers", name=name,
        customdata=[one.number for one in trials], text=told, hovertemplate="%{text}<br>%{y:.4g}",
        marker={"color": colour, "size": size, "symbol": rings, "opacity": opacity}, **more,
        **({"row": at[0], "col": at[1]} if at else {}),
    )  # fmt: skip


def bars_of(told: Sequence[tuple[Any, Any, Any]], size: float) -> dict[str, Any]:
    """Error bars of (value, low, high), none where an end is not known."""
    return {
        "type": "data", "symmetric": False, "thickness": 1.5,
        "array": [None if high is None else size * (high - value) for value, _, high in told],
        "arrayminus": [None if low is None else size * (value - low) for value, low, _ in told],
    }  # fmt: skip


def mark(place: int) -> dict[str, Any]:
    """The look of one series among several."""
    symbol, colour = _MARKS[place % len(_MARKS)], COLOURS[place % len(COLOURS)]
    return {"color": colour, "size": 10, "symbol": symbol}


def canvas(title: str, note: str, *, empty: bool = False) -> Any:
    """A figure with nothing on it; `empty` where nothing will be: its note then says why."""
    import plotly.graph_objects as go

    made = go.Figure()
    dress(made, title, note)
    if empty:
        made.update_xaxes(visible=False)
        made.update_yaxes(visible=False)
        made.update_layout(height=160)
    return made


def dress(made: Any, title: str, note: str) -> None:
    """The look of all of them."""
    made.update_layout(
        template="none",
        title={"text": title, "subtitle": {"text": escape(note)}},
        font={"color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"align": "left", "namelength": -1},
        showlegend=True,
        margin={"l": 48, "r": 24, "t": 72, "b": 48},
    )
    made.update_xaxes(gridcolor=GRID, zerolinecolor=GRID, automargin=True)
    made.update_yaxes(gridcolor=GRID, zerolinecolor=GRID, automargin=True)

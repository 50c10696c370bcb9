"""Pictures of results, as plotly figures: what quality costs, how a model did over versions,
what it writes when many ask at once.

They stand on transparent ground with a grey that reads on white and on black, in the colours of
Okabe and Ito, which the colour-blind tell apart; marks differ as well. Bars are 95 % intervals.
What is not known is left out, and the picture says of which runs. Names are escaped, since plotly
reads some HTML in what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from workbench.bench._board import pareto
from workbench.bench._compare import labels_of
from workbench.bench._records import RunResult
from workbench.errors import BenchError
from workbench.statistics import Interval

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#767676")
_MARKS = ("circle", "square", "diamond", "triangle-up", "x", "star", "cross", "pentagon")
_INK, _GRID = "#767676", "rgba(128,128,128,0.3)"
_COSTS = {
    "memory": ("memory", 1e9, "Memory (GB)", "no other run is better and smaller"),
    "speed": ("tokens_per_second", 1.0, "Tokens per second", "no other run is better and faster"),
}


def plot(results: Sequence[RunResult], name: str) -> Any:
    """The picture: memory, speed, history, throughput. Raises BenchError for another one."""
    if name == "history":
        return over_time(results)
    if name == "throughput":
        return by_requests(results)
    if name not in _COSTS:
        known = ", ".join([*_COSTS, "history", "throughput"])
        raise BenchError(f"There is no picture {name!r:.60}. Use one of {known}.")
    return against_cost(results, name)


def against_cost(results: Sequence[RunResult], cost: str) -> Any:
    """Score upwards, memory or speed across, and the line of those that no other beats in both."""
    field, unit, title, line = _COSTS[cost]
    labels = labels_of([one.run.id for one in results], results)
    known = [one for one in results if getattr(one, field) is not None and _value(one) is not None]
    holes = [labels[one.run.id] for one in results if one not in known]
    note = f"Not known, and left out: {', '.join(holes)}." if holes else ""
    figure = _figure(f"Score and {cost}", note)
    best = pareto(known, field)
    figure.add_scatter(
        x=[getattr(one, field) / unit for one in best],
        y=[_percent(_value(one)) for one in best],
        mode="lines",
        line={"color": _INK, "dash": "dot", "shape": "vh" if cost == "speed" else "hv"},
        name="Pareto line",
        hovertext=line,
        hoverinfo="text",
    )
    for place, one in enumerate(known):
        x = getattr(one, field) / unit
        figure.add_scatter(
            x=[x],
            y=[_percent(_value(one))],
            error_y=_bars([one.score]),
            text=[f"{_said(one.score)}<br>{x:,.3g} {title.lower()}"],
            hovertemplate="%{text}",
            mode="markers",
            name=escape(labels[one.run.id]),
            marker=_mark(place),
        )
    figure.update_xaxes(title=title, rangemode="tozero")
    return figure


def over_time(results: Sequence[RunResult]) -> Any:
    """Each model's runs in the order of time: a mark a run, a line a model and setting."""
    lines: dict[str, list[RunResult]] = {}
    for one in sorted(results, key=lambda one: one.run.created_at):
        if _value(one) is not None:
            lines.setdefault(one.run.label, []).append(one)
    figure = _figure("Score over time", "Each mark is a run; hover for its version.")
    for place, (label, runs) in enumerate(lines.items()):
        figure.add_scatter(
            x=[one.run.created_at for one in runs],
            y=[_percent(_value(one)) for one in runs],
            error_y=_bars([one.score for one in runs]),
            text=[f"{_said(one.score)}<br>version {escape(one.run.digest[:12])}" for one in runs],
            hovertemplate="%{x|%Y-%m-%d %H:%M}<br>%{text}",
            mode="lines+markers",
            name=escape(label),
            line={"color": COLOURS[place % len(COLOURS)]},
            marker=_mark(place),
        )
    return figure


def by_requests(results: Sequence[RunResult]) -> Any:
    """Tokens per second of all answers against how many were asked for at once, and how long the
    first token then takes (on hover), of runs whose speed was measured."""
    labels = labels_of([one.run.id for one in results], results)
    figure = _figure("Throughput", "Measured on its own with speed=True; bars are least and most.")
    for place, one in enumerate(results):
        curve = [point for point in (one.run.speed or {}).get("curve", ()) if point["total"]]
        if not curve:
            continue
        total, first = ([p[name] or {} for p in curve] for name in ("total", "first_token"))
        waits = [f"first token after {w['median']:.3g} s" if w else "" for w in first]
        figure.add_scatter(
            x=[point["parallel"] for point in curve],
            y=[t["median"] for t in total],
            error_y={
                "type": "data", "symmetric": False, "thickness": 1.5,
                "array": [t["high"] - t["median"] for t in total],
                "arrayminus": [t["median"] - t["low"] for t in total],
            },
            text=waits,
            hovertemplate="%{y:.3g} tokens/s<br>%{text}",
            mode="lines+markers",
            name=escape(labels[one.run.id]),
            line={"color": COLOURS[place % len(COLOURS)]},
            marker=_mark(place),
        )  # fmt: skip
    figure.update_xaxes(title="Requests at once", dtick=1)
    figure.update_yaxes(title="Tokens per second", range=None, rangemode="tozero")
    return figure


def _figure(title: str, note: str) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        template="none",
        title={"text": title, "subtitle": {"text": escape(note)}},
        font={"color": _INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"align": "left", "namelength": -1},
        showlegend=True,
        margin={"l": 48, "r": 24, "t": 64, "b": 48},
    )
    figure.update_xaxes(gridcolor=_GRID, zerolinecolor=_GRID, automargin=True)
    figure.update_yaxes(
        gridcolor=_GRID, zerolinecolor=_GRID, automargin=True, title="Score (%)", range=[0, 101]
    )
    return figure


def _mark(place: int) -> dict[str, Any]:
    symbol, colour = _MARKS[place % len(_MARKS)], COLOURS[place % len(COLOURS)]
    return {"color": colour, "size": 10, "symbol": symbol}


def _value(one: RunResult) -> float | None:
    return one.score.value if one.score else None


def _percent(value: float | None) -> float:
    return 100 * (value or 0.0)


def _bars(scores: Sequence[Interval | None]) -> dict[str, Any]:
    known = [(_percent(s.value), 100 * s.low, 100 * s.high) for s in scores if s]
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for value, _, high in known],
        "arrayminus": [value - low for value, low, _ in known],
        "thickness": 1.5,
    }


def _said(score: Interval | None) -> str:
    if score is None or score.value is None:
        return "no score"
    return f"{score.value:.1%} ({100 * score.low:.1f} to {100 * score.high:.1f}), n = {score.n}"

"""Pictures of a study, as plotly figures: what was reached, what mattered, what costs what.

Bars are 95 % intervals. Marks carry their trial's number as `customdata`, so that a page can tell
which one was clicked; the default is a ring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.errors import TuneError
from workbench.findings._drawing import (
    COLOURS,
    INK,
    bars_of,
    canvas,
    cost,
    done,
    dress,
    goal_of,
    mark,
    marks,
)
from workbench.findings._words import RISES, spelt
from workbench.texts import nearest

if TYPE_CHECKING:
    from workbench.findings._records import Trial
    from workbench.findings._report import Report
    from workbench.space import Parameter

_SCALE, _NOTHING = "Cividis", "Nothing was measured yet."
_MOST_SLICES, _CELLS, _BLUR = 9, 30, 0.12


def drawn(report: Report, kind: str, *, parameters: Sequence[str] = ()) -> Any:
    """The picture of a report: convergence, front, tradeoff, importance, slices, contour, parallel.

    A contour takes the names of two parameters, else those that matter most. Raises TuneError for a
    picture or a parameter there is not.
    """
    if kind not in PLOTS:
        raise TuneError(f"There is no picture {kind!r:.60}.{nearest(kind, PLOTS)}")
    return contour(report, parameters) if kind == "contour" else PLOTS[kind](report)


def convergence(report: Report) -> Any:
    """The best so far; of several objectives, the part of the plane that the front commands."""
    steps, goal = report.convergence, goal_of(report, 0)
    several = len(report.objectives) > 1
    note = "The line is the best so far." if not several else (
        "How much of all that was reached the front so far commands.")  # fmt: skip
    made = canvas("Convergence", note if steps else _NOTHING, empty=not steps)
    if not several:
        marks(made, report, done(report), lambda one: one.number, goal.of, "trials", 6)
    best = [100 * (one.volume or 0) if several else one.best[0] / goal.size for one in steps]
    made.add_scatter(
        x=[one.trial for one in steps], y=best, mode="lines", name="best so far",
        line={"shape": "hv", "color": COLOURS[3]}, hovertemplate="%{y:.4g}",
    )  # fmt: skip
    made.update_yaxes(title="Part of the plane (%)" if several else goal.title)
    made.update_xaxes(title="Trial")
    return made


def importance(report: Report) -> Any:
    """Shares with their intervals; hollow where chance alone reaches as much."""
    rows = [(found, one) for found in report.importance for one in found.rows]
    why = " ".join(dict.fromkeys(found.why for found in report.importance if found.why))
    made = canvas("What matters", why or "Hollow: chance alone reaches as much.", empty=not rows)
    for place, found in enumerate(one for one in report.importance if one.rows):
        colour = COLOURS[place % len(COLOURS)]
        made.add_bar(
            x=[100 * one.share for one in found.rows],
            y=[escape(one.parameter) for one in found.rows],
            orientation="h", name=escape(found.objective),
            error_x=bars_of([(one.share, one.low, one.high) for one in found.rows], 100),
            marker={"color": [colour if one.told else "rgba(0,0,0,0)" for one in found.rows],
                    "line": {"color": colour, "width": 1.5}},
            hovertemplate="%{y}: %{x:.0f} %",
        )  # fmt: skip
    made.update_xaxes(title="Share (%)", range=[0, 101])
    made.update_yaxes(autorange="reversed")
    return made


def slices(report: Report) -> Any:
    """The first objective against each parameter, all trials."""
    from plotly.subplots import make_subplots

    shown = _ordered(report)[:_MOST_SLICES]
    if not shown:
        return canvas("Slices", "No parameter was varied yet.", empty=True)
    goal = goal_of(report, 0)
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    made = make_subplots(rows=rows, cols=columns, shared_yaxes=True,
                         subplot_titles=[escape(one.name) for one in shown])  # fmt: skip
    dress(
        made,
        "Slices",
        f"{report.objectives[0].title} against each parameter; the ring is the default.",
    )
    for place, one in enumerate(shown):
        at = (place // columns + 1, place % columns + 1)
        have = [trial for trial in done(report) if trial.point.get(one.name) is not None]
        marks(made, report, have, partial(_place, one), goal.of, "trials", 7, at=at)
        made.update_xaxes(type="log" if one.log else None, row=at[0], col=at[1])
    made.update_layout(showlegend=False, height=140 + 220 * rows)
    return made


def contour(report: Report, parameters: Sequence[str] = ()) -> Any:
    """The first objective over two numbers: marks are trials, the ground between them a guess
    (their mean, those near counting more)."""
    import numpy as np

    numbers = {one.name: one for one in _ordered(report) if one.kind != "choice"}
    for name in parameters:
        if name not in numbers:
            raise TuneError(f"{name!r:.60} is no number that was varied.{nearest(name, numbers)}")
    pair = [numbers[name] for name in dict.fromkeys([*parameters, *numbers])][:2]
    have = [t for t in done(report) if all(t.point.get(one.name) is not None for one in pair)]
    goal = goal_of(report, 0)
    note = f"{report.objectives[0].title}; between the marks the ground is a guess."
    if empty := len(pair) < 2 or len(have) < 4:
        note = "It takes two numbers that were varied, and 4 trials."
    made = canvas("Contour", note, empty=empty)
    if empty:
        return made
    grids, offs = [], []
    for one in pair:
        values = np.array([float(trial.point[one.name]) for trial in have])
        log = one.log and values.min() > 0
        values = np.log(values) if log else values
        ticks = np.linspace(values.min(), values.max(), _CELLS)
        grids.append((np.exp(ticks) if log else ticks).tolist())
        offs.append((ticks[:, None] - values) / (np.ptp(values) or 1.0) / _BLUR)
    weights = np.exp(-(offs[1][:, None, :] ** 2 + offs[0][None, :, :] ** 2) / 2) + 1e-12
    heights = (weights * [goal.of(t) for t in have]).sum(axis=-1) / weights.sum(axis=-1)
    made.add_contour(x=grids[0], y=grids[1], z=heights.tolist(), colorscale=_SCALE,
                     colorbar={"title": goal.title}, hoverinfo="skip", name="")  # fmt: skip
    x, y = (partial(_place, one) for one in pair)
    marks(made, report, have, x, y, "trials", 7, colour=COLOURS[3])
    for axis, one in zip((made.update_xaxes, made.update_yaxes), pair, strict=True):
        axis(title=escape(one.name), type="log" if one.log else None)
    made.update_layout(showlegend=False)
    return made


def parallel(report: Report) -> Any:
    """Each trial a line through its settings to what it reached."""
    have = done(report)
    if not have:
        return canvas("Settings side by side", _NOTHING, empty=True)
    made = canvas("Settings side by side", "Drag along an axis to keep some of the lines.")
    axes = [_upright(one, have) for one in _ordered(report)]
    goals = [goal_of(report, place) for place in range(len(report.objectives))]
    axes += [{"label": goal.title, "values": [goal.of(t) for t in have]} for goal in goals]
    made.add_parcoords(
        dimensions=axes, labelside="bottom",
        line={"color": axes[-len(goals)]["values"], "colorscale": _SCALE},
        labelfont={"color": INK}, tickfont={"color": INK}, rangefont={"color": INK},
    )  # fmt: skip
    return made


def _upright(one: Parameter, trials: Sequence[Trial]) -> dict[str, Any]:
    """An axis; what a trial does not set lies at its foot."""
    values = [trial.point.get(one.name) for trial in trials]
    known = [value for value in values if value is not None]
    found: dict[str, Any] = {"label": escape(one.name)}
    if one.kind == "choice":
        names = sorted({spelt(value) for value in known})
        places = {name: place for place, name in enumerate(names)}
        return found | {
            "values": [-1 if v is None else places[spelt(v)] for v in values],
            "tickvals": [*([-1] if None in values else []), *places.values()],
            "ticktext": [*(["not set"] if None in values else []), *map(escape, names)],
        }
    foot = min(known) - 0.1 * ((max(known) - min(known)) or 1.0)
    return found | {"values": [foot if value is None else value for value in values]}


def front(report: Report) -> Any:
    """The first objective upwards, the second across (or quality and latency of one objective),
    with the line of those that no other beats."""
    several = len(report.objectives) > 1
    x, y = (
        (goal_of(report, 1), goal_of(report, 0)) if several else (cost("latency"), cost("quality"))
    )
    have = [t for t in done(report) if x.of(t) is not None and y.of(t) is not None]
    note = "Along the line nothing is better in both." if several else "The star is suggested."
    made = canvas("Front", note if have else _NOTHING, empty=not have)
    marks(made, report, have, x.of, y.of, "trials", 8, bars=(x.ends, y.ends), opacity=0.6)
    best = sorted((t for t in have if t.number in report.front), key=lambda t: x.of(t) or 0.0)
    if len(report.objectives) == 2 and len(best) > 1:
        # between two points of it lies what is worse in both, so the line has steps
        made.add_scatter(x=[x.of(t) for t in best], y=[y.of(t) for t in best], mode="lines",
                         line={"color": COLOURS[3], "dash": "dot",
                               "shape": "vh" if x.rises else "hv"},
                         name="front", hoverinfo="skip")  # fmt: skip
    for one in (t for t in best if report.pick and t.number == report.pick.trial):
        marks(made, report, [one], x.of, y.of, "suggested", 16, symbol="star", colour=COLOURS[3])
    made.update_xaxes(title=x.title)
    made.update_yaxes(title=y.title)
    return made


def tradeoff(report: Report) -> Any:
    """What each point of the front gains and costs against the default, in percent."""
    rows = [one for one in report.tradeoffs if one.changes]
    note = "Against the default. Quality in points; bars are 95 % intervals, where there are any."
    made = canvas("Gains and costs", note if rows else "No point to set beside the default yet.",
                   empty=not rows)  # fmt: skip
    for place, metric in enumerate(RISES):
        told = [(row, one) for row in rows for one in row.changes if one.metric == metric]
        if not told:
            continue
        base = 0.0 if metric == "quality" else 1.0
        told_ends = [(one.change, one.low, one.high) for _, one in told]
        made.add_scatter(
            x=[100 * (one.change - base) for _, one in told],
            y=[escape(f"{row.trial.number}: {row.label}"[:80]) for row, _ in told],
            error_x=bars_of(told_ends, 100), mode="markers", name=metric, marker=mark(place),
            customdata=[row.trial.number for row, _ in told], hovertemplate="%{x:+.1f}",
        )  # fmt: skip
    made.add_vline(x=0, line_color=INK, line_width=1)
    made.update_xaxes(title="Change (points, %)")
    made.update_yaxes(autorange="reversed")
    return made


PLOTS: Mapping[str, Callable[[Report], Any]] = {
    one.__name__: one
    for one in (convergence, front, tradeoff, importance, slices, contour, parallel)
}


def _ordered(report: Report) -> list[Parameter]:
    """Parameters that were varied, those that matter most first."""
    weight = {one.parameter: one.share for found in report.importance[:1] for one in found.rows}
    have = done(report)
    varied = [
        one for one in report.study.space.parameters
        if len({repr(v) for t in have if (v := t.point.get(one.name)) is not None}) > 1
    ]  # fmt: skip
    return sorted(varied, key=lambda one: -weight.get(one.name, 0.0))


def _place(one: Parameter, trial: Trial) -> Any:
    value = trial.point.get(one.name)
    return escape(spelt(value)) if one.kind == "choice" else value

"""The pictures of a study: points on a plane with their front, the best so far, settings as lines.

Places are in percent of the box, from the left and from above, so that a page stretches them as
it likes; `d` of SVG paths are in a box of WIDTH by HEIGHT.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from workbench.panels.states._train_curve import HEIGHT, WIDTH, round_numbers

RISING = {"quality": True, "latency": False, "throughput": True, "memory": False}  # what is better


@dataclass(frozen=True, slots=True)
class Dot:
    """A trial on the plane; `low` and `high` are where its true height may lie."""

    number: int
    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Plane:
    """`front` is the line along which nothing is better in both; `across` and `up` are places of
    round numbers."""

    dots: Mapping[int, Dot]
    front: str
    across: tuple[tuple[float, float], ...]
    up: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """One upright line of the picture of settings; `marks` are places of values on it."""

    name: str
    at: float
    marks: tuple[tuple[float, Any], ...]


def figure_of(measured: Any, name: str) -> float | None:
    """A figure of what was measured; None where there is none."""
    found = getattr(measured, name, None)
    value = getattr(found, "value", found)
    return float(value) if value is not None and math.isfinite(value) else None


def figures(trials: Iterable[Any]) -> list[str]:
    """The names of those that were measured."""
    measured = [one.measured for one in trials if one.measured is not None]
    return [name for name in RISING if any(figure_of(m, name) is not None for m in measured)]


def ordered(trials: Sequence[Any], by: str, falling: bool) -> list[Any]:
    """The trials by a figure, or by one of their own values; those without it come last."""

    def key(trial: Any) -> Any:
        if by in ("number", "state", "seconds"):
            return getattr(trial, by)
        return figure_of(trial.measured, by) if trial.measured is not None else None

    known = [one for one in trials if key(one) is not None]
    rest = [one for one in trials if key(one) is None]
    return sorted(known, key=key, reverse=falling) + rest


def plane(trials: Iterable[Any], across: str, up: str) -> Plane | None:
    """Trials by two of their figures; None before there is one that has both."""
    points = {one.number: point for one in trials if (point := _point(one, across, up))}
    if not points:
        return None
    lows_and_highs = [end for _, _, *ends in points.values() for end in ends]
    left, right = _room([x for x, *_ in points.values()])
    low, high = _room([y for _, y, *_ in points.values()] + _near(lows_and_highs, points))
    if up == "quality":
        low, high = max(low, 0.0), min(high, 1.0)

    def place(x: float, y: float) -> tuple[float, float]:
        return 100 * (x - left) / (right - left), 100 * (high - y) / (high - low)

    dots = {}
    for number, (x, y, least, most) in points.items():
        ends = [min(max(place(x, end)[1], 0.0), 100.0) for end in (least, most)]
        dots[number] = Dot(number, *place(x, y), *ends)
    kept = [points[number][:2] for number in best_of(points, RISING[across], RISING[up])]
    return Plane(
        dots,
        _stairs([place(*point) for point in kept], RISING[across]),
        tuple((place(at, low)[0], at) for at in round_numbers(left, right, 5)),
        tuple((place(left, at)[1], at) for at in round_numbers(low, high, 5)),
    )


def _point(trial: Any, across: str, up: str) -> tuple[float, float, float, float] | None:
    x, y = figure_of(trial.measured, across), figure_of(trial.measured, up)
    if x is None or y is None:
        return None
    interval = getattr(trial.measured, up)
    return x, y, getattr(interval, "low", y), getattr(interval, "high", y)


def _near(ends: Sequence[float], points: Mapping[int, Any]) -> list[float]:
    """Ends of intervals as far as they do not press the points together."""
    heights = [y for _, y, *_ in points.values()]
    # points of one height still stand on a scale whose marks differ
    reach = max(max(heights) - min(heights), 0.1 * max(map(abs, heights)), 1e-9) * 0.5
    return [min(max(end, min(heights) - reach), max(heights) + reach) for end in ends]


def _room(values: Sequence[float]) -> tuple[float, float]:
    """The range with some air on both sides."""
    low, high = min(values), max(values)
    air = (high - low or abs(high) or 1.0) * 0.08
    return low - air, high + air


def best_of(points: Mapping[int, Sequence[float]], more_x: bool, more_y: bool) -> list[int]:
    """The points than which none is better in both, from the left."""
    sign_x, sign_y = (1 if more_x else -1), (1 if more_y else -1)
    order = sorted(points, key=lambda n: (-sign_x * points[n][0], -sign_y * points[n][1]))
    kept: list[int] = []
    highest = -math.inf
    for number in order:
        if sign_y * points[number][1] > highest:
            highest = sign_y * points[number][1]
            kept.append(number)
    return sorted(kept, key=lambda number: points[number][0])


def _stairs(points: Sequence[tuple[float, float]], more_x: bool) -> str:
    """Between two points of a front lies the worse of both, so its line has steps."""
    if len(points) < 2:
        return ""
    steps = [points[0]]
    for (x, y), (next_x, next_y) in pairwise(points):
        steps += [(x, next_y) if more_x else (next_x, y), (next_x, next_y)]
    return _line(steps)


def _line(places: Iterable[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{x * WIDTH / 100:.1f} {y * HEIGHT / 100:.1f}" for x, y in places)


def convergence(values: Sequence[tuple[int, float]], rising: bool) -> Plane | None:
    """What each trial was worth and, as `front`, the best so far; None before there are two."""
    values = sorted(values)
    if len(values) < 2:
        return None
    left, right = values[0][0], values[-1][0]
    low, high = _room([value for _, value in values])

    def place(at: float, value: float) -> tuple[float, float]:
        return 100 * (at - left) / (right - left), 100 * (high - value) / (high - low)

    best, steps = values[0][1], [place(*values[0])]
    for at, value in values[1:]:
        steps.append(place(at, best))
        best = max(best, value) if rising else min(best, value)
        steps.append(place(at, best))
    placed = {at: place(at, value) for at, value in values}
    return Plane(
        {at: Dot(at, x, y, y, y) for at, (x, y) in placed.items()},
        _line(steps),
        tuple((place(at, low)[0], at) for at in round_numbers(left, right, 5) if at % 1 == 0),
        tuple((place(left, at)[1], at) for at in round_numbers(low, high, 5)),
    )


def settings(
    names: Sequence[str], rows: Mapping[int, Mapping[str, Any]], logarithmic: Iterable[str] = ()
) -> tuple[tuple[Axis, ...], dict[int, str]] | None:
    """Each row as a line over one axis per name; what a row does not have interrupts its line."""
    names = [name for name in names if any(row.get(name) is not None for row in rows.values())]
    if len(names) < 2:
        return None
    scales = {
        name: _scale([row[name] for row in rows.values() if row.get(name) is not None],
                     name in set(logarithmic))
        for name in names
    }  # fmt: skip
    across = {name: 100 * at / (len(names) - 1) for at, name in enumerate(names)}
    axes = tuple(Axis(name, across[name], _marks(scales[name])) for name in names)
    lines = {}
    for number, row in rows.items():
        pieces: list[list[tuple[float, float]]] = [[]]
        for name in names:
            place = scales[name].get(_key(row.get(name)))
            if place is None:
                pieces.append([])
            else:
                pieces[-1].append((across[name], place))
        lines[number] = " ".join(_line(piece) for piece in pieces if len(piece) > 1)
    return axes, lines


def _key(value: Any) -> Any:
    """By which a value is found on its axis: yes and no are words, not 1 and 0."""
    return ("yes" if value else "no") if isinstance(value, bool) else value


def _scale(values: Sequence[Any], logarithmic: bool) -> dict[Any, float]:
    """Where each value stands, from above: numbers by size, words one below the other."""
    keys = {_key(value) for value in values}
    if not all(isinstance(key, int | float) for key in keys):
        words = sorted(map(str, keys))
        return {_key(key): 100 * (words.index(str(key)) + 0.5) / len(words) for key in keys}
    low, high = min(keys), max(keys)
    if low == high:
        return {low: 50.0}
    bend = math.log if logarithmic and low > 0 else float
    return {key: 100 * (bend(high) - bend(key)) / (bend(high) - bend(low)) for key in keys}


def _marks(scale: Mapping[Any, float]) -> tuple[tuple[float, Any], ...]:
    """All words, and of numbers the ends."""
    placed = sorted((place, value) for value, place in scale.items())
    if len(placed) > 6 or not any(isinstance(value, str) for _, value in placed):
        placed = placed[:1] + placed[1:][-1:]
    return tuple(placed)

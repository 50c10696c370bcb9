"""A training's curves out of what its job reported, and the picture of the loss.

A step that was done again after a resume counts once, as it was done last. The picture is drawn
from at most some hundred points, so that a page that is open for days stays small.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TRAIN, VALIDATION = "train_loss", "validation_loss"
MOST = 300  # points of a line
WIDTH, HEIGHT = 600.0, 220.0
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Curves:
    """Values by name and step; `last` is the id of the row that was read last."""

    values: Mapping[str, Mapping[float, float]] = field(default_factory=dict)
    last: int = 0
    attempt: int = 0

    def read_on(self, rows: Iterable[Any]) -> Curves:
        """With these rows of the job's history, which come after those that were read."""
        values = {name: dict(found) for name, found in self.values.items()}
        last, attempt = self.last, self.attempt
        for row in rows:
            last, step = row.id, row.metrics.get("step")
            if step is None:
                continue
            if row.attempt != attempt:  # it went on from a checkpoint: what came after is redone
                attempt = row.attempt
                for name, found in values.items():
                    values[name] = {at: value for at, value in found.items() if at < step}
            for name, value in row.metrics.items():
                if name != "step" and math.isfinite(value):
                    values.setdefault(name, {})[step] = value
        return Curves(values, last, attempt)

    def points(self, name: str) -> list[tuple[float, float]]:
        """(step, value) in order."""
        return sorted(self.values.get(name, {}).items())


@dataclass(frozen=True, slots=True)
class Picture:
    """Lines as `d` of SVG paths in a box of WIDTH by HEIGHT, and places of round numbers in it,
    in percent of it: `across` are steps, `up` losses, from above."""

    train: str
    validation: str
    dots: tuple[tuple[float, float], ...]  # the validations, in percent
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]


def picture(train: Points, validation: Points) -> Picture | None:
    """Both losses on one scale; None before there are two points of one of them."""
    train, validation = thinned(train), thinned(validation)
    both = [*train, *validation]
    if max(len(train), len(validation)) < 2:
        return None
    left, right = min(at for at, _ in both), max(at for at, _ in both)
    low, high = min(value for _, value in both), max(value for _, value in both)
    room = (high - low or abs(high) or 1.0) * 0.06
    low, high = low - room, high + room

    def place(at: float, value: float) -> tuple[float, float]:
        return (at - left) / ((right - left) or 1), (high - value) / (high - low)

    def line(points: Points) -> str:
        placed = (place(*point) for point in points)
        return "M" + " L".join(f"{x * WIDTH:.1f} {y * HEIGHT:.1f}" for x, y in placed)

    return Picture(
        line(train) if len(train) > 1 else "",
        line(validation) if len(validation) > 1 else "",
        tuple((x * 100, y * 100) for x, y in (place(*point) for point in validation)),
        tuple((100 * place(at, low)[0], f"{at:,.0f}") for at in round_numbers(left, right, 5)),
        tuple((100 * place(left, up)[1], _short(up)) for up in round_numbers(low, high, 4)),
    )


def thinned(points: Points, most: int = MOST) -> list[tuple[float, float]]:
    """At most so many points: means of neighbours, the first and the last as they are."""
    if len(points) <= most:
        return list(points)
    inner, size = points[1:-1], math.ceil((len(points) - 2) / (most - 2))
    groups = [inner[at : at + size] for at in range(0, len(inner), size)]
    return [points[0], *(_mean(group) for group in groups), points[-1]]


def _mean(points: Points) -> tuple[float, float]:
    total = [math.fsum(part) for part in zip(*points, strict=True)]
    return total[0] / len(points), total[1] / len(points)


def round_numbers(low: float, high: float, most: int) -> list[float]:
    """About so many round numbers from `low` to `high`, for an axis."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    ten = 10.0 ** math.floor(math.log10(rough))
    step = next(one * ten for one in (1, 2, 5, 10) if one * ten >= rough * 0.999)
    first = math.ceil(low / step)
    return [at * step for at in range(first, math.floor(high / step + 1e-9) + 1)]


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

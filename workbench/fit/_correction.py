"""What the ledger teaches: how wrong the formula is here, and by how much to correct it.

With r = log(measured / predicted by the formula), the correction is a median of r, shrunk twice:
that of one architecture towards that of the backend's other architectures, and this towards 0.
A level with n members has the weight n / (n + 2). Members are models under one load (all their
lines count as one, however often they ran), on the upper level architectures. The interval comes
from the 5 % and 95 % quantiles of r, widened by 1 + 3/n, and in the same shares from the
formula's own interval.

Robust: medians; no line counts for more than a factor of 4, so no correction is larger. Only
lines of this machine and of the formula as it is today count (for speeds: since the newest
calibration, which is a part of it), and the newest 50 of each model.
What is compared is always the formula's own value: correcting does not chase itself.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median
from typing import Any, NamedTuple

from workbench.fit._ledger import FORMULA, cached, fingerprint
from workbench.fit._records import Estimate, Load, Memory, Speed

_SHRINK = 2.0  # so many members weigh as much as what was believed before
_WIDEN = 3.0
_LARGEST = math.log(4)  # of a correction
_WIDEST = math.log(10)  # of an interval's half
_FLOOR = 0.01  # log: no interval is narrower
_PER_MODEL = 50
_MOST = 20_000  # lines read at most
_SEVERAL = 8  # architectures, of which one more or less makes no difference


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """How far estimates of one kind were off. Errors are shares of what was measured.

    None where nothing could be compared. `bias` has a sign: positive is predicted too large.
    """

    quantity: str
    backend: str
    architecture: str
    count: int  # lines compared
    median: float | None  # of the formula's errors without their signs
    bias: float | None  # median with signs
    p95: float | None
    newest: datetime
    corrected_median: float | None = None  # of what was shown to the user
    corrected_p95: float | None = None


class _Line(NamedTuple):
    quantity: str
    backend: str
    architecture: str
    member: Hashable
    at: datetime
    predicted: float | None
    corrected: float | None
    measured: float


class _Level(NamedTuple):
    """What one level knows of r: of a model under one load, an architecture, a backend."""

    members: int
    lines: int
    middle: float
    low: float
    high: float
    weighted: tuple[tuple[float, float], ...]  # each line's r and weight, sorted; they add to 1


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is known of a quantity of a backend."""

    everything: _Level
    own: Mapping[str, _Level]  # by architecture
    others: Mapping[str, _Level | None]  # all but that architecture


def corrected(
    estimate: Estimate,
    *,
    quantity: str,
    backend: str,
    architecture: str,
    machine: str | None = None,
) -> Estimate:
    """The formula's estimate, corrected by what was measured on this (or another) machine.

    As it is when nothing was measured, or when the ledger cannot be read. Quick enough for
    thousands in a row: the ledger is read every few seconds at most.
    """
    kinds: Mapping[tuple[str, str], _Kind] | None
    kinds = cached("kinds", machine or fingerprint(), _read_kinds)
    kind = kinds and kinds.get((quantity, backend))
    if not kind or not 0 < estimate.value < math.inf:
        return estimate
    own = kind.own.get(architecture)
    middle, down, up = 0.0, *_own_interval(estimate)
    for level in (kind.others.get(architecture, kind.everything), own):
        if level is not None:
            middle, down, up = _step(level, middle, down, up)
    lines, whose = (own.lines, architecture) if own else (kind.everything.lines, "other")
    return Estimate(
        estimate.value * math.exp(middle),
        estimate.value * math.exp(middle - min(down, _WIDEST)),
        estimate.value * math.exp(middle + min(up, _WIDEST)),
        f"{estimate.basis}, corrected by {lines} measurement{'s' * (lines != 1)} of {whose} "
        "models here",
    )


def corrected_memory(taken: Memory, architecture: str, load: Load) -> Memory:
    """The embedded engine's memory here, corrected; its parts stay the formula's."""
    backend = "embedded-gpu" if load.gpu_layers else "embedded-cpu"
    about = {"backend": backend, "architecture": architecture}
    gpu = taken.gpu and corrected(taken.gpu, quantity="memory_gpu", **about)
    return replace(taken, ram=corrected(taken.ram, quantity="memory_ram", **about), gpu=gpu)


def corrected_speed(pace: Speed, architecture: str, load: Load) -> Speed:
    """The embedded engine's speed here, corrected."""
    backend = "embedded-gpu" if load.gpu_layers else "embedded-cpu"
    about = {"backend": backend, "architecture": architecture}
    return Speed(
        corrected(pace.prompt, quantity="prompt_speed", **about),
        corrected(pace.generation, quantity="generation_speed", **about),
    )


def errors(machine: str | None = None) -> tuple[ErrorRow, ...]:
    """How far the formula, and what was shown, have been off on this (or another) machine."""
    lines: Sequence[_Line] | None = cached("lines", machine or fingerprint(), _read_lines)
    groups = _grouped(lines or (), lambda line: line[:3])
    return tuple(_error_row(group) for _, group in sorted(groups.items()))


def _error_row(lines: Sequence[_Line]) -> ErrorRow:
    off = [line.predicted / line.measured - 1 for line in lines if line.predicted is not None]
    shown = [line.corrected / line.measured - 1 for line in lines if line.corrected is not None]
    sizes, shown_sizes = sorted(map(abs, off)), sorted(map(abs, shown))
    return ErrorRow(
        *lines[0][:3],
        count=len(off),
        median=median(sizes) if off else None,
        bias=median(off) if off else None,
        p95=_quantile([(size, 1.0) for size in sizes], 0.95) if off else None,
        newest=max(line.at for line in lines),
        corrected_median=median(shown_sizes) if shown else None,
        corrected_p95=_quantile([(size, 1.0) for size in shown_sizes], 0.95) if shown else None,
    )


def _step(level: _Level, middle: float, down: float, up: float) -> tuple[float, float, float]:
    """What was believed before, moved towards what the level has seen."""
    weight = level.members / (level.members + _SHRINK)
    wide = 1 + _WIDEN / level.members
    centre = weight * level.middle + (1 - weight) * middle
    seen_down = wide * max(centre - level.low, _FLOOR)
    seen_up = wide * max(level.high - centre, _FLOOR)
    return (
        centre,
        weight * seen_down + (1 - weight) * down,
        weight * seen_up + (1 - weight) * up,
    )


def _own_interval(estimate: Estimate) -> tuple[float, float]:
    """The halves of the formula's interval as logarithms."""
    value, low, high = estimate.value, estimate.low, estimate.high
    down = math.log(value / low) if 0 < low <= value else math.log(2)
    up = math.log(high / value) if value <= high < math.inf else math.log(2)
    return min(down, _WIDEST), min(up, _WIDEST)


def _read_lines(machine: str) -> tuple[_Line, ...]:
    from sqlalchemy import and_, func, or_, select

    from workbench.store import StoredCalibration, session
    from workbench.store import StoredEstimate as Row

    with session(read_only=True) as opened:
        calibrated = opened.scalar(
            select(func.max(StoredCalibration.at)).where(StoredCalibration.machine == machine)
        ) or datetime.min.replace(tzinfo=UTC)
    rank = func.row_number().over(
        partition_by=(Row.quantity, Row.backend, Row.architecture, Row.model),
        order_by=Row.id.desc(),
    )
    today = or_(*(and_(Row.quantity == name, Row.formula == n) for name, n in FORMULA.items()))
    ranked = select(
        Row.id, Row.quantity, Row.backend, Row.architecture, Row.model, Row.digest, Row.load,
        Row.at, Row.predicted, Row.corrected, Row.measured, rank.label("rank"),
    ).where(
        Row.machine == machine, Row.counts, today,
        or_(Row.quantity.startswith("memory"), Row.at >= calibrated),
    ).subquery()  # fmt: skip
    newest = select(ranked).where(ranked.c.rank <= _PER_MODEL).order_by(ranked.c.id.desc())
    with session(read_only=True) as opened:
        rows = opened.execute(newest.limit(_MOST)).all()
    return tuple(
        _Line(
            row.quantity, row.backend, row.architecture,
            (row.digest or row.model, json.dumps(row.load, sort_keys=True)),
            row.at, row.predicted, row.corrected, row.measured,
        )
        for row in rows
        if row.measured > 0 and (row.predicted is None or row.predicted > 0)
    )  # fmt: skip


def _read_kinds(machine: str) -> Mapping[tuple[str, str], _Kind]:
    compared = [line for line in _read_lines(machine) if line.predicted is not None]
    kinds = _grouped(compared, lambda line: line[:2])
    return {kind: _kind(lines) for kind, lines in kinds.items()}


def _kind(lines: Sequence[_Line]) -> _Kind:
    own = {
        name: _level([_leaf(few) for few in _grouped(some, lambda line: line.member).values()])
        for name, some in _grouped(lines, lambda line: line.architecture).items()
    }
    everything = _level(list(own.values()))
    others: dict[str, _Level | None] = {}
    if len(own) <= _SEVERAL:
        for name in own:
            rest = [level for other, level in own.items() if other != name]
            others[name] = _level(rest) if rest else None
    return _Kind(everything, own, others)


def _level(members: Sequence[_Level]) -> _Level:
    """Each member weighs the same."""
    share = 1 / len(members)
    weighted = sorted((r, weight * share) for one in members for r, weight in one.weighted)
    return _Level(
        len(members),
        sum(one.lines for one in members),
        median(one.middle for one in members),
        _quantile(weighted, 0.05),
        _quantile(weighted, 0.95),
        tuple(weighted),
    )


def _leaf(lines: Sequence[_Line]) -> _Level:
    ratios = sorted(map(_ratio, lines))
    weighted = tuple((ratio, 1 / len(ratios)) for ratio in ratios)
    return _Level(1, len(lines), median(ratios), ratios[0], ratios[-1], weighted)


def _ratio(line: _Line) -> float:
    assert line.predicted is not None
    ratio = math.log(line.measured) - math.log(line.predicted)
    return min(max(ratio, -_LARGEST), _LARGEST)


def _quantile(weighted: Sequence[tuple[float, float]], share: float) -> float:
    """Of sorted values with weights: linear between the middles of the weights."""
    wanted = share * sum(weight for _, weight in weighted)
    passed, before = 0.0, (-1.0, weighted[0][0])
    for value, weight in weighted:
        here = (passed + weight / 2, value)
        if here[0] >= wanted:
            if before[0] < 0:
                return value
            part = (wanted - before[0]) / (here[0] - before[0])
            return before[1] + part * (value - before[1])
        passed, before = passed + weight, here
    return before[1]


def _grouped(lines: Iterable[_Line], key: Any) -> dict[Any, list[_Line]]:
    groups: defaultdict[Any, list[_Line]] = defaultdict(list)
    for line in lines:
        groups[key(line)].append(line)
    return groups

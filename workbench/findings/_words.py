"""What points and choices cost and gain against the default, in figures and in words.

A *point* is compared with the default as a whole: quality question by question (paired), latency
by the paired ratio of seconds, memory and throughput as they were measured, once. That is as sure
as the measurements are.

A *choice* is one parameter at one level (a value, or a third of a range). Trials differ in many
parameters at once, so its effect comes from a linear model of all of them together (least squares
on the levels) over all trials, also those that were ended early: their quality is the paired
difference from the default on the questions they were asked. Errors are HC3 (MacKinnon and White
1985), which holds where trials are not equally noisy; p values are adjusted for all choices
together (Holm). The model adds: that two choices help only together, it cannot see. Where there
are not five trials more than levels, nothing is said.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from workbench.statistics import ALPHA, Difference, Interval, holm
from workbench.trial import Measured, difference, ratio

if TYPE_CHECKING:
    from workbench.findings._records import Trial
    from workbench.space import Parameter

Verdict = Literal[
    "better", "worse", "undecided", "once"
]  # once: measured once, so how sure is open
RISES = {"quality": True, "latency": False, "throughput": True, "memory": False}  # what is better
_SPARE = 5  # trials beyond the levels of the model
_OFTEN = 3  # trials that a level needs for an effect of its own
_FEW = 4  # values that are levels themselves


@dataclass(frozen=True, slots=True)
class Change:
    """What a point, or one choice, does to a figure. `change` is a difference for quality (0.03 is
    3 points), else a ratio (1.2 is 20 % more); `low` and `high` are its interval (95 %)."""

    metric: str
    change: float
    low: float | None
    high: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Effect(Change):
    """What `parameter` at `level` does in place of `reference`. `p` is adjusted."""

    parameter: str
    level: str
    reference: str
    trials: int  # at this level
    p: float


def figure(measured: Measured | None, metric: str) -> float | None:
    """A figure of what was measured; None where there is none."""
    found = getattr(measured, metric, None)
    value = found.value if isinstance(found, Interval) else found
    return None if value is None or not math.isfinite(value) else float(value)


def changes(default: Measured | None, measured: Measured | None) -> tuple[Change, ...]:
    """The point's figures against the default's, those that both have."""
    found = []
    for metric in RISES:
        was, now = figure(default, metric), figure(measured, metric)
        if default is None or measured is None or was is None or now is None:
            continue
        if metric == "quality":
            told = difference(measured, default)
            if told is not None and told.value is not None:
                found.append(Change(metric, told.value, told.low, told.high, told.verdict))
        elif was > 0 and now > 0:
            times = ratio(measured, default) if metric == "latency" else None
            found.append(_ratio(metric, now / was, times))
    return tuple(found)


def _ratio(metric: str, measured: float, paired: Difference | None) -> Change:
    """By question where there are logarithms of it, else as it was measured."""
    if paired is None or paired.value is None:
        return Change(metric, measured, None, None, "once")
    middle, low, high = (math.exp(end) for end in (paired.value, paired.low, paired.high))
    return Change(metric, middle, low, high, _verdict(metric, low, high))


def _verdict(metric: str, low: float, high: float) -> Verdict:
    if low <= 1 <= high:
        return "undecided"
    return "better" if (low > 1) == RISES[metric] else "worse"


def effects(
    parameters: Sequence[Parameter], trials: Sequence[Trial], default: Measured | None
) -> tuple[tuple[Effect, ...], str]:
    """What each choice does, and why nothing can be said where that is so."""
    if default is None:
        return (), "The default was not measured, so choices have nothing to be compared with."
    found, why = [], ""
    for metric in RISES:
        told = [(one, _response(metric, one.measured, default)) for one in trials]
        used = [(one.point, value) for one, value in told if value is not None]
        columns = _columns(parameters, [point for point, _ in used])
        need = len(columns) + 1 + _SPARE
        if columns and len(used) >= need:
            found += _fitted(metric, columns, [value for _, value in used])
        elif columns:
            why = why or (
                f"{len(used)} trials are too few to tell what each of {len(columns)} choices does "
                f"by itself; it takes {need}."
            )
    adjusted = holm([one.p for one in found])
    return tuple(_decided(one, p) for one, p in zip(found, adjusted, strict=True)), why


def _response(metric: str, measured: Measured | None, default: Measured) -> float | None:
    if metric == "quality":
        told = difference(measured, default) if measured is not None else None
        return told.value if told is not None else None
    value = figure(measured, metric)
    return math.log(value) if value and value > 0 else None


Column = tuple[str, str, str, list[float]]  # parameter, level, reference, 1 where a trial has it


def _columns(parameters: Sequence[Parameter], points: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Of each level but that of reference: the default's, or the one that most trials have where
    that is rare. A parameter that does not apply counts as at reference."""
    columns: list[Column] = []
    for one in parameters:
        values = [point.get(one.name) for point in points]
        level_of = _levels(one, set(values) - {None})
        levels = [level_of(value) for value in values]
        counts = Counter(level for level in levels if level)
        usual = level_of(one.default)
        if counts and counts[usual] < _OFTEN:
            usual = counts.most_common(1)[0][0]
        columns += [
            (one.name, level, usual, [float(have == level) for have in levels])
            for level in counts
            if level != usual
        ]
    return columns


def _levels(one: Parameter, tried: set[Any]) -> Callable[[Any], str]:
    """What names a value's level: itself, or a third of the range where many were tried."""
    if one.kind == "choice" or len(tried) <= _FEW or one.low is None or one.high is None:
        return lambda value: "" if value is None else spelt(value)
    least, most, log = one.low, one.high, one.log and one.low > 0
    low, high = (math.log(least), math.log(most)) if log else (least, most)
    ends = [low + (high - low) * part / 3 for part in range(4)]
    names = [spelt(float(f"{math.exp(end) if log else end:.3g}")) for end in ends]

    def level_of(value: Any) -> str:
        if value is None or not least <= value <= most:
            return "" if value is None else spelt(value)  # such as 0 threads: as the engine likes
        at = math.log(value) if log else float(value)
        third = min(2, math.floor(3 * (at - low) / ((high - low) or 1.0)))
        return f"{names[third]} to {names[third + 1]}"

    return level_of


def _fitted(metric: str, columns: Sequence[Column], values: Sequence[float]) -> list[Effect]:
    """Effects of those levels that the trials can tell from the others; `p` is not adjusted."""
    import numpy as np
    from scipy.special import stdtr, stdtrit

    table = np.column_stack([np.ones(len(values)), *(column for *_, column in columns)])
    inverse = np.linalg.pinv(table)
    freedom = len(values) - np.linalg.matrix_rank(table)
    weights = inverse @ np.array(values)
    leverage = np.einsum("ij,ji->i", table, inverse)
    alone = leverage > 1 - 1e-9  # a trial that has a level for itself says nothing of noise
    rest = (np.array(values) - table @ weights) / np.where(alone, np.inf, 1 - leverage)
    errors = np.sqrt(((inverse * rest) ** 2).sum(axis=1)) + 1e-9
    known = abs(inverse @ table - np.eye(len(columns) + 1)).max(axis=1) < 1e-6
    found = []
    for place, (parameter, level, usual, column) in enumerate(columns, 1):
        if sum(column) < _OFTEN or not known[place]:
            continue
        change, error = weights[place], errors[place]
        p = 2 * stdtr(freedom, -abs(change) / error) if abs(change) > 1e-6 else 1.0
        told = change + error * np.array([0.0, *stdtrit(freedom, (0.025, 0.975))])
        told = told if metric == "quality" else np.exp(told)
        found.append(
            Effect(
                metric, float(told[0]), float(told[1]), float(told[2]), "undecided",
                parameter, level, usual, int(sum(column)), float(p),
            )
        )  # fmt: skip
    return found


def _decided(one: Effect, p: float) -> Effect:
    more = one.change > (0 if one.metric == "quality" else 1)
    said: Verdict = "better" if more == RISES[one.metric] else "worse"
    return replace(one, p=p, verdict=said if p < ALPHA else "undecided")


_DOES = {"latency": "takes {} × as long", "memory": "takes {} × the memory",
         "throughput": "writes {} × as fast"}  # fmt: skip


def in_words(one: Change) -> str:
    """`gains 4.1 points of quality (1.0 to 7.2)`, `takes 1.30 × as long (1.22 to 1.41)`."""
    points = one.metric == "quality"
    if one.low is None or one.high is None:
        return f"{_DOES[one.metric].format(f'{one.change:.2f}')} (measured once)"
    ends = [100 * one.low, 100 * one.high] if points else [one.low, one.high]
    if one.verdict == "undecided":
        told = "{:+.1f} to {:+.1f} points" if points else "{:.2f} to {:.2f} ×"
        return f"{one.metric} cannot be told apart ({told.format(*ends)})"
    if not points:
        return "{} ({:.2f} to {:.2f})".format(_DOES[one.metric].format(f"{one.change:.2f}"), *ends)
    low, high = sorted(abs(end) for end in ends)
    does = "gains" if one.change > 0 else "costs"
    return f"{does} {abs(100 * one.change):.1f} points of quality ({low:.1f} to {high:.1f})"


def sentences(found: Sequence[Effect], why: str) -> list[str]:
    """A sentence for each choice whose cost or gain can be told, and one for the others."""
    told: dict[tuple[str, ...], list[str]] = {}
    for one in found:
        if one.verdict != "undecided":
            told.setdefault((one.parameter, one.level, one.reference), []).append(in_words(one))
    lines = [
        f"{name} {level} instead of {usual}: {', '.join(words)}."
        for (name, level, usual), words in told.items()
    ]
    named = {key[0] for key in told}
    if silent := dict.fromkeys(one.parameter for one in found if one.parameter not in named):
        lines.append(f"No cost or gain can be told from chance for {', '.join(silent)}.")
    return [*lines, *([why] if why else [])]


def spelt(value: Any) -> str:
    """A value as people write it: `0.7`, `on`, `q8_0`, cut at 40 characters."""
    if isinstance(value, bool):
        return "on" if value else "off"
    text = f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= 40 else f"{text[:39]}…"


def label(point: Mapping[str, Any], default: Mapping[str, Any]) -> str:
    """What a point sets that the default does not: `temperature 0.2, num_ctx 4096`."""
    parts = [f"{name} {spelt(v)}" for name, v in point.items() if default.get(name) != v]
    return ", ".join(parts) or "default"

"""What a study found: the best so far, what mattered, the front and which of its points to take,
what the points cost and gain, and what the search itself took.

Gathering it takes seconds, most of it for the intervals of importance. Everything in a report
follows from the study's record and its trials: nothing is measured for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workbench.findings._importance import Importances, Method, importance
from workbench.findings._records import Study, Trial
from workbench.findings._words import (
    RISES,
    Change,
    Effect,
    changes,
    effects,
    figure,
    in_words,
    label,
    sentences,
)
from workbench.search import Objective, objective

_VOLUME_POINTS = 4096  # by which the part of the plane below a front is measured


@dataclass(frozen=True, slots=True)
class TradeOff:
    """A point of the front, or the default, with what it costs and gains against the default."""

    trial: Trial
    label: str
    changes: tuple[Change, ...]

    @property
    def words(self) -> str:
        """`temperature 0.2: gains 4.1 points of quality (1.0 to 7.2), …`."""
        return f"{self.label}: {', '.join(map(in_words, self.changes)) or 'nothing to compare'}."

    def quality_per(self, metric: str) -> float | None:
        """The score for each GB of memory, or for each second of an answer (latency)."""
        quality, cost = (figure(self.trial.measured, name) for name in ("quality", metric))
        scale = 1e9 if metric == "memory" else 1.0
        return quality / (cost / scale) if quality is not None and cost else None

    def to_json(self) -> dict[str, Any]:
        """Without the answers."""
        told = self.trial.measured.to_json() if self.trial.measured else {}
        return {
            "trial": self.trial.number, "label": self.label, "point": dict(self.trial.point),
            "values": self.trial.values, **{name: told.get(name) for name in RISES},
            "quality_per_gb": self.quality_per("memory"),
            "quality_per_second": self.quality_per("latency"),
            "changes": [asdict(one) for one in self.changes], "words": self.words,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pick:
    """The point of the front that is suggested, and why."""

    trial: int
    why: str


@dataclass(frozen=True, slots=True)
class Efficiency:
    """What the search took. `questions` is what trying every point in full would have asked."""

    states: Mapping[str, int]
    seconds: float
    questions: int
    asked: int
    cached: int
    words: str


@dataclass(frozen=True, slots=True)
class Step:
    """After this trial: each objective's best so far and, of several objectives, which part of
    all that was reached the front so far commands."""

    trial: int
    best: tuple[float, ...]
    volume: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. `front` has numbers of trials."""

    study: Study
    objectives: tuple[Objective, ...]
    trials: tuple[Trial, ...]
    default: Trial | None
    best: Trial | None
    front: tuple[int, ...]
    pick: Pick | None
    convergence: tuple[Step, ...]
    importance: tuple[Importances, ...]
    effects: tuple[Effect, ...]
    tradeoffs: tuple[TradeOff, ...]
    efficiency: Efficiency
    words: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Strict JSON, without the trials; `csv_text` has those."""
        study = self.study
        names = ("id", "name", "model", "digest", "suite", "strategy", "settings", "state")
        told: dict[str, Any] = {name: getattr(study, name) for name in names}
        parts: dict[str, Any] = {
            "study": told | {"space": study.space.name, "objectives": list(study.objectives)},
            "default": self.default.number if self.default else None,
            "best": self.best.number if self.best else None,
            "front": list(self.front), "tradeoffs": [one.to_json() for one in self.tradeoffs],
            "pick": asdict(self.pick) if self.pick else None,
            "efficiency": asdict(self.efficiency), "words": list(self.words),
            "confirmed": study.result.get("confirmed"),
        }  # fmt: skip
        rows = {name: getattr(self, name) for name in ("convergence", "importance", "effects")}
        return parts | {name: [asdict(one) for one in found] for name, found in rows.items()}


def gathered(
    study: Study,
    tried: Sequence[Trial],
    best: Trial | None,
    line: Sequence[Trial],
    method: Method | None = "auto",
) -> Report:
    """The report of these trials, of which `best` is best and `line` the front."""
    aims = tuple(objective(name) for name in study.objectives)
    told = [one for one in tried if one.values and one.measured and one.state != "repeated"]
    full = [one for one in told if one.state == "done"]
    default = next((one for one in full if one.why == "default"), None)
    parameters = study.space.parameters
    found, why = effects(parameters, told, default.measured if default else None)
    shown = [one for one in (default, *line) if one is not None]
    tradeoffs = {one.number: _tradeoff(one, default) for one in shown}
    picked = pick(line, aims)
    weighed = [
        importance(
            aim, [one.point for one in full], [one.values[place] for one in full if one.values],
            parameters, method=method,
        )
        for place, aim in enumerate(aims) if method is not None
    ]  # fmt: skip
    lines = [*_standing(study, best, default), *sentences(found, why)]
    if picked and len(line) > 1:
        lines.insert(1, picked.why)
    return Report(
        study, aims, tuple(tried), default, best, tuple(one.number for one in line), picked,
        _convergence(full, aims), tuple(weighed), found, tuple(tradeoffs.values()),
        _efficiency(tried), tuple(lines),
    )  # fmt: skip


def _standing(study: Study, best: Trial | None, default: Trial | None) -> list[str]:
    """What the study concluded, or where it stands."""
    lines = study.result.get("words") or ()
    if lines:
        return [lines] if isinstance(lines, str) else [str(line) for line in lines]
    if best is None:
        return ["No point can be called best yet."]
    same = default is not None and best.number == default.number
    name = "the default" if same else f"trial {best.number}"
    told = [f"The best so far is {name}; it is not confirmed on questions held out yet."]
    return told if same or default is None else [*told, _tradeoff(best, default).words]


def pick(front: Sequence[Trial], aims: Sequence[Objective]) -> Pick | None:
    """The point of the front that gives up least: the one whose largest loss is smallest, each
    objective counted from the front's best (0) to its worst (1); of equals the smaller sum."""
    known = {one.number: one for one in front if one.values}
    losses: dict[int, list[float]] = {number: [] for number in known}
    for place, aim in enumerate(aims):
        values = {number: one.values[place] for number, one in known.items() if one.values}
        low, high = min(values.values(), default=0.0), max(values.values(), default=0.0)
        good = high if aim.direction == "maximize" else low
        for number, value in values.items():
            losses[number].append(abs(value - good) / ((high - low) or 1.0))
    if not losses:
        return None
    chosen = min(losses, key=lambda number: (max(losses[number]), sum(losses[number]), number))
    if len(known) == 1:
        return Pick(chosen, f"Trial {chosen} is alone on the front: none is better in anything.")
    parts = [
        f"{loss:.0%} in {aim.title.lower()}" for loss, aim in zip(losses[chosen], aims, strict=True)
    ]
    why = (
        f"Of the {len(known)} points of the front, trial {chosen} is the even choice: of what lies "
        f"between the front's best and worst it gives up {', '.join(parts)}, and no other's "
        "largest loss is smaller."
    )
    finest = max(known.values(), key=lambda one: figure(one.measured, "quality") or 0.0)
    told = [
        one for one in changes(finest.measured, known[chosen].measured) if one.metric == "quality"
    ]
    if told and finest.number != chosen:
        why += f" Against trial {finest.number}, the best in quality: {in_words(told[0])}."
    return Pick(chosen, why)


def _convergence(full: Sequence[Trial], aims: Sequence[Objective]) -> tuple[Step, ...]:
    import numpy as np

    if not full:
        return ()
    signs = np.array([1.0 if aim.direction == "maximize" else -1.0 for aim in aims])
    values = np.array([one.values for one in full], dtype=float) * signs
    best = (np.maximum.accumulate(values, axis=0) * signs).tolist()
    low, high = values.min(axis=0), values.max(axis=0)
    places = low + (high - low) * np.random.default_rng(0).random((_VOLUME_POINTS, len(aims)))
    taken, steps = np.zeros(_VOLUME_POINTS, dtype=bool), []
    for one, value, top in zip(full, values, best, strict=True):
        taken |= (places <= value).all(axis=1)
        steps.append(Step(one.number, tuple(top), float(taken.mean()) if len(aims) > 1 else None))
    return tuple(steps)


def _tradeoff(one: Trial, default: Trial | None) -> TradeOff:
    if default is None or one.number == default.number:
        return TradeOff(one, "default" if default else label(one.point, {}), ())
    words = label(one.point, default.point)
    return TradeOff(one, words, changes(default.measured, one.measured))


def _efficiency(trials: Sequence[Trial]) -> Efficiency:
    measured = [one.measured for one in trials if one.measured and one.state != "repeated"]
    states: Counter[str] = Counter(one.state for one in trials)
    seconds = sum(one.seconds for one in trials)
    tried = sum(count for state, count in states.items() if state not in ("running", "failed"))
    questions = tried * max((len(one.answers) for one in measured), default=0)
    asked, cached = sum(one.asked for one in measured), sum(one.cached for one in measured)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    share = f" ({asked / questions:.0%})" if questions else ""
    words = (
        f"{len(trials)} trials ({counts}) took {seconds:,.0f} s. Trying each in full would have "
        f"asked {questions:,} questions; {asked:,} requests{share} were made, and {cached:,} "
        "answers were known."
    )
    return Efficiency(dict(states), seconds, questions, asked, cached, words)

"""What was measured of a point, and how two points differ on the questions that both answered."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from workbench.statistics import Difference, Interval, paired, weighted, weighted_paired
from workbench.types import Json


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer. `value` is 0 to 1; None where nothing could score it.

    A question that got no answer has an `error` and is worth 0: a setting under which the engine
    refuses is not to win by that. Seconds are the client's, `generation_seconds` the engine's.
    """

    question: str  # its key
    task: str
    value: float | None
    seconds: float
    first_token: float | None
    tokens: int  # written
    prompt_tokens: int
    generation_seconds: float
    error: str | None
    cached: bool  # was known before the point was measured
    group: str = ""
    weight: float = 1.0  # of the task


@dataclass(frozen=True, slots=True)
class Measured:
    """What one point is worth, on the first questions of a study.

    Figures of speed and `memory` are None where they were not wanted or cannot be told.
    """

    point: Json
    answers: tuple[Answered, ...]
    quality: Interval | None  # weighted mean of the tasks
    latency: Interval | None  # mean seconds of an answer that is asked alone
    throughput: float | None  # written tokens per second, with as many at once as there are slots
    memory: int | None  # bytes, the peak of the model's process where it is known
    load_seconds: float | None
    asked: int  # requests that this took
    cached: int  # answers that were known before the point was measured
    notes: tuple[str, ...]
    alone: tuple[str, ...] = ()  # keys of the questions that tell latency

    def to_json(self) -> dict[str, Any]:
        """Strict JSON; answers as rows, since there are many."""
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        told["point"] = dict(self.point)
        told |= {"notes": list(self.notes), "alone": list(self.alone)}
        for name in ("quality", "latency"):
            told[name] = asdict(told[name]) if told[name] else None
        told["answers"] = [[_short(getattr(a, name)) for name in _COLUMNS] for a in self.answers]
        return told

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Measured:
        """From `to_json`."""
        known = dict(told)
        for name in ("quality", "latency"):
            known[name] = Interval(**known[name]) if known[name] else None
        known["answers"] = tuple(
            Answered(**dict(zip(_COLUMNS, row, strict=True))) for row in known["answers"]
        )
        texts = {name: tuple(known.get(name, ())) for name in ("notes", "alone")}
        return cls(**known | texts)


_COLUMNS = [one.name for one in fields(Answered)]


def _short(value: Any) -> Any:
    return float(f"{value:.7g}") if isinstance(value, float) else value


def quality_of(answers: Sequence[Answered]) -> Interval | None:
    """The weighted mean over the tasks that were scored; None where none was."""
    found: dict[str, list[Answered]] = defaultdict(list)
    for answer in answers:
        if answer.value is not None:
            found[answer.task].append(answer)
    parts = [
        ([float(a.value or 0) for a in same], [a.group for a in same], same[0].weight)
        for same in found.values()
    ]
    return weighted(parts) if parts else None


def difference(a: Measured, b: Measured) -> Difference | None:
    """The quality of a less that of b, on questions that both have a value of; None without any."""
    theirs = {one.question: one for one in b.answers if one.value is not None}
    found: dict[str, list[tuple[Answered, Answered]]] = defaultdict(list)
    for mine in a.answers:
        if mine.value is not None and mine.question in theirs:
            found[mine.task].append((mine, theirs[mine.question]))
    parts = [
        ([float(one.value or 0) for one, _ in pairs], [float(one.value or 0) for _, one in pairs],
         [one.group for one, _ in pairs], pairs[0][0].weight)
        for pairs in found.values()
    ]  # fmt: skip
    return weighted_paired(parts) if parts else None


def ratio(one: Measured, other: Measured) -> Difference | None:
    """How many times as many seconds an answer takes, as a logarithm, paired over the questions
    that both were asked one at a time; None without any."""
    theirs = {a.question: a.seconds for a in other.answers if a.question in other.alone}
    pairs = [
        (mine.seconds, theirs[mine.question], mine.group)
        for mine in one.answers
        if mine.question in one.alone and mine.seconds > 0 and theirs.get(mine.question, 0) > 0
    ]
    if not pairs:
        return None
    a, b, groups = zip(*pairs, strict=True)
    return paired([math.log(x) for x in a], [math.log(x) for x in b], groups)

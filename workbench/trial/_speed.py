"""How fast answers come: which questions tell it, and what of it is fair.

Of the first questions a third is asked alone, for latency, and the others at once, for throughput,
where both are wanted; each task has its share of both, and a question is always on the same side,
whatever the point. Few tell latency well enough: points are compared question by question, where
chance is some percent, and what looks best is measured again.

Fair is not what the clock says: after one trial the engine has the prompts in its cache, and the
next trial under the same load reads them in no time. So a prompt's reading counts as it was when
it was read first after the load; sampling cannot change it. A likelihood is all reading.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from workbench.bench import Answer
from workbench.statistics import Interval, mean
from workbench.trial._questions import Question

FIGURES = ("quality", "latency", "throughput", "memory")
ALONE = 8  # questions that tell latency
AT_ONCE = 16  # that tell throughput


@dataclass(frozen=True, slots=True)
class Time:
    """One answer's seconds, its reading as if nobody had read it before."""

    seconds: float
    first_token: float | None
    reading: float
    generation: float
    tokens: int
    prompt_tokens: int

    @classmethod
    def of(cls, answer: Answer) -> Time:
        """As the clocks tell it."""
        told = answer.figures
        reading, writes = told.get("prompt_seconds"), "generation_seconds" in told
        return cls(
            float(told["seconds"]),
            told.get("first_token"),
            float(told["seconds"] if reading is None else reading),
            float(told.get("generation_seconds") or 0.0),
            int(told.get("tokens") or 0) if writes else 0,
            int(told.get("prompt_tokens") or 0),
        )

    def told(self, figures: Mapping[str, Any]) -> dict[str, Any]:
        """An answer's figures with these times, of those that it has."""
        mine = {"seconds": self.seconds, "first_token": self.first_token,
                "prompt_seconds": self.reading, "generation_seconds": self.generation}  # fmt: skip
        return {**figures, **{name: it for name, it in mine.items() if name in figures}}

    def read_in(self, reading: float) -> Time:
        """The same where reading takes so long."""
        more = reading - self.reading
        first = None if self.first_token is None else max(self.first_token + more, 0.0)
        return replace(
            self, seconds=max(self.seconds + more, 0.0), first_token=first, reading=reading
        )


def sides(
    questions: Sequence[Question], figures: Collection[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Keys of the questions that are asked alone, and of those asked at once, for these figures.

    A model holds most memory when it was asked something, whatever answers are known.
    """
    alone_too, at_once_too = bool({"latency", "memory"} & {*figures}), "throughput" in figures
    if not (alone_too and at_once_too):
        keys = [question.key for question in questions]
        return frozenset(keys[: ALONE * alone_too]), frozenset(keys[: AT_ONCE * at_once_too])
    seen: dict[str, int] = defaultdict(int)
    order: dict[str, int] = {}
    alone: set[str] = set()
    at_once: set[str] = set()
    for question in questions[: ALONE + AT_ONCE]:
        name = question.task.name
        turn = seen[name] + order.setdefault(name, len(order))
        seen[name] += 1
        (at_once if turn % 3 else alone).add(question.key)
    return frozenset(alone), frozenset(at_once)


def latency(times: Mapping[str, Sequence[Time]], alone: Collection[str]) -> Interval | None:
    """Mean seconds of those asked alone; a question that was asked again counts once.
    In the order of their keys, so that equal times give an equal mean to the last bit.

    `mean` takes numbers from 0 to 1 for scores, which cannot be larger: so it is given others.
    """
    told = [fmean(one.seconds for one in times[key]) for key in sorted({*times} & {*alone})]
    if not told:
        return None
    found = mean([-seconds for seconds in told])
    return replace(found, value=fmean(told), low=max(-found.high, 0.0), high=-found.low)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Questions that were asked at once: the wall's seconds, and of each answer its time as the
    clocks told it and with fair reading."""

    wall: float
    answers: tuple[tuple[Time, Time], ...]


def throughput(crowds: Sequence[Crowd]) -> float | None:
    """Written tokens per second, reading included; None when nothing was written.

    Seconds of all answers / wall is how many were at work at each moment. With their fair seconds
    the same work at the same width takes so much longer.
    """
    tokens, seconds = 0, 0.0
    for crowd in crowds:
        tokens += sum(fair.tokens for _, fair in crowd.answers)
        was = sum(one.seconds for one, _ in crowd.answers)
        fair_seconds = sum(one.seconds for _, one in crowd.answers)
        seconds += crowd.wall * fair_seconds / was if was else 0.0
    return tokens / seconds if tokens and seconds else None

"""Studies as they are kept, written by the code that keeps them: for pictures of every state."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from workbench.search import Record, Search, strategy
from workbench.space import Space, find_space
from workbench.statistics import Interval, mean
from workbench.trial import Answered, Measured
from workbench.tune import Study, front, objective
from workbench.tune._keep import begin, note
from workbench.tune._race import figures_of

HOSTILE = '<img src=x onerror="window.broken=1"> {{7*7}} \'"</script>'
NAME = "a-study-with-a-name-that-is-as-long-as-nobody-would-write-it-by-hand-0123456789"
MODEL = "a-model-with-a-name-that-is-as-long-as-nobody-would-write-it-0123456789:a-tag"
GOALS = ("maximize_quality", "minimize_latency")
SETTINGS = {"seed": 0, "samples": 30, "held_out": 30, "iterations": 60, "minutes": 60.0,
            "memory_bytes": None, "workers": 1, "warm_start": True}  # fmt: skip


def edited() -> Space:
    """A shipped space without one setting and with other bounds of another one."""
    shipped = find_space("general")
    changed = [replace(one, low=0.2) if one.name == "temperature" else one
               for one in shipped.parameters]  # fmt: skip
    names = [name for name in shipped.names if name != "min_p"]
    return replace(shipped, parameters=tuple(changed)).only(*names)


def write_study(
    name: str = "short", *, space: Space | None = None, trials: int = 0,
    goals: tuple[str, ...] = GOALS, **more: Any,
) -> Study:  # fmt: skip
    """A study with so many trials, each fifth of which ended in another way."""
    made = begin(
        name=name, model=more.pop("model", MODEL), digest="sha256:" + "a" * 64,
        suite=more.pop("suite", "reading-code"), space=(space or find_space("quick")).to_json(),
        strategy="random_search", objectives=list(goals), settings=SETTINGS, result={},
    )  # fmt: skip
    if trials:
        _try(made, trials)
    return note(made, **more) if more else made


def _try(study: Study, count: int) -> None:
    aims = [objective(text) for text in study.objectives]
    record = Record(study.id, [one.direction for one in aims], [one.name for one in aims])
    draw = random.Random(5)
    search = Search(
        study.space, strategy(study.strategy, len(aims)), aims, seed=3, iterations=count,
        record=record, first=[(study.space.default(), "default")],
    )  # fmt: skip
    for number in range(count):
        asked = search.ask()
        assert asked is not None
        search.begin(asked)
        if number % 7 == 4:
            why = f"The engine ended while it loaded the model: {HOSTILE}. Lower num_ctx."
            search.tell(asked, "failed", why=why)
            continue
        ended = number % 7 == 6
        found = measured(asked.point, draw, 8 if ended else 30)
        told = figures_of(found)
        values = [one.value(told, told) for one in aims]
        why = "It cannot get better than trial 3 any more." if ended else ""
        search.tell(asked, "pruned" if ended else "done", values, why=why,
                    measured=found.to_json())  # fmt: skip
    asked = search.ask()
    assert asked is not None
    number = search.begin(asked)  # as one that was known before
    record.end(number, {"state": "repeated", "values": None, "repeats": 0})


def measured(point: Any, draw: random.Random, count: int) -> Measured:
    """Cooler answers are better, long ones of them slower."""
    heat = float(point.get("temperature", 0.8))
    right = [float(draw.random() < 0.75 - 0.4 * abs(heat - 0.3)) for _ in range(count)]
    seconds = 0.4 + 0.3 * draw.random() + 0.2 * (1 - heat)
    answers = tuple(
        Answered(f"q{n}", "words", value, seconds * draw.gauss(1, 0.03), 0.02, 9, 9, 0.08, None,
                 False, group=f"q{n}")
        for n, value in enumerate(right)
    )  # fmt: skip
    return Measured(
        dict(point), answers, mean(right),
        Interval(seconds, seconds * 0.93, seconds * 1.07, 30, "t"), 30 / seconds,
        int(3e8 + 1e8 * draw.random()), 0.5, count, 0, (),
        tuple(one.question for one in answers[:8]),
    )  # fmt: skip


def write_studies() -> Study:
    """One that is done, one that says hostile things and rests, one that failed, a new one."""
    now = datetime.now(UTC)
    words = [f"Trial 3 answers 6.1 points better than now. {HOSTILE}"]
    write_study("new")
    write_study("broken", state="failed", result={"error": f"The model is gone. {HOSTILE}"})
    write_study(
        HOSTILE, space=find_space("everything"), trials=15, goals=("quality - 0.1 * latency",),
        model=HOSTILE, suite=HOSTILE, state="paused", result={"words": words, "notes": words},
    )  # fmt: skip
    made = write_study(NAME, space=edited(), trials=30)
    numbers = [one.number for one in front(made)[:2]]
    held = {"seed": 1, "questions": 30, "runs": {}, "default": {"trial": 0, "run": "abcd"},
            "points": [held_out(number) for number in numbers]}  # fmt: skip
    result = {"words": words, "confirmed": held, "best": numbers[0], "applied": {HOSTILE: {}}}
    return note(made, state="done", ended_at=now, result=result)


def held_out(number: int) -> dict[str, Any]:
    """What a point is worth on questions that the search never saw."""
    quality = {"value": 0.061, "low": 0.012, "high": 0.11}
    aims = [
        {"name": name, "title": title, "value": 0.5, "verdict": verdict}
        for name, title, verdict in (
            ("maximize_quality", "Quality", "better"),
            ("minimize_latency", "Latency", "worse"),
        )
    ]
    return {"trial": number, "run": "abcd", "quality": 0.7, "latency": 0.4, "verdict": "trade",
            "difference": quality, "objectives": aims, "words": HOSTILE}  # fmt: skip

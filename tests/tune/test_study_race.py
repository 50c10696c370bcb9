"""Which trials are ended early: those that are beaten for certain, on what both were asked."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from workbench.search import objectives
from workbench.trial import Answered, Measured, ratio, same_answers
from workbench.trial._records import quality_of
from workbench.trial._speed import Time, latency
from workbench.tune._race import hopeless, worse_than_default

BOTH = objectives(["maximize_quality", "minimize_latency"])
ALONE = frozenset(f"q{n}" for n in range(16))
RIVAL = {"temperature": 0.2, "num_batch": 512}


def measured(
    point: dict[str, Any], *, count: int = 32, times: float = 1.0, better: float = 0.0
) -> Measured:
    """Questions differ much in seconds and quality, points by a factor and a summand."""
    draw = random.Random(1)
    answers = []
    for n in range(count):
        seconds, value = draw.uniform(0.2, 4.0), draw.random() * 0.8
        noise = random.Random(f"{n} {point}").uniform(0.97, 1.03)
        answers.append(Answered(
            f"q{n}", "task", min(1.0, max(0.0, value + better)), seconds * times * noise, None, 10,
            10, seconds, None, cached=False, group=f"q{n}",
        ))  # fmt: skip
    timed = {a.question: [Time(a.seconds, None, 0.0, a.seconds, 10, 10)] for a in answers}
    return Measured(
        point, tuple(answers), quality_of(answers), latency(timed, ALONE), None, 1000, None,
        count, 0, (), tuple(a.question for a in answers if a.question in ALONE),
    )  # fmt: skip


def ended(mine: Measured) -> str:
    rival = measured(RIVAL)
    return hopeless(BOTH, mine, rival, {7: rival})


def test_the_same_answers_but_slower_cannot_win() -> None:
    other = {**RIVAL, "num_batch": 64}
    assert same_answers(RIVAL, other)
    assert "trial 7" in ended(measured(other, count=8, times=1.5))
    assert ended(measured(other, count=8, times=1.05)) == "", "that may be the moment"
    assert ended(measured(other, count=8, times=0.8)) == ""


@pytest.mark.parametrize("name", ["temperature", "kv_cache_type", "num_ctx"])
def test_other_answers_may_still_be_better(name: str) -> None:
    other = {**RIVAL, name: {"temperature": 0.4, "kv_cache_type": "q8_0", "num_ctx": 512}[name]}
    assert not same_answers(RIVAL, other)
    assert ended(measured(other, count=8, times=1.5, better=0.01)) == ""
    assert "trial 7" in ended(measured(other, count=8, times=1.5, better=-0.5))


def test_only_questions_that_were_asked_alone_tell_seconds() -> None:
    slow, rival = measured(RIVAL, times=2.0), measured(RIVAL)
    found = ratio(slow, rival)
    assert found is not None and found.n == 16 and found.value == pytest.approx(0.693, abs=0.01)
    assert ratio(slow, replace(rival, alone=())) is None


def test_where_quality_is_no_goal_bad_answers_end_a_trial() -> None:
    rival, quick = measured(RIVAL), objectives("minimize_latency")
    bad = measured({"temperature": 1.9}, times=0.5, better=-0.5)
    assert "quality is surely below" in worse_than_default(quick, bad, rival)
    assert "quality is surely below" in hopeless(quick, bad, rival, {7: rival})
    assert worse_than_default(BOTH, bad, rival) == ""

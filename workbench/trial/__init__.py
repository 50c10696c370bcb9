"""What a point of a space is worth: questions of a suite, asked under its settings.

    asked = questions("reasoning", seed=1, count=30)
    with Bench("starter", asked, find_space("general")) as bench:
        default, other = bench.measure({}, 30), bench.measure({"temperature": 0.2}, 30)
    print(difference(other, default))  # paired: both were asked the same

One loaded model serves all points that differ in sampling only, and an answer that is known is
not asked again, not even in another study.
"""

from __future__ import annotations

from workbench.trial._bench import Bench
from workbench.trial._held_out import limit, other_seed, planned, unseen
from workbench.trial._questions import Question, questions
from workbench.trial._records import Answered, Measured, difference, ratio
from workbench.trial._setting import same_answers

__all__ = [
    "Answered",
    "Bench",
    "Measured",
    "Question",
    "difference",
    "limit",
    "other_seed",
    "planned",
    "questions",
    "ratio",
    "same_answers",
    "unseen",
]

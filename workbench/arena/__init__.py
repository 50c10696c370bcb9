"""Which of two answers is preferred: by people who do not see the names, and by judging models.

vote("Why?", Side("one", "Because."), Side("two", "It is so."), "a")
ratings()  # Bradley-Terry, with intervals
preferences(path)  # the votes as training data
"""

from __future__ import annotations

from workbench.arena._duel import judge_agreement, run_duel, submit_duel
from workbench.arena._votes import (
    Side,
    Vote,
    next_pair,
    preferences,
    ratings,
    take_back,
    vote,
    votes,
)

__all__ = [
    "Side",
    "Vote",
    "judge_agreement",
    "next_pair",
    "preferences",
    "ratings",
    "run_duel",
    "submit_duel",
    "take_back",
    "vote",
    "votes",
]

"""How answers are scored: from a model's text to a value between 0 and 1, with the reason.

    score(task, sample, "The result is 12.")  # {"numeric": Verdict(value=1.0, detail=…)}

A scorer is a function of answer, sample and tools; others come by the entry point group
`workbench.scorers`. Answers are hostile: nothing here runs, renders or believes them.
"""

from __future__ import annotations

from workbench.scorers._answers import choice_index, meant
from workbench.scorers._model import Agreement, agreement, judge_pair
from workbench.scorers._records import Mode, Sample, Scored, Scorer, ScorerUse, Tools, Verdict
from workbench.scorers._registry import LIKELIHOOD, problem_of, score, scorers

__all__ = [
    "LIKELIHOOD",
    "Agreement",
    "Mode",
    "Sample",
    "Scored",
    "Scorer",
    "ScorerUse",
    "Tools",
    "Verdict",
    "agreement",
    "choice_index",
    "judge_pair",
    "meant",
    "problem_of",
    "score",
    "scorers",
]

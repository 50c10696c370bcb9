"""What a study found: what mattered, what each choice costs and gains, which point to take.

    found = gathered(study, trials, best, front)     # `tune.report(study)` does that
    print(found.words, found.pick)
    drawn(found, "front").show(), html_text(found), exported(study, best, default, "python")

Everything follows from records of a study and its trials: nothing is measured, asked or kept here.
"""

from __future__ import annotations

from workbench.findings._export import (
    PICTURES,
    csv_text,
    exported,
    html_text,
    markdown_text,
    modelfile_of,
    options_of,
)
from workbench.findings._importance import Importance, Importances, Method, importance
from workbench.findings._plots import PLOTS, drawn
from workbench.findings._records import Study, StudyState, Trial, TrialState
from workbench.findings._report import Efficiency, Pick, Report, Step, TradeOff, gathered, pick
from workbench.findings._words import Change, Effect, changes, effects, in_words, label, sentences

__all__ = [
    "PICTURES",
    "PLOTS",
    "Change",
    "Effect",
    "Efficiency",
    "Importance",
    "Importances",
    "Method",
    "Pick",
    "Report",
    "Step",
    "Study",
    "StudyState",
    "TradeOff",
    "Trial",
    "TrialState",
    "changes",
    "csv_text",
    "drawn",
    "effects",
    "exported",
    "gathered",
    "html_text",
    "importance",
    "in_words",
    "label",
    "markdown_text",
    "modelfile_of",
    "options_of",
    "pick",
    "sentences",
]

"""The best settings for this model, this task, this machine: searched, confirmed, applied.

study = create("starter", "reading-code", space="general", objectives="balance_quality_speed")
start(study)                      # a job; trials(study), front(study) while it runs
best(study), study.result         # after it: confirmed on questions that the search never saw
apply(study)                      # makes starter:tuned in the engine
"""

from __future__ import annotations

from workbench.findings import PLOTS, Change, Report, changes, in_words
from workbench.search import (
    FIGURES,
    OBJECTIVES,
    STRATEGIES,
    Found,
    Objective,
    Strategy,
    Tried,
    front_of,
    objective,
    objectives,
    search,
    strategy,
)
from workbench.tune._apply import apply
from workbench.tune._keep import find, studies
from workbench.tune._records import Study, StudyState, Trial, TrialState
from workbench.tune._report import (
    export,
    plot,
    report,
    report_csv,
    report_html,
    report_markdown,
)
from workbench.tune._run import run_study
from workbench.tune._submit import (
    copy,
    create,
    extend,
    join,
    pause,
    remove,
    resume,
    start,
    stop,
    usual_limits,
)
from workbench.tune._trials import best, front, trials

__all__ = [
    "FIGURES",
    "OBJECTIVES",
    "PLOTS",
    "STRATEGIES",
    "Change",
    "Found",
    "Objective",
    "Report",
    "Strategy",
    "Study",
    "StudyState",
    "Trial",
    "TrialState",
    "Tried",
    "apply",
    "best",
    "changes",
    "copy",
    "create",
    "export",
    "extend",
    "find",
    "front",
    "front_of",
    "in_words",
    "join",
    "objective",
    "objectives",
    "pause",
    "plot",
    "remove",
    "report",
    "report_csv",
    "report_html",
    "report_markdown",
    "resume",
    "run_study",
    "search",
    "start",
    "stop",
    "strategy",
    "studies",
    "trials",
    "usual_limits",
]

"""How good, how fast, how sure: models measured on suites, and compared so that chance is known.

    job = submit_matrix(["starter", "other"], ["code"], limit=50)   # or measure(Plan(…)) at once
    print(leaderboard("code").rows)
    found = compare(["3f2a", "91bc"])        # runs, by the beginning of their ids
    print(found.pairs[0].words)

Every answer is kept with what it was asked under; `rescore` scores a run anew without asking.
"""

from __future__ import annotations

from workbench.bench._ask import ask
from workbench.bench._board import Leaderboard, Row, history, leaderboard, pareto
from workbench.bench._cell import SLOTS, together
from workbench.bench._compare import (
    BenchComparison,
    Flip,
    Pair,
    compare,
    flips,
    labels_of,
    swapped,
)
from workbench.bench._keep import answers, delete_runs, get_run, runs
from workbench.bench._keep import begin as begin_run
from workbench.bench._keep import find as find_run
from workbench.bench._keep import note as note_run
from workbench.bench._keep import save as save_answer
from workbench.bench._plots import plot
from workbench.bench._records import Answer, How, Plan, Run, RunResult, TaskResult
from workbench.bench._report import report_csv, report_html, report_markdown
from workbench.bench._results import result
from workbench.bench._run import measure, plans_of, rescore, run_matrix, submit_matrix
from workbench.bench._score import scored
from workbench.bench._summary import METRIC, Summary, summaries, summarise
from workbench.bench._tools import Helpers

__all__ = [
    "METRIC",
    "SLOTS",
    "Answer",
    "BenchComparison",
    "Flip",
    "Helpers",
    "How",
    "Leaderboard",
    "Pair",
    "Plan",
    "Row",
    "Run",
    "RunResult",
    "Summary",
    "TaskResult",
    "answers",
    "ask",
    "begin_run",
    "compare",
    "delete_runs",
    "find_run",
    "flips",
    "get_run",
    "history",
    "labels_of",
    "leaderboard",
    "measure",
    "note_run",
    "pareto",
    "plans_of",
    "plot",
    "report_csv",
    "report_html",
    "report_markdown",
    "rescore",
    "result",
    "run_matrix",
    "runs",
    "save_answer",
    "scored",
    "submit_matrix",
    "summaries",
    "summarise",
    "swapped",
    "together",
]

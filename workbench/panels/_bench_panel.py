"""Benchmarks: which model is better, and how sure are we? Measure, compare, look, vote.

`Benchmarks(suite="code")` in a cell; `benchmarks.state.board` has the leaderboard, and
`benchmarks.state.compare.comparison` what was compared. The same without a panel:
`workbench.bench`.
"""

from __future__ import annotations

import ipywidgets
from traitlets import dlink

from workbench.panels._base import Panel
from workbench.panels._chart import Chart
from workbench.panels.states import BenchState

_PICKED = "view picked deleting"
_MODELS = "engine.models engine.engine"
_COMPARE = "view picked compare.comparison compare.a compare.b compare.problem"
_FLIPS = "compare.flips compare.read compare.rows compare.opened compare.task compare.asked"
_ANSWERS = "answers.result answers.answers answers.task answers.only answers.words answers.rows"
_NEW = "new.models new.suites new.settings new.limit new.seed new.speed new.judge new.busy"
_DUEL = "view arena.sides arena.live arena.complete arena.winner arena.names arena.failure"


class Benchmarks(Panel):
    """All that was measured, on one suite at a time."""

    name = "bench"
    title = "Benchmarks"
    make_state = BenchState
    keywords = ("suite", "view")
    every = 1.0  # seconds: the progress of a measurement is watched here
    columns = (
        (
            ("bench_top", "view suite suites known picked notices problem"),
            ("bench_new", f"view suites known {_NEW} new.problem new.started {_MODELS}"),
            ("bench_jobs", "view jobs.jobs jobs.opened jobs.log"),
            ("bench_board", f"{_PICKED} moved board suites known runs words focus plot {_MODELS}"),
            ("bench_tasks", "view board"),
            ("bench_runs", f"{_PICKED} runs"),
            ("bench_tray", f"{_PICKED} runs board"),
            ("bench_compare", f"{_COMPARE} suites moved"),
            ("bench_flips", f"{_COMPARE} {_FLIPS} compare.judge {_MODELS}"),
            ("bench_export", f"{_COMPARE} compare.report compare.making compare.saved"),
            ("bench_answers", f"view moved runs {_ANSWERS} answers.rescoring answers.problem"),
            ("bench_arena", f"{_DUEL} arena.without arena.draft arena.composer arena.problem "
                            f"arena.suite suites suite {_MODELS}"),
            ("bench_duel", f"{_DUEL} arena.question"),
            ("bench_ratings", "view arena.ratings arena.agreements arena.voted arena.exported"),
        ),
    )  # fmt: skip

    def _draw_columns(self) -> ipywidgets.Box:
        box = super()._draw_columns()
        chart = Chart()  # the page hides it beside everything but a leaderboard
        dlink((self.state, "figure"), (chart, "figure"))
        parts = list(box.children[0].children)
        place = next(at for at, part in enumerate(parts) if part._template == "bench_tasks")
        box.children[0].children = (*parts[:place], chart, *parts[place:])
        return box

"""What the Benchmarks panel knows: suites, the leaderboard of one, picked runs, the view.

All of it is read from the store in a thread: when a view is opened, and again when a run began or
ended. What is picked belongs to the suite that is shown, since only its runs compare.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Enum, Instance, Int, Unicode
from traitlets import Tuple as TupleTrait

from workbench.panels.states._bench_answers import AnswersState
from workbench.panels.states._bench_arena import ArenaState
from workbench.panels.states._bench_compare import BenchCompareState
from workbench.panels.states._bench_new import NewState
from workbench.panels.states._doing import DoingState, toggled
from workbench.panels.states._engine import EngineState
from workbench.panels.states._jobs import JobsState

if TYPE_CHECKING:
    from workbench.bench import Run
    from workbench.jobs import Job

VIEWS = ("board", "new", "compare", "answers", "arena")
KINDS = frozenset({"bench", "judge"})  # of jobs that belong here


@dataclass(frozen=True, slots=True)
class SuiteRow:
    """A suite as a choice. `counts` are the questions of each task."""

    name: str
    title: str
    description: str = ""
    domain: str = ""
    counts: tuple[int, ...] = ()
    runs: int = 0


class BenchState(DoingState):
    """`board` is of `suite`; `runs` are all of its runs, `picked` the ids of those to compare."""

    actions = frozenset({"show", "choose", "draw", "pick", "clear", "open_run", "forget"}) | {"see"}
    settable = frozenset({"deleting"})
    engine = Instance(EngineState, ())
    jobs = Instance(JobsState, ())
    view = Enum(VIEWS, "board")
    suite = Unicode("")  # empty: the one of the newest run
    seed = AnyTrait(None, allow_none=True)  # None: the newest run's
    words = Unicode("")  # that labels must contain
    suites = TupleTrait(default_value=())
    known = Bool(False)  # whether `suites` was read
    often = Dict()  # suite → how many runs it has
    runs = TupleTrait(default_value=())
    board = AnyTrait(None, allow_none=True)
    plot = Unicode("")  # memory, speed or history; empty shows none and loads nothing
    figure = Unicode("")
    picked = TupleTrait(default_value=())
    deleting = Unicode("")  # the run whose deletion waits for a second click, or "picked"
    focus = Unicode("")  # the row to which the keyboard returns
    moved = Int(0)  # counts up when the keyboard goes along with the view; 0: it stays
    notices = TupleTrait(default_value=())  # files of tasks and suites that cannot be read

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.new, self.compare = NewState(source=self), BenchCompareState(source=self)
        self.answers, self.arena = AnswersState(source=self), ArenaState(source=self)
        self._moves = 0
        self._seen: object = None  # what was there when the store was read

    def close(self) -> None:
        self.arena.stop()

    async def refresh(self, *, start: bool = True) -> None:
        """What is being measured; the store where something began or ended; the engine's models."""
        await self.jobs.refresh()
        seen = await asyncio.to_thread(_newest), [(job.id, job.state) for job in self.own_jobs]
        if seen != self._seen:
            self._seen = seen
            await self.look()
            await self._look_for_suites()
        elif self.view == "answers":
            await self.answers.follow()
        await self.engine.refresh(start=start)

    @property
    def own_jobs(self) -> tuple[Job, ...]:
        """Jobs that measure or judge, the newest first."""
        return tuple(job for job in self.jobs.jobs if job.kind in KINDS)

    @property
    def chosen(self) -> SuiteRow:
        """The suite that is shown."""
        found = (row for row in self.suites if row.name == self.suite)
        return next(found, SuiteRow(self.suite, self.suite))

    @property
    def seeds(self) -> list[int]:
        """Seeds of the questions that this suite's runs were asked."""
        return sorted({run.seed for run in self.runs if run.state == "done"})

    @property
    def doomed(self) -> tuple[Run, ...]:
        """The runs that a second click deletes."""
        wanted = set(self.picked) if self.deleting == "picked" else {self.deleting}
        return tuple(run for run in self.runs if run.id in wanted)

    def label(self, id: str) -> str:
        """The run's name, as the board has it."""
        rows = self.board.rows if self.board else ()
        named = {row.result.run.id: row.label for row in rows}
        return named.get(id) or next((f"{r.label} [{id[:4]}]" for r in self.runs if r.id == id), id)

    async def look(self) -> None:
        """Everything that is shown, anew."""
        asked = self.suite, self.seed, self.words, self.plot
        await self.ask(lambda: _read(*asked), self._use)
        part: Any = getattr(self, self.view, None)  # the board is no state of its own
        if isinstance(part, DoingState):
            await part.look()

    def _use(self, found: dict[str, Any]) -> None:
        for name, value in found.items():
            self.set_trait(name, value)
        known = {run.id for run in self.runs}
        self.picked = tuple(id for id in self.picked if id in known)

    async def _look_for_suites(self) -> None:
        """After the board: reading every file of tasks takes longer than a leaderboard."""
        self.suites, self.notices = await asyncio.to_thread(_suites, self.often)
        self.known = True
        if not self.suite and self.suites:
            self.suite = self.suites[0].name

    async def show(self, value: str, move: str = "") -> None:
        """One of the views; the keyboard goes along where what it stood on vanishes."""
        self._moves += 1
        self.view, self.deleting, self.moved = value, "", self._moves if move else 0
        await self.look()
        if value == "new":
            await self._look_for_suites()
            await self.new.look()

    async def choose(self, name: str, value: str) -> None:
        """Another suite, other questions (seed), or words that the labels must contain."""
        if name == "suite":
            self.suite, self.seed, self.words = value, None, ""
            self.picked, self.deleting, self.focus = (), "", ""
        elif name == "seed":
            self.seed = int(value) if value.isdecimal() else None
        elif name == "words":
            self.words = value
        await self.look()

    async def see(self, id: str) -> None:
        """The board of the suite that this job measured first."""
        asked = next((job.arguments.get("suites") for job in self.own_jobs if job.id == id), None)
        known = {row.name for row in self.suites}
        self.view = "board"
        await self.choose("suite", next((name for name in asked or () if name in known), ""))

    async def draw(self, value: str) -> None:
        """Show this plot; plotly is loaded when the first is asked for."""
        self.plot = value
        await self.look()

    def pick(self, id: str) -> None:
        """Put the run among those to compare, or take it out."""
        self.picked, self.deleting = toggled(self.picked, id), ""

    async def clear(self) -> None:
        """Pick none."""
        self.picked, self.deleting = (), ""
        await self.look()

    async def open_run(self, id: str) -> None:
        """Its answers, and all that is known of it."""
        self.focus = self.answers.run = id
        await self.show("answers", "yes")

    async def forget(self, id: str) -> None:
        """Second click: delete for good. Only what was asked about is deleted."""
        ids = [run.id for run in self.doomed] if id and id == self.deleting else []
        self.deleting = ""
        if ids:
            from workbench import bench

            await self.do(lambda: bench.delete_runs(ids))
            await self.look()
            await self._look_for_suites()


def _newest() -> list[Any]:
    """What changes when a run begins or ends anywhere."""
    from workbench import bench

    return [(run.id, run.state, run.ended_at) for run in bench.runs(limit=3)]


def _read(suite: str, seed: int | None, words: str, plot: str) -> dict[str, Any]:
    """Runs, leaderboard and plot, as traits."""
    from workbench import bench

    every = bench.runs()
    suite = suite or (every[0].suite if every else "")
    mine = [run for run in every if run.suite == suite]
    board = bench.leaderboard(suite, seed=seed, filter=words)
    drawn = _drawn(plot, board, mine)
    often = dict(Counter(run.suite for run in every))
    return {"suite": suite, "runs": tuple(mine), "board": board, "figure": drawn, "often": often}


def _suites(often: Mapping[str, int]) -> tuple[tuple[SuiteRow, ...], tuple[str, ...]]:
    """All suites, those with runs first, and the files that cannot be read."""
    from workbench import tasks

    known = tasks.suites()
    rows = [
        SuiteRow(name, one.title, one.description, one.domain, tuple(t.count for t in one.tasks),
                 often.get(name, 0))
        for name, one in known.items()
    ]  # fmt: skip
    gone = "Its file is gone: what was measured can be read, and not be measured again."
    rows += [SuiteRow(name, name, gone, runs=often[name]) for name in often if name not in known]
    rows.sort(key=lambda row: (not row.runs, row.title.lower()))
    return tuple(rows), tasks.problems()


def _drawn(name: str, board: Any, runs: list[Run]) -> str:
    """The plot as plotly's JSON; history has every run of the board's models and questions."""
    from workbench.bench import plot, result

    if not name or not board.rows:
        return ""
    results = [row.result for row in board.rows]
    if name == "history":
        models = {one.run.model for one in results}
        done = [r for r in runs if r.state == "done" and r.seed == board.seed]
        results = [result(run) for run in reversed(done) if run.model in models]
    return str(plot(results, name).to_json())

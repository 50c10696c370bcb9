"""One run: what it was measured under, what it answered, and how that was scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Int, Unicode
from traitlets import Tuple as TupleTrait

from workbench.panels.states._doing import DoingState

if TYPE_CHECKING:
    from workbench.bench import Answer

PAGE = 20  # answers at first, and with each "show more"


class AnswersState(DoingState):
    """`answers` are all of the run's; `found` those that are asked for."""

    actions = frozenset({"choose", "more", "rescore"})
    source = AnyTrait(None, allow_none=True)  # the panel's state
    run = Unicode("")
    result = AnyTrait(None, allow_none=True)
    answers = TupleTrait(default_value=())
    task = Unicode("")  # empty: every task
    only = Unicode("")  # wrong or unscored; empty: all
    words = Unicode("")  # that prompt or answer must contain
    rows = Int(PAGE)
    rescoring = Bool(False)

    async def look(self) -> None:
        """The run anew; without one the newest of the suite."""
        runs = self.source.runs
        if self.run not in {run.id for run in runs}:
            board = self.source.board
            best = [row.result.run.id for row in board.rows] if board else []
            self.run = (best + [run.id for run in runs] + [""])[0]
        id = self.run
        if not id:
            self.result, self.answers = None, ()
            return
        await self.ask(lambda: _read(id), self._use)

    async def follow(self) -> None:
        """New answers of a run that goes on."""
        if self.result is not None and self.result.run.state == "running":
            await self.look()

    def _use(self, found: Any) -> None:
        self.result, self.answers = found

    async def choose(self, name: str, value: str) -> None:
        """Another run, or which of its answers are shown."""
        if name not in {"run", "task", "only", "words"}:
            raise AttributeError(f"Answers are not chosen by {name!r}.")
        self.set_trait(name, value)
        self.rows = PAGE
        if name == "run":
            self.task = self.only = self.words = ""
            await self.look()

    @property
    def titles(self) -> dict[str, str]:
        """Of the run's tasks, by name."""
        return {task.task: task.title for task in self.result.tasks} if self.result else {}

    @property
    def found(self) -> list[Answer]:
        """What passes the filters, in the order of the questions."""
        words = self.words.lower()
        return [
            one
            for one in self.answers
            if self.task in {"", one.task}
            and (self.only != "wrong" or (one.value is not None and one.value < 1))
            and (self.only != "unscored" or one.value is None)
            and (not words or words in f"{one.about.get('prompt')}\n{one.output}".lower())
        ]

    def more(self) -> None:
        """More answers."""
        self.rows += PAGE

    async def rescore(self) -> None:
        """Score all answers by today's scorers, without asking the model again."""
        id, url = self.run, self.source.engine.url or None
        if self.rescoring or not id:
            return
        from workbench import bench

        self.rescoring = True
        try:
            done = await self.do(lambda: bench.rescore(id, engine=url))
        finally:
            self.rescoring = False
        if done:
            await self.source.look()


def _read(id: str) -> Any:
    from workbench import bench

    found = bench.result(id)
    return found, tuple(bench.answers(found.run))

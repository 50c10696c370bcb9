"""Runs side by side: verdicts, the matrix of pairs, the answers that two of them gave differently.

A comparison is made anew when other runs are picked or one of them was scored again, and a report
only when it is asked for, as it holds every pair's examples and all settings.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Int, Unicode
from traitlets import Tuple as TupleTrait

from workbench.panels.states._doing import DoingState

if TYPE_CHECKING:
    from workbench.bench import Flip
    from workbench.statistics import Difference

FORMATS = {"csv": "report_csv", "md": "report_markdown", "html": "report_html"}
PAGE = 20  # flips at first, and with each "show more"
LONGEST = 20_000  # characters of an answer that are compared word by word
Words = tuple[tuple[bool, str], ...]  # (whether only this side has it, text)


@dataclass(frozen=True, slots=True)
class Report:
    """A report, as it was asked for."""

    ending: str
    text: str


def differ(a: str, b: str) -> tuple[Words, Words]:
    """Both texts in pieces, word by word, with what only one of them has."""
    ours, theirs = (re.findall(r"\w+|\s+|[^\w\s]", text[:LONGEST]) for text in (a, b))
    left: list[tuple[bool, str]] = []
    right: list[tuple[bool, str]] = []
    matcher = SequenceMatcher(None, ours, theirs, autojunk=len(ours) > 2000)
    for kind, i, j, k, end in matcher.get_opcodes():
        for side, words in ((left, ours[i:j]), (right, theirs[k:end])):
            if words:
                side.append((kind != "equal", "".join(words)))
    return tuple(left), tuple(right)


class BenchCompareState(DoingState):
    """`comparison` is of the picked runs, the best first; `flips` of run `a` against run `b`."""

    actions = frozenset({"choose", "turn", "open_flip", "more", "make", "save", "ask_judge"})
    settable = frozenset({"judge"})
    source = AnyTrait(None, allow_none=True)  # the panel's state
    comparison = AnyTrait(None, allow_none=True)
    labels = AnyTrait({})
    a, b = Unicode(""), Unicode("")  # ids of runs
    task = Unicode("")  # empty: every task
    flips = TupleTrait(default_value=())
    read = Bool(False)  # whether `flips` are those of this pair and task
    rows = Int(PAGE)
    opened = AnyTrait(None, allow_none=True)  # the flip that is shown, with both texts in pieces
    report = AnyTrait(None, allow_none=True)
    making = Unicode("")  # the ending of a report that is being written
    saved = Unicode("")  # the file that was written last
    judge = Unicode("")
    asked = Unicode("")  # the title of the judge's job
    _key: object = None

    async def look(self) -> None:
        """Compare what is picked, unless that was done."""
        ids = list(self.source.picked)
        ended = [(run.id, run.ended_at) for run in self.source.runs if run.id in ids]
        if len(ids) < 2 or (ids, ended) == self._key:
            return
        self._key = key = ids, ended
        self.comparison = self.opened = self.report = None
        self.flips, self.saved, self.asked = (), "", ""
        found = await self.do(lambda: _compared(ids))
        if found is None or self._key is not key:
            return
        self.comparison, self.labels = found
        if self.a not in ids or self.b not in ids or self.a == self.b:
            self.a, self.b = (one.run.id for one in self.comparison.results[:2])
            self.task = ""
        await self._look_at_flips()

    @property
    def sentences(self) -> list[str]:
        """The verdicts in words: what is sure first, then the largest differences."""
        pairs = self.comparison.pairs if self.comparison else ()
        known = [(pair.overall, pair.words) for pair in pairs]
        known.sort(key=lambda one: _weight(one[0]))
        return [words for _, words in known]

    @property
    def tasks(self) -> dict[str, str]:
        """Titles of all tasks of these runs, by name."""
        results = self.comparison.results if self.comparison else ()
        return {task.task: task.title for one in results for task in one.tasks}

    def between(self, a: str, b: str) -> Difference | None:
        """How run a does against run b."""
        from workbench.bench import swapped

        for first, second in ((a, b), (b, a)):
            pair = self.comparison.pair(first, second)
            if pair is not None and pair.overall is not None:
                found: Difference = pair.overall
                return found if first == a else swapped(found)
        return None

    async def choose(self, trait: str, value: str, other: str = "") -> None:
        """Another run on one side, both sides of a pair, or another task."""
        if trait == "pair":
            self.a, self.b = value, other
        elif trait in {"a", "b", "task"}:
            self.set_trait(trait, value)
        await self._look_at_flips()

    async def turn(self) -> None:
        """The other way round."""
        self.a, self.b = self.b, self.a
        await self._look_at_flips()

    async def _look_at_flips(self) -> None:
        from workbench import bench

        a, b, task = self.a, self.b, self.task or None
        # none of another pair's may be opened meanwhile: it would close when these come
        self.rows, self.opened, self.flips, self.read = PAGE, None, (), False
        await self.ask(lambda: tuple(bench.flips(a, b, task)) if a != b else (), self._show)

    def _show(self, found: tuple[Flip, ...]) -> None:
        self.flips, self.read = found, True

    async def open_flip(self, task: str, sample: str) -> None:
        """Both answers to this question; the same again closes it."""
        found = (one for one in self.flips if (one.task, one.sample) == (task, sample))
        flip: Flip | None = next(found, None)
        if flip is None or (self.opened and self.opened[0] is flip):
            self.opened = None
        else:
            pieces = await asyncio.to_thread(differ, flip.a.output, flip.b.output)
            self.opened = (flip, *pieces)

    def more(self) -> None:
        """More flips."""
        self.rows += PAGE

    async def make(self, value: str) -> None:
        """Write the report in this format."""
        from workbench import bench

        write, ids = getattr(bench, FORMATS[value]), [r.run.id for r in self.comparison.results]
        self.report, self.saved, self.making = None, "", value
        try:
            self.report = await self.do(lambda: Report(value, write(ids)))
        finally:
            self.making = ""

    async def save(self) -> None:
        """Write the report into the home's folder `exports`."""
        from workbench import settings

        path = settings.home() / "exports" / f"benchmarks.{self.report.ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(path.write_text, self.report.text, encoding="utf-8")
        self.saved = str(path)

    async def ask_judge(self) -> None:
        """Let the chosen model judge the pair's answers, in a job."""
        from workbench import arena

        a, b, judge = self.a, self.b, self.judge
        if judge and a != b:
            self.asked = ""
            job = await self.do(lambda: arena.submit_duel(a, b, judge))
            self.asked = job.title if job else ""
            await self.source.jobs.refresh()


def _compared(ids: list[str]) -> Any:
    from dataclasses import replace

    from workbench import bench

    found = bench.compare(ids)
    best = sorted(found.results, key=lambda one: -(one.score.value or 0) if one.score else 1)
    labels = bench.labels_of([one.run.id for one in best], best)
    return replace(found, results=tuple(best)), labels


def _weight(difference: Difference | None) -> tuple[int, float]:
    if difference is None or difference.value is None:
        return 2, 0.0
    return int(difference.verdict == "undecided"), -abs(difference.value)

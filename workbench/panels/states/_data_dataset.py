"""One dataset: what it is made of, its examples as a model sees them, what is wrong, its versions.

A dataset never changes, so what was worked out about one is kept by its digest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

from traitlets import Any as AnyTrait
from traitlets import Dict, Enum, Int, Unicode
from traitlets import Tuple as TupleTrait

from workbench.errors import DataError
from workbench.panels.states._data_make import CodeState, SplitState
from workbench.panels.states._doing import DoingState

PARTS = ("overview", "report", "examples", "checks", "make", "versions")
WINDOW = 20  # examples that are read at once
SMALL = 2_000_000  # characters of a dataset that is checked without being asked for


class DatasetState(DoingState):
    """`dataset` is None while the list is shown. Answers belong to it and are None until known."""

    actions = frozenset({"turn_to", "verify", "choose", "compare", "again"})
    source = AnyTrait(None, allow_none=True)  # the panel's state
    label = Unicode("")
    dataset = AnyTrait(None, allow_none=True)
    part = Enum(PARTS, "overview")
    versions = TupleTrait(default_value=())
    parent = AnyTrait(None, allow_none=True)  # the dataset that it was made from
    about = TupleTrait(default_value=())  # what its first example says about itself
    statistics = AnyTrait(None, allow_none=True)
    wrong = AnyTrait(None, allow_none=True)  # of its files; an empty tuple where all are whole
    validation = AnyTrait(None, allow_none=True)
    verdicts = Dict()  # digest → verdict
    split_name = Unicode("")  # whose examples are shown
    at = Int(0)
    example = AnyTrait(None, allow_none=True)  # with how it is rendered, its tokens, who counted
    model = Unicode("")  # whose template and tokens; empty: ChatML and an estimate
    against = Unicode("")  # the label of the one that it is compared with
    difference = AnyTrait(None, allow_none=True)
    remade = Unicode("")  # the title of the job that makes it again

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.split, self.code = SplitState(source=self), CodeState(source=self)
        self._window: tuple[Any, ...] = ()
        self._from: object = None  # digest, split and place of the window
        self._working: set[tuple[str, str, str]] = set()
        self._judging: asyncio.Task[None] | None = None

    @property
    def jobs(self) -> Any:
        """Those of the page; the forms look there when they have begun one."""
        return self.source.jobs

    @property
    def comparable(self) -> list[Any]:
        """What it can be compared with: its versions, what it was made from, other datasets."""
        known = [*self.versions, *filter(None, [self.parent]), *self.source.datasets]
        others = {one.digest: one for one in known}
        others.pop(self.dataset.digest, None)
        return list(others.values())

    def open(self, label: str, part: str) -> None:
        """Look at this dataset when the view is drawn next; at the list, where it is empty."""
        self.label, self.dataset, self.part, self.problem = label, None, part, ""

    async def look(self) -> None:
        """The dataset anew, and what its part shows; of the list, the verdicts."""
        if not self.label:
            if self._judging is None or self._judging.done():
                self._judging = asyncio.ensure_future(self._judge())
            return
        label = self.label
        found = await self.do(lambda: _found(label))
        if self.label != label:
            return
        dataset, self.versions, self.parent, self.about = found or (None, (), None, ())
        if dataset and (self.dataset is None or self.dataset.digest != dataset.digest):
            self.statistics = self.wrong = self.validation = self.example = None
            self.difference, self.against, self.remade, self.at = None, "", "", 0
            self.split_name = next(iter(dataset.splits))
            self.split.begin(dataset)
            self.code.begin(dataset)
        self.dataset = dataset
        await self._look_at_part()

    async def _look_at_part(self) -> None:
        dataset, asked = self.dataset, (self.model, self.source.engine.url or None)
        if dataset is None:
            return
        if self.part == "overview" and self.statistics is None:
            await self._work_out("statistics", partial(_measured, dataset, *asked))
        elif self.part == "checks" and self.validation is None:
            await self._work_out("validation", partial(_judged, dataset, *asked))
        elif self.part == "examples":
            place = self.split_name, self.at
            await self.ask(
                lambda: self._rendered(dataset, *place, *asked),
                lambda found: self._keep(dataset, "example", found),
            )

    async def _work_out(self, name: str, work: Callable[[], Any]) -> None:
        """Once at a time: a large dataset takes long, and people turn pages meanwhile."""
        dataset, model = self.dataset, self.model
        if (asked := (name, dataset.digest, model)) in self._working:
            return
        self._working.add(asked)
        try:
            found = await self.do(work)
        finally:
            self._working.discard(asked)
        if self.model == model:
            self._keep(dataset, name, found)

    def _keep(self, dataset: Any, name: str, found: Any) -> None:
        """What was worked out, where the same dataset is still looked at."""
        if found is not None and name == "validation":
            self.verdicts = {**self.verdicts, dataset.digest: found.verdict}
        if self.dataset is not None and self.dataset.digest == dataset.digest:
            self.set_trait(name, found)

    async def _judge(self) -> None:
        """The verdicts of small datasets for the list, one after the other."""
        for dataset in self.source.datasets:
            new = dataset.digest not in self.verdicts and dataset.characters <= SMALL
            if new and not self.label:
                self._keep(dataset, "validation", await self.do(partial(_judged, dataset)))

    def close(self) -> None:
        if self._judging is not None:
            self._judging.cancel()

    async def turn_to(self, value: str) -> None:
        """Another part of the dataset."""
        self.part, self.source.deleting = value, ""
        await self._look_at_part()

    async def choose(self, name: str, value: str) -> None:
        """Another model, split or example; an example by its number from 1, or "+1" and "-1"."""
        if name == "model":
            self.model, self.statistics, self.validation = value, None, None
        elif name == "split_name" and value in self.dataset.splits:
            self.split_name, self.at = value, 0
        elif name == "at" and value.lstrip("+-").isdecimal() and len(value) < 12:
            at = self.at + int(value) if value[0] in "+-" else int(value) - 1
            self.at = max(0, min(at, self.dataset.splits[self.split_name] - 1))
        await self._look_at_part()

    def _rendered(self, dataset: Any, split: str, at: int, model: str, url: str | None) -> Any:
        """In a thread: the example, how it is rendered, its tokens, and who counted them."""
        from workbench import data

        begin = at - at % WINDOW
        if self._from != (dataset.digest, split, begin):
            self._window = tuple(islice(data.examples(dataset, split), begin, begin + WINDOW))
            self._from = dataset.digest, split, begin
        example = self._window[at - begin]
        with data.reader(model, url) as reader:
            rendered = reader.render(example)
            return example, rendered, reader.tokens.count(rendered.text), reader.tokens

    async def verify(self) -> None:
        """Whether the files are still what they were."""
        from workbench import data

        dataset = self.dataset
        self._keep(dataset, "wrong", await self.do(lambda: tuple(data.verify(dataset))))

    async def compare(self, value: str) -> None:
        """What is new since that one, and what is gone; none where the value is empty."""
        from workbench import data

        dataset, self.difference, self.against = self.dataset, None, value
        if value:
            found = await self.do(lambda: data.diff(data.find(value), dataset))
            if self.against == value:
                self._keep(dataset, "difference", found)

    async def again(self) -> None:
        """Make it again from its recipe, in a job."""
        from workbench import data

        label = self.dataset.label
        job = await self.do(lambda: data.remake(label))
        self.remade = job.title if job else ""
        await self.jobs.refresh()


def _found(label: str) -> Any:
    from workbench import data

    dataset = data.find(label)
    try:
        parent = data.find(dataset.parent) if dataset.parent else None
    except DataError:  # it was deleted
        parent = None
    try:
        about = tuple(next(data.examples(dataset)).about)
    except (DataError, OSError):  # a file is damaged or gone: the checks tell
        about = ()
    return dataset, tuple(data.history(dataset.name)), parent, about


def _measured(dataset: Any, model: str, url: str | None) -> Any:
    from workbench import data

    with data.reader(model, url) as reader:
        return data.statistics(dataset, reader.tokens, reader.template)


def _judged(dataset: Any, model: str = "", url: str | None = None) -> Any:
    from workbench import data

    if not model:
        return data.validate(dataset)
    with data.reader(model, url) as reader:
        return data.validate(
            dataset, context_length=reader.context_length, count=reader.tokens.counts
        )

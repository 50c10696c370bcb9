"""What the Models panel knows: all cards, what is asked of them, which is opened, what installs.

Cards come from `workbench.catalogue`, gathered in a thread when the panel is first shown and again
when the engine's models change. Nothing asks the network before a button was pressed.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Enum, Instance, Int, Unicode, default
from traitlets import Tuple as TupleTrait

from workbench.errors import EngineError, WorkbenchError
from workbench.panels.states._asking import AskingState
from workbench.panels.states._compare import CompareState
from workbench.panels.states._engine import EngineState
from workbench.panels.states._fit import FitState
from workbench.panels.states._jobs import JobsState
from workbench.panels.states._recommend import RecommendState

if TYPE_CHECKING:
    from workbench.cards import Card
    from workbench.catalogue import Catalogue, Filters, PerformanceScore, Results
    from workbench.jobs import Job

PAGE = 60  # rows at first, and with each "show more"
NUMBERS = frozenset({"min_context", "max_parameters", "max_memory", "min_performance"})


class CatalogueState(AskingState):
    """`results` are of `filters` on `profile`; `cards` replace the ones that would be gathered."""

    actions = frozenset({"change", "clear", "more", "machine", "go_online"}) | frozenset(
        {"show", "open_card", "leave", "install", "play"}
    )
    engine = Instance(EngineState, ())
    jobs = Instance(JobsState, ())
    cards = AnyTrait(None, allow_none=True)
    catalogue = AnyTrait(None, allow_none=True)
    text = Unicode("")  # what is searched at first
    filters = AnyTrait()
    results = AnyTrait(None, allow_none=True)
    rows = Int(PAGE)
    notices = TupleTrait(default_value=())
    asking = Bool(False)  # the network
    profile = AnyTrait(None, allow_none=True)
    machines = Dict()  # name → title of what can be asked about
    wanted = Unicode("this")  # the machine, as it was asked for
    other = Bool(False)  # another machine than the named ones is being described
    view = Enum(("browse", "recommend", "compare"), "browse")
    opened = Unicode("")  # the card that is shown
    focus = Unicode("")  # the row to which the keyboard returns
    opener = AnyTrait(None, allow_none=True)  # called with a model's name to play with

    def __init__(self, machine: str = "this", **values: Any) -> None:
        super().__init__(wanted=machine, **values)
        self.fit = FitState(jobs=self.jobs)
        self.compare, self.advice = CompareState(source=self), RecommendState(source=self)
        self._seen: object = None  # what was here when the cards were gathered
        self._live: tuple[Card, ...] = ()
        self._scores: dict[object, PerformanceScore | None] = {}

    @default("filters")  # type: ignore[untyped-decorator]
    def _first_filters(self) -> Filters:  # the room is loaded when the panel is opened
        from workbench.catalogue import Filters

        return Filters(text=self.text)

    async def refresh(self, *, start: bool = True) -> None:
        """Cards first: they need no engine. Then the engine's models, and what is being done."""
        await self.jobs.refresh()
        if self.catalogue is None:
            await self.engine.refresh(start=False)
            await self._gather()
        try:
            await self.engine.refresh(start=start)
        finally:
            if self._seen != self._here:
                await self._gather()

    @property
    def _here(self) -> object:
        """What the cards depend on: the engine's models and this machine's calibrations."""
        done = [job.id for job in self.jobs.jobs if job.kind == "calibrate" and job.ended]
        return [(model.name, model.digest) for model in self.engine.models], done

    async def _gather(self) -> None:
        """All cards anew, and what depends on them."""
        from workbench.machines import find_profile, profiles

        self._seen = self._here
        self.profile = await asyncio.to_thread(find_profile, self.wanted)
        self.machines = {name: one.title for name, one in profiles().items()}
        self.catalogue = await asyncio.to_thread(self._gathered)
        self.notices = tuple(self.catalogue.problems)
        await self.look()
        self._pricing = asyncio.ensure_future(asyncio.to_thread(self._price_all))

    def _price_all(self) -> None:
        """Price every card in short steps, so that no later search waits for it."""
        prices = self.catalogue.prices(self.profile)
        while not prices.complete(0.01):
            time.sleep(0.02)

    def _gathered(self) -> Catalogue:
        """All cards; without an engine, those that need none."""
        from workbench.cards import merge
        from workbench.catalogue import Catalogue, gather
        from workbench.engines import connect

        with ExitStack() as opened:
            engine = None
            with suppress(EngineError):
                engine = opened.enter_context(connect(self.engine.url or None, start=False))
            found = gather(engine, live=self._live)
        if self.cards is None:
            return found
        return Catalogue(merge([card for card in found if card.installed], self.cards))

    async def look(self) -> None:
        """Everything that is shown, anew."""
        catalogue, filters, profile = self.catalogue, self.filters, self.profile
        if catalogue is None:
            return

        def search() -> Results:
            found: Results = catalogue.search(filters, profile=profile)
            _ = found.hits[:PAGE]  # prices them here, not on the loop
            return found

        await self.ask(search, lambda found: self.set_trait("results", found))
        if self.view != "browse":
            await (self.compare if self.view == "compare" else self.advice).look()
        if self.opened:
            await self.fit.about(self.card, profile)

    async def change(self, name: str, value: str, down: str = "") -> None:
        """One of the filters; empty takes it back. Nonsense is told in `problem`.

        For what is sorted by, `down` is yes or no, else as that column likes it.
        """
        plain = getattr(type(self.filters)(), name)
        wanted: Any = value == "yes" if isinstance(plain, bool) else value or plain
        if name in NUMBERS and value:
            wanted = float(value) if value.replace(".", "", 1).isdecimal() else math.nan
        order = {"descending": {"yes": True, "no": False}.get(down)} if name == "sort" else {}
        await self._ask(replace(self.filters, **{name: wanted}, **order))

    async def clear(self) -> None:
        """All models again."""
        await self._ask(type(self.filters)())

    async def _ask(self, filters: Filters) -> None:
        self.filters, self.rows, self.focus = filters, PAGE, ""
        await self.look()

    async def more(self) -> None:
        """More rows."""
        self.rows += PAGE

    async def machine(self, value: str) -> None:
        """Ask about this machine or another one: a profile's name, or words like "24 GB GPU"."""
        from workbench.machines import find_profile

        if value == "other":
            self.other = True
            return
        await self.ask(lambda: find_profile(value), lambda found: self.set_trait("profile", found))
        if not self.problem:
            self.wanted, self.other = value, False
            await self.look()

    async def go_online(self) -> None:
        """Ask the Hugging Face Hub for the search field's words, because a button was pressed."""
        from workbench.cards import hub_search

        self.asking = True
        found = await asyncio.to_thread(hub_search, self.filters.text)
        self.asking, self._live = False, tuple(found.cards)
        await self._gather()
        self.notices += tuple(found.problems)

    @property
    def card(self) -> Card | None:
        """The opened card; None when it is gone."""
        with suppress(WorkbenchError):
            return self.catalogue.get(self.opened) if self.catalogue and self.opened else None
        return None

    def score(self, card: Card) -> PerformanceScore | None:
        """The card's performance score, with what it rests on; remembered, as rows ask often."""
        from workbench.catalogue import performance_score

        key = (card.publisher, card.scores)
        if key not in self._scores:
            self._scores[key] = performance_score(card)
        return self._scores[key]

    async def show(self, value: str) -> None:
        """One of the views."""
        self.view, self.opened = value, ""
        await self.look()

    async def open_card(self, name: str) -> None:
        """The page of this card."""
        self.opened = name
        await self.look()

    def leave(self) -> None:
        """Back to where the card was opened."""
        self.focus, self.opened = self.opened, ""

    def play(self, name: str) -> None:
        """Open this model in the Playground."""
        if self.opener is not None:
            self.opener(name)

    async def install(self, name: str) -> None:
        """Fetch this model, as a job; one that was broken off goes on."""
        from workbench import jobs

        job = self.installing(name)
        if job is None or job.state == "done":
            given = {"name": name, "url": self.engine.url or None}
            words = {"title": f"Install {name}", "kind": "install"}
            target = "workbench.catalogue:install"
            await asyncio.to_thread(lambda: jobs.submit(target, given, **words))
            await self.jobs.refresh()
        elif job.ended:
            await self.jobs.resume(job.id)

    def installing(self, name: str) -> Job | None:
        """The newest job that installs this name."""
        found = (job for job in self.jobs.jobs if job.kind == "install")
        return next((job for job in found if job.arguments.get("name") == name), None)

"""What the opened card takes of the machine, priced again while a slider moves.

A setting is a place in a list of sensible values, so that a slider reaches all of them and a page
can send nothing else.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from traitlets import Any as AnyTrait
from traitlets import Bool, Instance, Unicode

from workbench.panels.states._asking import AskingState
from workbench.panels.states._jobs import JobsState

if TYPE_CHECKING:
    from workbench.cards import Card
    from workbench.fit import Profile


class FitState(AskingState):
    """`answer` is of `card` on `profile`; None while it cannot be told."""

    actions = frozenset({"price", "reset", "calibrate"})
    jobs = Instance(JobsState, ())
    card = AnyTrait(None, allow_none=True)
    profile = AnyTrait(None, allow_none=True)
    load = AnyTrait(None, allow_none=True)
    quantisation = Unicode("")  # empty: the card's own
    by_hand = Bool(False)  # the layers on the card are; else as many as fit
    answer = AnyTrait(None, allow_none=True)

    async def about(self, card: Card | None, profile: Profile | None) -> None:
        """Another card, or another machine: settings stay while the card does."""
        from workbench.catalogue import price_card
        from workbench.fit import Load

        if self.card is None or card is None or card.name != self.card.name:
            trained = (card and card.context) or Load().context
            self.load = Load(context=min(Load().context, trained))  # as the engine does
            self.quantisation, self.by_hand, self.answer = "", False, None
        self.card, self.profile = card, profile
        if card is not None and profile is not None:
            load, quantisation, by_hand = self.load, self.quantisation, self.by_hand
            await self.ask(
                lambda: price_card(card, profile, load, quantisation, by_hand=by_hand),
                lambda found: self.set_trait("answer", found if self.card is card else None),
            )

    async def price(self, name: str, value: str) -> None:
        """Put a slider on its `value`-th place; "auto" is as many layers as fit."""
        values = self.answer.choices.get(name, ()) if self.answer else ()
        if name == "gpu_layers":
            self.by_hand = value != "auto"
        if value.isdecimal() and int(value) < len(values):
            if name == "quantisation":
                self.quantisation = values[int(value)]
            else:
                self.load = replace(self.load, **{name: values[int(value)]})
        await self.about(self.card, self.profile)

    async def reset(self) -> None:
        """The settings as they were."""
        card, self.card = self.card, None
        await self.about(card, self.profile)

    async def calibrate(self) -> None:
        """Measure this machine, as a job."""
        from workbench import jobs

        if not any(job.kind == "calibrate" and not job.ended for job in self.jobs.jobs):
            words = {"title": "Calibrate this machine", "kind": "calibrate"}
            await asyncio.to_thread(
                lambda: jobs.submit("workbench.machines:calibrate", {}, **words)
            )
            await self.jobs.refresh()

"""What the opened card takes of the machine, priced again while a slider moves.

A setting is a place in a list of sensible values, so that a slider reaches all of them and a page
can send nothing else. The ledger's own figures about such estimates stand beside them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Instance, Unicode

from workbench.panels.states._asking import AskingState
from workbench.panels.states._jobs import JobsState

if TYPE_CHECKING:
    from workbench.cards import Card
    from workbench.fit import ErrorRow, Fit, Load, Network, Profile

CONTEXTS = tuple(2**power for power in range(9, 21))


@dataclass(frozen=True, slots=True)
class Answer:
    """What was priced, how its settings can be changed, and what else would fit."""

    fit: Fit
    quantisation: str
    choices: dict[str, tuple[Any, ...]]  # setting → the values that its slider reaches
    largest_context: int | None = None
    best: str | None = None  # quantisation
    errors: tuple[ErrorRow, ...] | None = None  # None: only the file's size is known


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
        from workbench.fit import Load

        if self.card is None or card is None or card.name != self.card.name:
            self.load, self.quantisation, self.by_hand, self.answer = Load(), "", False, None
        self.card, self.profile = card, profile
        if card is not None and profile is not None:
            load, quantisation, by_hand = self.load, self.quantisation, self.by_hand
            await self.ask(
                lambda: _answer(card, profile, load, quantisation, by_hand),
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
            await asyncio.to_thread(lambda: jobs.submit("workbench.fit:calibrate", {}, **words))
            await self.jobs.refresh()


def _answer(card: Card, profile: Profile, load: Load, mix: str, by_hand: bool) -> Answer:
    """Price a card. Raises FitError."""
    from workbench import fit
    from workbench.catalogue import fit_card, network_for

    network = network_for(card, mix or None)
    found = fit_card(card, profile, load, mix or None)
    if network is None:
        return Answer(found, mix or card.quantisation or "", {})
    if by_hand:
        taken = fit.memory(network, load)
        beside = sum(gpu.memory for gpu in profile.gpus) - (taken.gpu.value if taken.gpu else 0)
        room = int(min(profile.memory - taken.ram.value, beside))
        places = {0: "ram", network.architecture.layers + 1: "gpu"}
        verdict = "no" if room < 0 else places.get(load.gpu_layers, "split")
        speed = fit.profile_speed(network, load, profile)
        found = fit.Fit(verdict, taken, speed, load, room, None)
    here = fit.errors() if profile.name == "this" else ()
    return Answer(
        found,
        mix or network.quantisation,
        _choices(card, network, profile),
        fit.largest_context(network, load, profile),
        fit.best_quantisation(network.architecture, load, profile),
        tuple(here),
    )


def _choices(card: Card, network: Network, profile: Profile) -> dict[str, tuple[Any, ...]]:
    """What each slider reaches; quantisations are those that can be had, small ones first."""
    from workbench.catalogue import network_for
    from workbench.fit import CACHE_TYPES

    longest = card.context or network.architecture.context or CONTEXTS[-1]
    layers = network.architecture.layers + 1 if profile.gpus else 0
    mixes = [one.quantisation for one in card.variants]
    known = {name: network_for(card, name) for name in mixes} | {network.quantisation: network}
    sizes = {name: sum(t.bytes for t in one.tensors) for name, one in known.items() if one}
    return {
        "quantisation": tuple(sorted(sizes, key=sizes.__getitem__)),
        "context": (*(size for size in CONTEXTS if size < longest), longest),
        "slots": (1, 2, 3, 4, 6, 8, 12, 16),
        "cache_type": CACHE_TYPES,
        "gpu_layers": tuple(range(layers + 1)) if layers else (),
    }

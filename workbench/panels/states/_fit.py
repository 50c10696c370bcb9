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
    from workbench.catalogue import Card
    from workbench.fit import ErrorRow, Fit, Load, Network, Profile
    from workbench.jobs import Job

CALIBRATE = "workbench.fit:calibrate"
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
        values = self.answer.choices[name] if self.answer else ()
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

        if self.calibrating is None or self.calibrating.ended:
            title = "Calibrate this machine"
            await asyncio.to_thread(lambda: jobs.submit(CALIBRATE, title=title, kind="calibrate"))
            await self.jobs.refresh()

    @property
    def calibrating(self) -> Job | None:
        """The newest calibration."""
        return next((job for job in self.jobs.jobs if job.kind == "calibrate"), None)


def _answer(card: Card, profile: Profile, load: Load, mix: str, by_hand: bool) -> Answer:
    """Price a card. Raises FitError."""
    from workbench import fit
    from workbench.catalogue import fit_card, network_for

    network = network_for(card, mix or None)
    found = fit_card(card, profile, load, mix or None)
    if network is None:
        return Answer(found, mix or card.quantisation or "", {})
    if by_hand:
        found = _by_hand(network, load, profile, found)
    here = fit.errors() if profile.name == "this" else ()
    return Answer(
        found,
        mix or network.quantisation,
        _choices(card, network, profile),
        fit.largest_context(network, load, profile),
        fit.best_quantisation(network.architecture, load, profile),
        tuple(here),
    )


def _by_hand(network: Network, load: Load, profile: Profile, found: Fit) -> Fit:
    """The fit with as many layers on the card as were chosen."""
    from workbench.fit import memory, profile_speed

    taken = memory(network, load)
    cards = sum(gpu.memory for gpu in profile.gpus)
    room = min(profile.memory - taken.ram.value, cards - (taken.gpu.value if taken.gpu else 0))
    verdict = "no" if room < 0 else "split" if load.gpu_layers else "ram"
    speed = profile_speed(network, load, profile)
    return replace(
        found, verdict=verdict, memory=taken, speed=speed, load=load, headroom=int(room), reasons=()
    )


def _choices(card: Card, network: Network, profile: Profile) -> dict[str, tuple[Any, ...]]:
    """What each slider reaches; quantisations are those that can be had, small ones first."""
    from workbench.catalogue import network_for
    from workbench.fit import CACHE_TYPES

    longest = card.context or network.architecture.context or CONTEXTS[-1]
    layers = network.architecture.layers + 1 if profile.gpus else 0
    sizes = {network.quantisation: sum(tensor.bytes for tensor in network.tensors)}
    for one in card.variants:
        other = network_for(card, one.quantisation)
        if other is not None:
            sizes[one.quantisation] = sum(tensor.bytes for tensor in other.tensors)
    return {
        "quantisation": tuple(sorted(sizes, key=lambda name: sizes[name])),
        "context": (*(size for size in CONTEXTS if size < longest), longest),
        "slots": (1, 2, 3, 4, 6, 8, 12, 16),
        "cache_type": CACHE_TYPES,
        "gpu_layers": tuple(range(layers + 1)) if layers else (),
    }

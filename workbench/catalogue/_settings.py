"""A card under settings of one's own: what it takes then, and which other settings it has.

For whoever lets a person choose: the values of each setting, in order, and beside the price what
would be the largest context and the best quantisation. The ledger's figures about such estimates
come along, for this machine only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.cards import Card
from workbench.catalogue._compatibility import fit_card
from workbench.catalogue._networks import network_for
from workbench.fit import (
    CACHE_TYPES,
    ErrorRow,
    Fit,
    Load,
    Network,
    Profile,
    best_quantisation,
    errors,
    largest_context,
    memory_on,
)
from workbench.machines import profile_speed

CONTEXTS = tuple(2**power for power in range(9, 21))


@dataclass(frozen=True, slots=True)
class PricedCard:
    """What was priced, how its settings can be changed, and what else would fit."""

    fit: Fit
    quantisation: str
    choices: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  # setting → values
    largest_context: int | None = None
    best: str | None = None  # quantisation
    errors: tuple[ErrorRow, ...] | None = None  # None: only the file's size is known


def price_card(
    card: Card, profile: Profile, load: Load, quantisation: str = "", *, by_hand: bool = False
) -> PricedCard:
    """Price a card; `by_hand` takes `load.gpu_layers` as it is, else as many as fit are chosen.

    Raises FitError when the machine or the load makes no sense.
    """
    network = network_for(card, quantisation or None)
    found = fit_card(card, profile, load, quantisation or None)
    if network is None:
        return PricedCard(found, quantisation or card.quantisation or "")
    if by_hand:
        found = _by_hand(network, load, profile)
    return PricedCard(
        found,
        quantisation or network.quantisation,
        _choices(card, network, profile),
        largest_context(network, load, profile),
        best_quantisation(network, load, profile),
        tuple(errors()) if profile.name == "this" else (),
    )


def _by_hand(network: Network, load: Load, profile: Profile) -> Fit:
    taken = memory_on(network, load, profile)
    beside = sum(gpu.memory for gpu in profile.gpus) - (taken.gpu.value if taken.gpu else 0)
    room = int(min(profile.memory - taken.ram.value, beside))
    places = {0: "ram", network.architecture.layers + 1: "gpu"}
    verdict = "no" if room < 0 else places.get(load.gpu_layers, "split")
    return Fit(verdict, taken, profile_speed(network, load, profile), load, room, None)


def _choices(card: Card, network: Network, profile: Profile) -> dict[str, tuple[Any, ...]]:
    """The values of each setting; quantisations are those that can be had, small ones first."""
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

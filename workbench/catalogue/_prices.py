"""What every card would take of a machine: memory, the largest context, speed.

Cards of one network in one quantisation share a price, so the work grows with the networks and
not with the cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.catalogue._card import Card
from workbench.errors import FitError
from workbench.fit import Load, Network, Profile, computed_network, fit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_QUANTISATION = "Q4_K_M"
ANY_MACHINE = Profile("any", "a machine without limits", 1 << 62)


@dataclass(frozen=True, slots=True)
class Price:
    """What one card takes; None is what cannot be told."""

    verdict: str = "unknown"  # as in fit.Fit
    memory: int | None = None  # bytes, of main memory and the graphics card together
    largest_context: int | None = None  # tokens that fit
    speed: float | None = None  # tokens per second of an answer


def network_for(card: Card, quantisation: str | None = None) -> Network | None:
    """The card's network in a quantisation (None: its own); None when it cannot be told."""
    wanted = quantisation or card.quantisation or DEFAULT_QUANTISATION
    if card.network is not None and (quantisation or card.network.quantisation) in {
        wanted,
        card.network.quantisation,
    }:
        return card.network
    if card.architecture is None:
        return None
    try:
        return computed_network(card.architecture, wanted)
    except FitError:
        return None


class Prices:
    """The prices of a catalogue's cards, in their order. Columns hold NaN for None."""

    def __init__(self, prices: Sequence[Price]) -> None:
        import numpy as np

        self._prices = prices
        nan = float("nan")
        self.memory: NDArray[np.floating[Any]] = np.array(
            [nan if one.memory is None else one.memory for one in prices], dtype=float
        )
        self.speed: NDArray[np.floating[Any]] = np.array(
            [nan if one.speed is None else one.speed for one in prices], dtype=float
        )
        self.fits: NDArray[np.bool_] = np.array(
            [one.verdict not in {"no", "unknown"} for one in prices], dtype=bool
        )

    def of(self, place: int) -> Price:
        return self._prices[place]


def price(network: Network | None, profile: Profile, load: Load) -> Price:
    """What a network takes of a machine."""
    if network is None:
        return Price()
    found = fit(network, load, profile)
    taken = found.memory
    needed = None
    if taken is not None:
        needed = int(taken.ram.value + (taken.gpu.value if taken.gpu else 0))
    speed = found.speed.generation.value if found.speed else None
    return Price(found.verdict, needed, None, speed)

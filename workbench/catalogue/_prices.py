"""What every card would take of a machine: memory, verdict, speed, largest context.

Cards of one network in one quantisation share a price, which is computed when it is first looked
at and kept: moving a slider prices the rows on the screen, and a filter by memory the different
networks of what the other filters left, not every card. All numbers are `workbench.fit`'s.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.catalogue._card import Card
from workbench.errors import FitError
from workbench.fit import (
    Load,
    Network,
    Profile,
    computed_network,
    fit,
    largest_context,
    profile_speed,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]
    Places = NDArray[np.integer[Any]]

DEFAULT_QUANTISATION = "Q4_K_M"  # of a card that does not say which it gets
ANY_MACHINE = Profile("any", "a machine without limits", 1 << 62)
_TOO_MUCH = frozenset({"no", "unknown"})


@dataclass(frozen=True, slots=True)
class Price:
    """What one card takes; None is what cannot be told."""

    verdict: str = "unknown"  # as in fit.Fit
    memory: int | None = None  # bytes, of main memory and graphics cards together
    speed: float | None = None  # tokens per second of an answer
    load: Load | None = None  # as priced, with the layers on graphics cards that were chosen


def network_for(card: Card, quantisation: str | None = None) -> Network | None:
    """The card's network in a quantisation (None: its own); None when it cannot be told."""
    network = card.network
    if network is not None and quantisation in {None, card.quantisation, network.quantisation}:
        return network
    if card.architecture is None:
        return None
    try:
        return computed_network(
            card.architecture, quantisation or card.quantisation or DEFAULT_QUANTISATION
        )
    except FitError:
        return None


class Networks:
    """The different networks of many cards, each computed when it is first asked for."""

    def __init__(self, cards: Sequence[Card]) -> None:
        import numpy as np

        numbers: dict[tuple[int, str | None], int] = {}
        self._cards: list[Card] = []  # the first of each network
        of_card: list[int] = []
        for card in cards:
            key = (id(card.network or card.architecture), card.quantisation)
            if key not in numbers:
                numbers[key] = len(self._cards)
                self._cards.append(card)
            of_card.append(numbers[key])
        self.of_card = np.array(of_card, dtype=np.int32)
        self._known: dict[int, Network | None] = {}

    def __len__(self) -> int:
        return len(self._cards)

    def __getitem__(self, number: int) -> Network | None:
        if number not in self._known:
            self._known[number] = network_for(self._cards[number])
        return self._known[number]


class Prices:
    """The prices of a catalogue's cards on one machine under one load."""

    def __init__(self, networks: Networks, profile: Profile, load: Load) -> None:
        import numpy as np

        self.profile, self.load = profile, load
        self._networks = networks
        self._known: dict[int, Price] = {}
        self._contexts: dict[int, int | None] = {}
        self._memory = np.full(len(networks), np.nan)
        self._speed = np.full(len(networks), np.nan)
        self._fits = np.zeros(len(networks), dtype=bool)

    def of(self, place: int) -> Price:
        """The price of the card at this place in the catalogue."""
        return self._of(int(self._networks.of_card[place]))

    def largest_context(self, place: int) -> int | None:
        """The most tokens per slot that fit, None when none do or nobody can tell."""
        number = int(self._networks.of_card[place])
        if number not in self._contexts:
            network = self._networks[number]
            self._contexts[number] = (
                largest_context(network, self.load, self.profile) if network else None
            )
        return self._contexts[number]

    def memory(self, places: Places) -> Floats:
        """Bytes of each card; NaN for what cannot be told."""
        return self._memory[self._priced(places)]

    def speed(self, places: Places) -> Floats:
        """Tokens per second of each card; NaN for what cannot be told."""
        return self._speed[self._priced(places)]

    def fits(self, places: Places) -> NDArray[np.bool_]:
        """Whether each card fits; what cannot be told does not."""
        return self._fits[self._priced(places)]

    def complete(self, seconds: float) -> bool:
        """Price what is not priced yet, for about so long; whether all is priced."""
        ends = time.monotonic() + seconds
        for number in range(len(self._networks)):
            if time.monotonic() > ends:
                return False
            self._of(number)
        return True

    def _priced(self, places: Places) -> NDArray[np.int32]:
        """The cards' networks, all of them priced."""
        import numpy as np

        numbers: NDArray[np.int32] = self._networks.of_card[places]
        for number in np.unique(numbers).tolist():
            self._of(number)
        return numbers

    def _of(self, number: int) -> Price:
        found = self._known.get(number)
        if found is None:
            found = _price(self._networks[number], self.profile, self.load)
            if found.memory is not None:
                self._memory[number] = found.memory
            if found.speed is not None:
                self._speed[number] = found.speed
            self._fits[number] = found.verdict not in _TOO_MUCH
            self._known[number] = found
        return found


def _price(network: Network | None, profile: Profile, load: Load) -> Price:
    if network is None:
        return Price()
    try:
        found = fit(network, load, profile)
        speed = found.speed or profile_speed(network, found.load, profile)
    except FitError:
        return Price()
    taken = found.memory
    needed = int(taken.ram.value + (taken.gpu.value if taken.gpu else 0)) if taken else None
    return Price(found.verdict, needed, speed.generation.value if speed else None, found.load)

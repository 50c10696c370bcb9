"""What every card would take of a machine: memory, verdict, speed, largest context.

Cards of one network in one quantisation share a price, which is computed when it is first looked
at and kept: moving a slider prices the rows on the screen, and a filter by memory the different
networks of what the other filters left, not every card. The numbers are those of `fit_card`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.cards import Card
from workbench.catalogue._compatibility import fit_card, load_for
from workbench.catalogue._networks import Kinds, network_for
from workbench.fit import Load, Profile, largest_context

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]
    Places = NDArray[np.integer[Any]]

ANY_MACHINE = Profile("any", "a machine without limits", 1 << 62)
_TOO_MUCH = frozenset({"no", "unknown"})


@dataclass(frozen=True, slots=True)
class Price:
    """What one card takes; None is what cannot be told."""

    verdict: str = "unknown"  # as in fit.Fit
    memory: int | None = None  # bytes, of main memory and graphics cards together
    speed: float | None = None  # tokens per second of an answer
    load: Load | None = None  # as priced, with the layers on graphics cards that were chosen


class Prices:
    """The prices of a catalogue's cards on one machine under one load."""

    def __init__(self, kinds: Kinds, profile: Profile, load: Load) -> None:
        import numpy as np

        self.profile, self.load = profile, load
        self._kinds = kinds
        self._known: dict[int, Price] = {}
        self._contexts: dict[int, int | None] = {}
        self._memory = np.full(len(kinds.cards), np.nan)
        self._speed = np.full(len(kinds.cards), np.nan)
        self._fits = np.zeros(len(kinds.cards), dtype=bool)

    def of(self, place: int) -> Price:
        """The price of the card at this place in the catalogue."""
        return self._of(int(self._kinds.of_card[place]))

    def largest_context(self, place: int) -> int | None:
        """The most tokens per slot that fit, None when none do or nobody can tell."""
        number = int(self._kinds.of_card[place])
        if number not in self._contexts:
            card = self._kinds.cards[number]
            network = network_for(card)
            load = load_for(card, self.load)
            self._contexts[number] = (
                largest_context(network, load, self.profile) if network else None
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
        for number in range(len(self._kinds.cards)):
            if time.monotonic() > ends:
                return False
            self._of(number)
        return True

    def _priced(self, places: Places) -> NDArray[np.int32]:
        """The cards' kinds, all of them priced."""
        import numpy as np

        numbers: NDArray[np.int32] = self._kinds.of_card[places]
        for number in np.unique(numbers).tolist():
            self._of(number)
        return numbers

    def _of(self, number: int) -> Price:
        found = self._known.get(number)
        if found is None:
            found = _price(self._kinds.cards[number], self.profile, self.load)
            if found.memory is not None:
                self._memory[number] = found.memory
            if found.speed is not None:
                self._speed[number] = found.speed
            self._fits[number] = found.verdict not in _TOO_MUCH
            self._known[number] = found
        return found


def _price(card: Card, profile: Profile, load: Load) -> Price:
    found = fit_card(card, profile, load)
    taken, speed = found.memory, found.speed
    needed = int(taken.ram.value + (taken.gpu.value if taken.gpu else 0)) if taken else None
    return Price(found.verdict, needed, speed.generation.value if speed else None, found.load)

"""The network of a card, in its own quantisation or another; and those of many cards."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.cards import Card
from workbench.errors import FitError
from workbench.fit import Network, computed_network

DEFAULT_QUANTISATION = "Q4_K_M"  # of a card that does not say which it gets


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


class Kinds:
    """Cards that take the same of any machine: those of one network in one quantisation."""

    def __init__(self, cards: Sequence[Card]) -> None:
        import numpy as np

        numbers: dict[tuple[int, str | None, int | None, int | None], int] = {}
        self.cards: list[Card] = []  # the first of each kind
        of_card: list[int] = []
        for card in cards:
            shape = id(card.network or card.architecture)
            key = (shape, card.quantisation, card.context, card.download)
            if key not in numbers:
                numbers[key] = len(self.cards)
                self.cards.append(card)
            of_card.append(numbers[key])
        self.of_card = np.array(of_card, dtype=np.int32)

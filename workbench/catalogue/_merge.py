"""One card per model: what several sources say about it becomes one card."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.catalogue._card import Card


def merge(*groups: Iterable[Card]) -> tuple[Card, ...]:
    """The cards of all groups, one per model; the first group's facts win."""
    found: dict[str, Card] = {}
    for group in groups:
        for card in group:
            found.setdefault(card.name.casefold(), card)
    return tuple(found.values())

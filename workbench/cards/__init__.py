"""What is known about models, and who says so: shipped, installed, on disk, live."""

from __future__ import annotations

from workbench.cards._card import SIZE_CLASSES, Card, Score, Variant
from workbench.cards._disk import on_disk
from workbench.cards._engine import installed
from workbench.cards._live import Found, hub_search, registry_card, remote_card
from workbench.cards._merge import merge
from workbench.cards._observe import observe
from workbench.cards._shipped import CardFiles, own_cards, read_cards, shipped

__all__ = [
    "SIZE_CLASSES",
    "Card",
    "CardFiles",
    "Found",
    "Score",
    "Variant",
    "hub_search",
    "installed",
    "merge",
    "observe",
    "on_disk",
    "own_cards",
    "read_cards",
    "registry_card",
    "remote_card",
    "shipped",
]

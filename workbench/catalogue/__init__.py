"""Which models exist, which fit this machine, which suits the task."""

from __future__ import annotations

from workbench.catalogue._card import SIZE_CLASSES, Card, Score, Variant
from workbench.catalogue._catalogue import Catalogue, gather
from workbench.catalogue._disk import on_disk
from workbench.catalogue._engine import installed
from workbench.catalogue._filters import CAPABILITIES, CATEGORIES, SORTS, Filters
from workbench.catalogue._install import install
from workbench.catalogue._live import Found, hub_search, registry_card, remote_card
from workbench.catalogue._merge import merge
from workbench.catalogue._prices import Price, Prices, network_for
from workbench.catalogue._search import Hit, Hits, Results
from workbench.catalogue._shipped import CardFiles, own_cards, read_cards, shipped
from workbench.catalogue._understand import Understood

__all__ = [
    "CAPABILITIES",
    "CATEGORIES",
    "SIZE_CLASSES",
    "SORTS",
    "Card",
    "CardFiles",
    "Catalogue",
    "Filters",
    "Found",
    "Hit",
    "Hits",
    "Price",
    "Prices",
    "Results",
    "Score",
    "Understood",
    "Variant",
    "gather",
    "hub_search",
    "install",
    "installed",
    "merge",
    "network_for",
    "on_disk",
    "own_cards",
    "read_cards",
    "registry_card",
    "remote_card",
    "shipped",
]

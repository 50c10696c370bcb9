"""All cards in one place: merged, searched, priced for a machine."""

from __future__ import annotations

from workbench.catalogue._catalogue import Catalogue, gather
from workbench.catalogue._compatibility import (
    RUNS,
    Compatibility,
    by_capacity,
    capacity,
    compatibility,
    download_of,
    fit_card,
    gigabytes,
    said_by,
    short,
    smaller_ways,
)
from workbench.catalogue._filters import CAPABILITIES, CATEGORIES, SORTS, Filters
from workbench.catalogue._install import install
from workbench.catalogue._networks import DEFAULT_QUANTISATION, network_for
from workbench.catalogue._performance import (
    Evidence,
    Group,
    Own,
    PerformanceScore,
    Standings,
    embeds,
    group_of,
    performance_score,
    results_of,
    setting_of,
    size_of,
)
from workbench.catalogue._prices import ANY_MACHINE, Price, Prices
from workbench.catalogue._search import Hit, Hits, Results
from workbench.catalogue._settings import PricedCard, price_card
from workbench.catalogue._understand import Understood

__all__ = [
    "ANY_MACHINE",
    "CAPABILITIES",
    "CATEGORIES",
    "DEFAULT_QUANTISATION",
    "RUNS",
    "SORTS",
    "Catalogue",
    "Compatibility",
    "Evidence",
    "Filters",
    "Group",
    "Hit",
    "Hits",
    "Own",
    "PerformanceScore",
    "Price",
    "PricedCard",
    "Prices",
    "Results",
    "Standings",
    "Understood",
    "by_capacity",
    "capacity",
    "compatibility",
    "download_of",
    "embeds",
    "fit_card",
    "gather",
    "gigabytes",
    "group_of",
    "install",
    "network_for",
    "performance_score",
    "price_card",
    "results_of",
    "said_by",
    "setting_of",
    "short",
    "size_of",
    "smaller_ways",
]

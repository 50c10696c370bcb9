"""Which models exist, which fit this machine, which suits the task."""

from __future__ import annotations

from workbench.catalogue._alternatives import Alternative
from workbench.catalogue._card import SIZE_CLASSES, Card, Score, Variant
from workbench.catalogue._catalogue import Catalogue, gather
from workbench.catalogue._compare import Comparison, compare
from workbench.catalogue._compatibility import Compatibility, compatibility, fit_card
from workbench.catalogue._disk import on_disk
from workbench.catalogue._engine import installed
from workbench.catalogue._filters import CAPABILITIES, CATEGORIES, SORTS, Filters
from workbench.catalogue._install import install
from workbench.catalogue._live import Found, hub_search, registry_card, remote_card
from workbench.catalogue._merge import merge
from workbench.catalogue._networks import network_for
from workbench.catalogue._observe import observe
from workbench.catalogue._performance import (
    Evidence,
    PerformanceScore,
    Standings,
    performance_score,
)
from workbench.catalogue._plots import memory_bars, parallel, plot, radar, scatter
from workbench.catalogue._prices import Price, Prices
from workbench.catalogue._reasons import Reason
from workbench.catalogue._recommend import (
    Recommendation,
    Recommendations,
    SystemInfo,
    recommend,
)
from workbench.catalogue._search import Hit, Hits, Results
from workbench.catalogue._shipped import CardFiles, own_cards, read_cards, shipped
from workbench.catalogue._table import Cell, Row
from workbench.catalogue._tasks import TASKS, Task, find_task, tasks
from workbench.catalogue._understand import Understood

__all__ = [
    "CAPABILITIES",
    "CATEGORIES",
    "SIZE_CLASSES",
    "SORTS",
    "TASKS",
    "Alternative",
    "Card",
    "CardFiles",
    "Catalogue",
    "Cell",
    "Comparison",
    "Compatibility",
    "Evidence",
    "Filters",
    "Found",
    "Hit",
    "Hits",
    "PerformanceScore",
    "Price",
    "Prices",
    "Reason",
    "Recommendation",
    "Recommendations",
    "Results",
    "Row",
    "Score",
    "Standings",
    "SystemInfo",
    "Task",
    "Understood",
    "Variant",
    "compare",
    "compatibility",
    "find_task",
    "fit_card",
    "gather",
    "hub_search",
    "install",
    "installed",
    "memory_bars",
    "merge",
    "network_for",
    "observe",
    "on_disk",
    "own_cards",
    "parallel",
    "performance_score",
    "plot",
    "radar",
    "read_cards",
    "recommend",
    "registry_card",
    "remote_card",
    "scatter",
    "shipped",
    "tasks",
]

"""Which point of a space is to be tried next, and what the tried ones are worth: ask and tell.

found = search(space, "bayesian_optimization", "maximize_quality", evaluate, 40, seed=1)
print(found.best, found.front)

It measures nothing: `evaluate` is a function, or `tune` with a model. Trials can be kept in the
store, in the tables that Optuna and its dashboard read.
"""

from __future__ import annotations

from workbench.search._ask import TWICE, Search
from workbench.search._cost import Cost
from workbench.search._objectives import (
    FIGURES,
    OBJECTIVES,
    Objective,
    dominates,
    front_of,
    objective,
    objectives,
)
from workbench.search._plain import Found, Tried, search
from workbench.search._points import Asked
from workbench.search._record import TOLD, Record, recorded, unrecorded
from workbench.search._strategies import STRATEGIES, Strategy, strategy

__all__ = [
    "FIGURES",
    "OBJECTIVES",
    "STRATEGIES",
    "TOLD",
    "TWICE",
    "Asked",
    "Cost",
    "Found",
    "Objective",
    "Record",
    "Search",
    "Strategy",
    "Tried",
    "dominates",
    "front_of",
    "objective",
    "objectives",
    "recorded",
    "search",
    "strategy",
    "unrecorded",
]

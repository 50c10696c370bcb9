"""Ways of searching, by name. Each is an Optuna sampler with the settings that suit few trials.

Hyperband (Li et al. 2018) spends few questions on most points: after a ninth, a third of the
questions only those go on whose value is in the better third of all that came so far; brackets
that begin with more questions guard against points that show what they can do late.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from workbench.errors import TuneError
from workbench.texts import nearest

if TYPE_CHECKING:
    from workbench.space import Space

GROUP = "workbench.strategies"  # entry points: a Strategy
_STARTUP = 8  # random points before a model of the space is worth something
_POPULATION = 10
_FORMER = {"bayesian_optimization_gp": "bayesian_optimization"}  # in studies that were kept


@dataclass(frozen=True, slots=True)
class Strategy:
    """How points are chosen. `sampler(space, objectives, seed)` makes an Optuna sampler."""

    name: str
    title: str
    about: str
    sampler: Callable[[Space, int, int], Any]
    grid: bool = False  # the space's grid is walked, and the sampler not asked
    learns: bool = True  # later points depend on earlier ones
    process: bool = False  # a Gaussian process chooses, after the sampler's first points
    eta: int = 0  # one of so many goes on at each rung; 0: no successive halving
    most_objectives: int = 4


def _random(space: Space, objectives: int, seed: int) -> Any:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


def _tpe(space: Space, objectives: int, seed: int) -> Any:
    from optuna.samplers import TPESampler

    conditional = any(one.when for one in space.parameters)
    return TPESampler(
        n_startup_trials=_STARTUP, multivariate=True, group=conditional, constant_liar=True,
        seed=seed,
    )  # fmt: skip


def _evolutionary(space: Space, objectives: int, seed: int) -> Any:
    """CMA-ES where every parameter is a number and one value is sought; NSGA-II elsewhere."""
    from optuna.samplers import CmaEsSampler, NSGAIISampler

    numbers = all(one.kind != "choice" and not one.when for one in space.parameters)
    if objectives == 1 and numbers and len(space.parameters) > 1:
        return CmaEsSampler(
            seed=seed, n_startup_trials=_STARTUP, warn_independent_sampling=False,
            with_margin=any(one.kind == "int" or one.step for one in space.parameters),
            independent_sampler=_random(space, 1, seed),
        )  # fmt: skip
    return NSGAIISampler(seed=seed, population_size=_POPULATION)


_BUILT_IN = (
    Strategy(
        "bayesian_optimization", "Bayesian", "Learns from the points so far which untried one "
        "promises most (a Gaussian process). The best choice for up to some hundred trials.",
        _random, process=True,
    ),
    Strategy(
        "bayesian_optimization_tpe", "Bayesian (TPE)", "The same with a tree of Parzen estimators, "
        "which also learns where good points lie, and needs more trials for it.", _tpe,
    ),
    Strategy(
        "hyperband", "Hyperband", "Asks most points few questions and only the promising ones all "
        "of them; the points are chosen as by bayesian_optimization_tpe.", _tpe, eta=3,
        most_objectives=1,
    ),
    Strategy(
        "evolutionary", "Evolutionary", "CMA-ES for one objective over numbers, NSGA-II for "
        "several objectives or choices. Wants many trials.", _evolutionary,
    ),
    Strategy(
        "random_search", "Random", "Points by chance: nothing is learnt, nothing can mislead.",
        _random, learns=False,
    ),
    Strategy(
        "grid_search", "Grid", "Every point of the space, or an even part of them.", _random,
        grid=True, learns=False,
    ),
)  # fmt: skip


@cache
def _strategies() -> dict[str, Strategy]:
    found = {one.name: one for one in _BUILT_IN}
    for entry in entry_points(group=GROUP):
        made = entry.load()
        if not isinstance(made, Strategy):
            raise TuneError(f"The strategy {entry.name} ({entry.value}) is no tune.Strategy.")
        found[entry.name] = made
    return found


class _Strategies(Mapping[str, Strategy]):
    """By name; installed packages are asked at the first use."""

    def __getitem__(self, name: str) -> Strategy:
        return _strategies()[name]

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(_strategies())

    def __len__(self) -> int:
        return len(_strategies())


STRATEGIES: Mapping[str, Strategy] = _Strategies()


def strategy(name: str, objectives: int = 1) -> Strategy:
    """The strategy of this name, fit for so many objectives. Raises TuneError."""
    name = _FORMER.get(name, name)
    if name not in STRATEGIES:
        raise TuneError(f"There is no strategy {name!r}.{nearest(name, STRATEGIES)}")
    found = STRATEGIES[name]
    if objectives > found.most_objectives:
        raise TuneError(
            f"{name} looks for {found.most_objectives} objective at a time, not {objectives}: to "
            "end a trial early it has to know which of two is better. Take evolutionary or "
            "bayesian_optimization, or weights that make one objective of them."
        )
    return found


def sampler(chosen: Strategy, space: Space, objectives: int, seed: int) -> Any:
    """Its Optuna sampler, made without Optuna's warnings about what is new in it."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return chosen.sampler(space, objectives, seed)

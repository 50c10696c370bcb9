"""Which parameters matter, how sure that is, and when there are too few trials to tell.

Two measures, both Optuna's: fANOVA asks which share of the values' variance a random forest gives
to each parameter alone (Hutter et al. 2014), PED-ANOVA which parameters the better half of the
trials chose otherwise than all did (Watanabe et al. 2023). The first sees at once what one bad
value spoils; the second is quicker and knows parameters that do not always apply, so it stands in
where a quarter of the trials lack one. Neither says by itself how sure it is, and of trials without
any meaning both still name a winner. So two things stand beside a share: an interval,
from drawing the trials anew (bootstrap, 95 %), and the share that chance alone reaches, from
shuffling the values among the trials; the largest of all parameters counts, so that a parameter
is wrongly told to matter in at most 5 of 100 studies.

A search that follows its own results tries good regions more often than others. What is told is
therefore which parameters mattered among the points that were tried.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import TuneError

if TYPE_CHECKING:
    from workbench.search import Objective
    from workbench.space import Parameter, Point

Method = Literal["auto", "ped-anova", "fanova"]
FEWEST = 20  # trials
_BEST = 0.5  # what PED-ANOVA calls good: of few trials, a smaller part is mostly chance
_DRAWS = 59  # with 59 shuffles, p <= 0.05 is "at most 2 of them reach it"
_COPIES = 6  # how often one trial may be drawn; more happens once in 10,000 times
_TREES, _DEPTH = 8, 3  # a shallow forest: deep trees fit the noise of few trials


@dataclass(frozen=True, slots=True)
class Importance:
    """One parameter's part in what made trials differ. Shares of all parameters sum to 1."""

    parameter: str
    share: float
    low: float
    high: float
    told: bool  # more than chance alone gives


@dataclass(frozen=True, slots=True)
class Importances:
    """Of one objective. Without rows, `why` says why nothing can be told."""

    objective: str
    method: Method
    trials: int
    rows: tuple[Importance, ...] = ()
    chance: float | None = None  # the share that the largest parameter reaches by chance
    why: str = ""


def importance(
    objective: Objective,
    points: Sequence[Point],
    values: Sequence[float],
    parameters: Sequence[Parameter],
    *,
    method: Method = "auto",
    seed: int = 0,
) -> Importances:
    """Importance of each parameter for `values`, one of each point; the largest first.

    fANOVA leaves out parameters that fewer than three quarters of the points have, and then the
    points that lack one. Raises TuneError for another method.
    """
    if method not in ("auto", "ped-anova", "fanova"):
        raise TuneError(f"There is no method {method!r:.40}. Use auto, ped-anova or fanova.")
    points = [{n: v for n, v in point.items() if v is not None} for point in points]
    searched = _distributions(points, parameters)
    most = {name for name in searched if sum(name in p for p in points) * 4 >= 3 * len(points)}
    if method == "auto":
        method = "fanova" if most == set(searched) else "ped-anova"
    if method == "fanova":
        searched = {name: one for name, one in searched.items() if name in most}
        kept = [place for place, point in enumerate(points) if most <= set(point)]
        points, values = [points[place] for place in kept], [values[place] for place in kept]
    n = len(values)
    if n < FEWEST:
        why = f"{n} measured trials are too few to tell which parameters matter; it takes {FEWEST}."
        return Importances(objective.name, method, n, why=why)
    if not searched or len(set(values)) < 2:
        why = "All trials have one value." if searched else "No parameter was varied."
        return Importances(objective.name, method, n, why=why)
    signed = [-value if objective.direction == "maximize" else value for value in values]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of few trials; we say so in words
        rows, chance = _told(_weigher(points, searched, method), signed, seed)
    why = f"No parameter can be told from chance in {n} trials."
    why = "" if any(row.told for row in rows) else why
    return Importances(objective.name, method, n, rows, chance, why)


Weigher = Callable[[Sequence[float], Sequence[int]], dict[str, float]]


def _told(
    weigh: Weigher, values: Sequence[float], seed: int
) -> tuple[tuple[Importance, ...], float]:
    import numpy as np

    random, n = np.random.default_rng(seed), len(values)
    once = [1] * n
    found = weigh(values, once)
    shuffled = (weigh(random.permutation(values).tolist(), once) for _ in range(_DRAWS))
    limit = sorted(max(one.values()) for one in shuffled)[-3]  # two of 59 lie above it
    drawn: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(_DRAWS):
        counts = np.bincount(random.integers(0, n, n), minlength=n).tolist()
        for name, share in _shares(weigh(values, counts)).items():
            drawn[name].append(share)
    rows = []
    for name, share in sorted(_shares(found).items(), key=lambda pair: -pair[1]):
        low, high = np.quantile([share, *drawn[name]], (0.025, 0.975)).tolist()
        told = found[name] > limit
        rows.append(Importance(name, share, min(low, share), max(high, share), told))
    return tuple(rows), min(1.0, limit / (sum(found.values()) or limit or 1.0))


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    whole = sum(weights.values())
    return {name: weight / whole if whole else 0.0 for name, weight in weights.items()}


def _weigher(points: Sequence[Point], searched: Mapping[str, Any], method: Method) -> Weigher:
    """What each parameter weighs where the points have these values (less is better) and count
    so many times each, before it becomes a share. A study is slow to make, so it is made once,
    with each point as often as it may be drawn; what does not count has no value."""
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="minimize")
    optuna.logging.set_verbosity(before)
    for point in list(points) * _COPIES:
        params = {name: value for name, value in point.items() if name in searched}
        distributions = {name: searched[name] for name in params}
        made: dict[str, Any] = {"params": params, "distributions": distributions, "value": 0.0}
        study.add_trial(optuna.trial.create_trial(**made))
    evaluator = (
        FanovaImportanceEvaluator(n_trees=_TREES, max_depth=_DEPTH, seed=0)
        if method == "fanova"
        else PedAnovaImportanceEvaluator(target_quantile=_BEST)
    )

    def weigh(values: Sequence[float], counts: Sequence[int]) -> dict[str, float]:
        def target(trial: optuna.trial.FrozenTrial) -> float:
            copy, place = divmod(trial.number, len(points))
            return values[place] if copy < counts[place] else math.nan

        found = evaluator.evaluate(study, target=target)
        return {name: float(found.get(name, 0.0)) for name in searched}

    return weigh


def _distributions(points: Sequence[Point], parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Of the parameters that were varied. Bounds take in what was tried, which a default, or a
    space that was narrowed later, may lie outside of."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for one in parameters:
        seen = [point[one.name] for point in points if one.name in point]
        if len({repr(value) for value in seen}) < 2:
            continue
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in seen)
        if one.kind == "choice" or not numbers:
            tried = dict.fromkeys([*one.choices, *seen])
            found[one.name] = CategoricalDistribution(tuple(tried))
            continue
        low = min(seen) if one.low is None else min(*seen, one.low)
        high = max(seen) if one.high is None else max(*seen, one.high)
        whole = one.kind == "int" and all(float(v).is_integer() for v in (*seen, low, high))
        log = one.log and low > 0
        found[one.name] = (
            IntDistribution(int(low), int(high), log=log)
            if whole
            else FloatDistribution(low, high, log=log)
        )
    return found

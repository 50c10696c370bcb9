"""Ratings from games between pairs: Bradley and Terry's model (1952) on Elo's scale.

P(i beats j) = 1 / (1 + e^(θ_j - θ_i)); a tie is half a win and half a loss. The likeliest θ are
found by Newton's method, with a light prior: each player has also tied half a game against
an imagined player of mean strength, so that who never lost has a finite rating. Rating = 1000 +
400 / ln 10 × (θ - mean).

Intervals are ± z standard errors from the inverse of the information matrix, of the distance from
the mean of the players. Ties vary less than wins and losses; the variance shrinks with them by

    1 - (ties / 4) / Σ p (1 - p)        over all games, never to less than Wilson's bound for none
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import BenchError
from workbench.statistics._records import Rating, Z

if TYPE_CHECKING:
    from workbench.statistics._parts import Array

_ELO = 400 / math.log(10)
_MEAN = 1000.0
_PRIOR = 0.5  # games tied against a player of mean strength
_STEPS = 100


def bradley_terry(games: Sequence[tuple[str, str, float]]) -> list[Rating]:
    """Ratings from (a, b, score of a: 1 won, 0.5 tied, 0 lost), by component, strongest first.

    Raises BenchError for another score and for a player against itself.
    """
    import numpy as np

    for place, (a, b, score) in enumerate(games):
        if a == b or score not in (0, 0.5, 1):
            raise BenchError(
                f"Game {place + 1}, {a!r} against {b!r} with {score!r}: a game needs two players "
                "and a score of 1, 0.5 or 0."
            )
    if not games:
        return []
    names = sorted({name for a, b, _ in games for name in (a, b)})
    numbered = {name: number for number, name in enumerate(names)}
    first = np.array([numbered[a] for a, _, _ in games])
    second = np.array([numbered[b] for _, b, _ in games])
    scores = np.array([float(score) for *_, score in games])
    won = np.zeros((len(names), len(names)))  # points of the row's player against the column's
    np.add.at(won, (first, second), scores)
    np.add.at(won, (second, first), 1 - scores)
    strength, covariance = _fit(won, int((scores == 0.5).sum()))
    component = _components(won + won.T)
    ratings = []
    for number, name in enumerate(names):
        together = component == component[number]
        distance = (np.arange(len(names)) == number) - together / together.sum()
        rating = _MEAN + _ELO * float(distance @ strength)
        half = Z * _ELO * math.sqrt(float(distance @ covariance @ distance))
        own = np.concatenate([scores[first == number], 1 - scores[second == number]])
        wins, losses, ties = (int((own == result).sum()) for result in (1, 0, 0.5))
        limits = (rating - half, rating + half)
        counts = (len(own), wins, losses, ties)
        ratings.append(Rating(name, rating, *limits, *counts, int(component[number])))
    return sorted(ratings, key=lambda one: (one.component, -one.rating, one.name))


def _fit(won: Array, ties: int) -> tuple[Array, Array]:
    """θ and its covariance. The posterior is concave: a step that does not climb is halved."""
    import numpy as np

    played = won + won.T

    def height(theta: Array) -> float:
        beaten = np.logaddexp(0, theta[None, :] - theta[:, None])
        return -float((won * beaten).sum() + _PRIOR * np.log(2 * np.cosh(theta / 2)).sum())

    theta = np.zeros(len(won))
    for _ in range(_STEPS):
        p, curvature = _curvature(theta, played)
        slope = won.sum(axis=1) - (played * p).sum(axis=1) - _PRIOR * np.tanh(theta / 2) / 2
        step, now = np.linalg.solve(curvature, slope), height(theta)
        while height(theta + step) < now and abs(step).max() > 1e-12:
            step = step / 2
        theta = theta + step
        if abs(step).max() < 1e-10:
            break
    p, curvature = _curvature(theta, played)
    total = float((played * p * (1 - p)).sum()) / 2
    fewest = Z * Z / (played.sum() / 2 + Z * Z)
    return theta, np.linalg.inv(curvature) * max(1 - ties / 4 / total, fewest)


def _curvature(theta: Array, played: Array) -> tuple[Array, Array]:
    """P(row beats column), and the information matrix with the prior's share."""
    import numpy as np

    p = 1 / (1 + np.exp(theta[None, :] - theta[:, None]))
    weight = played * p * (1 - p)
    prior = _PRIOR / (4 * np.cosh(theta / 2) ** 2)
    return p, np.diag(weight.sum(axis=1) + prior) - weight


def _components(played: Array) -> Any:
    """A number for each player: who met, even through others, has the same. 0 has the most."""
    import numpy as np
    from scipy.sparse.csgraph import (
        connected_components,
    )

    _, label = connected_components(played, directed=False)
    sizes = np.bincount(label)
    order = sorted(range(len(sizes)), key=lambda number: (-sizes[number], number))
    return np.argsort(order)[label]

"""A smooth function with noise, learnt from points: Gaussian process regression.

Formulas: Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), 2.25, 2.26, 2.30
and 5.9. The covariance is Matérn's with ν = 5/2 (4.17), a length for each coordinate, and white
noise; values are brought to mean 0 and variance 1. scikit-learn's regressor tells the same (a test
holds the two together) but takes two seconds to import, which each study would wait for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Vector = np.ndarray[Any, np.dtype[np.float64]]  # n
    Matrix = np.ndarray[Any, np.dtype[np.float64]]  # n x coordinates, or n x m

_JITTER = 1e-10  # on the diagonal, against rounding


@dataclass(frozen=True, slots=True)
class Fit:
    """What was learnt from the values `y` at the places `x`. `theta` has the logarithms of the
    lengths and of the noise, which is a part of the variance of `y`."""

    x: Matrix
    y: Vector
    theta: Vector

    def predict(self, places: Matrix) -> tuple[Vector, Vector]:
        """Mean and standard deviation, at each place, of the function without the noise."""
        import numpy as np
        from scipy.linalg import cho_solve, solve_triangular

        middle, scale = _moments(self.y)
        covariance, _ = _covariance(self.x, self.theta)
        factor = np.linalg.cholesky(covariance)
        nowhere = np.zeros((len(places), len(self.x)))
        across, _ = _matern(sum(_squares(places, self.x, self.theta), nowhere))
        mean = across @ cho_solve((factor, True), (self.y - middle) / scale)
        told = solve_triangular(factor, across.T, lower=True)
        left = np.maximum(1 - (told**2).sum(axis=0), 1e-18)
        return middle + scale * mean, scale * np.sqrt(left)


def fitted(
    x: Matrix, y: Vector, start: Vector, lengths: tuple[float, float], noise: tuple[float, float]
) -> Fit:
    """The most probable lengths and noise within these limits, sought from `start` on."""
    import numpy as np
    from scipy.optimize import minimize

    ends = [*[lengths] * x.shape[1], noise]
    middle, scale = _moments(y)
    found = minimize(
        _unlikelihood, start, args=(x, (y - middle) / scale), jac=True, method="L-BFGS-B",
        bounds=np.log(ends),
    )  # fmt: skip
    return Fit(x, y, found.x)


def _unlikelihood(theta: Vector, x: Matrix, y: Vector) -> tuple[float, Vector]:
    """The negative logarithm of the likelihood, without its constant, and its gradient."""
    import numpy as np
    from scipy.linalg import cho_solve

    covariance, slopes = _covariance(x, theta)
    factor = np.linalg.cholesky(covariance)
    weights = cho_solve((factor, True), y)
    value = 0.5 * y @ weights + np.log(np.diag(factor)).sum()
    inverse = cho_solve((factor, True), np.eye(len(y)))
    inner = np.outer(weights, weights) - inverse
    gradient = [-0.5 * (inner * slope).sum() for slope in slopes]
    return float(value), np.array([*gradient, -0.5 * np.trace(inner) * math.exp(theta[-1])])


def _covariance(x: Matrix, theta: Vector) -> tuple[Matrix, Matrix]:
    """Of the values at `x`, noise included; and its slope by the logarithm of each length."""
    import numpy as np

    squares = np.array([*_squares(x, x, theta)])
    smooth, slope = _matern(squares.sum(axis=0))
    return smooth + (math.exp(theta[-1]) + _JITTER) * np.eye(len(x)), slope * squares


def _squares(one: Matrix, other: Matrix, theta: Vector) -> Iterator[Matrix]:
    """Squares of the distances in lengths, coordinate by coordinate: of thousands of places all
    coordinates at once would take hundreds of megabytes."""
    for place, length in enumerate(theta[:-1]):
        yield ((one[:, place, None] - other[None, :, place]) / math.exp(length)) ** 2


def _matern(square: Matrix) -> tuple[Matrix, Matrix]:
    """Matérn 5/2 at these squared distances, and the factor that makes of a coordinate's part of
    them the slope by the logarithm of its length."""
    import numpy as np

    far = np.sqrt(5 * square)
    fall = np.exp(-far)
    return (1 + far + far**2 / 3) * fall, 5 / 3 * (1 + far) * fall


def _moments(y: Vector) -> tuple[float, float]:
    return float(y.mean()), float(y.std()) or 1.0

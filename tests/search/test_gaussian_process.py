"""The Gaussian process: what settings mean to it, what it chooses, what it is not misled by."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from workbench.search import Search, objectives, search, strategy
from workbench.search._gaussian import Fit, fitted
from workbench.search._points import Known
from workbench.search._process import Process
from workbench.space import Parameter, Space, key_of

QUALITY = objectives("maximize_quality")
SPACE = Space("mine", "Mine", "", (
    Parameter("temperature", "sampling", "float", 0.0, 1.4, step=0.2, default=0.8),
    Parameter("top_k", "sampling", "choice", choices=(1, 10, 20, 40, 80), default=40),
    Parameter("repeat_penalty", "sampling", "choice", choices=(1.0, 1.1, 1.2, 1.3), default=1.0),
))  # fmt: skip


def worth(point: Mapping[str, Any]) -> float:
    """Best at 0.4, 20 and 1.1."""
    away = (point["temperature"] - 0.4) ** 2 + (point["repeat_penalty"] - 1.1) ** 2 * 4
    return 1 - away - 0.1 * abs(math.log2(point["top_k"] / 20))


def test_settings_become_numbers() -> None:
    space = Space("all", "All", "", (
        Parameter("temperature", "sampling", "float", 0.0, 2.0, default=0.8),
        Parameter("num_thread", "loading", "int", 1, 16, log=True),
        Parameter("top_k", "sampling", "choice", choices=(40, 10, 200), default=40),
        Parameter("flash_attention", "loading", "choice", choices=(True, False), default=True),
        Parameter("kv_cache_type", "loading", "choice", choices=("f16", "q8_0", "q4_0"),
                  default="f16", when={"flash_attention": (True,)}),
    ))  # fmt: skip
    place = Process(space, QUALITY, 0)._place
    point = {"temperature": 0.5, "num_thread": 4, "top_k": 40, "flash_attention": True,
             "kv_cache_type": "q8_0"}  # fmt: skip
    assert place(point) == pytest.approx([0.25, 0.5, 0.5, 1, 0, 1, 0, 1])
    without = {"temperature": 2.0, "num_thread": 16, "top_k": 200, "flash_attention": False}
    assert place(without) == pytest.approx([1, 1, 1, 0, 0.5, 0.5, 0.5, 0])
    # what the engine decides stands in the middle, what lies outside at the end
    assert place({"temperature": 9.0, "flash_attention": True})[:3] == [1, 0.5, 0.5]


def test_the_regression_is_that_of_scikit_learn() -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern, WhiteKernel

    numbers, lengths, noise = np.random.default_rng(1), (0.3, 3.0), (0.01, 0.5)
    for count, coordinates in ((8, 2), (40, 5)):
        x, places = numbers.random((count, coordinates)), numbers.random((30, coordinates))
        y = 5 + np.sin(4 * x[:, 0]) + x[:, 1] ** 2 + 0.2 * numbers.normal(size=count)
        mine = fitted(x, y, np.log([0.7] * coordinates + [0.05]), lengths, noise)
        kernel = Matern([0.7] * coordinates, lengths, nu=2.5) + WhiteKernel(0.05, noise)
        with warnings.catch_warnings():  # of lengths at their bounds
            warnings.simplefilter("ignore")
            theirs = GaussianProcessRegressor(kernel, normalize_y=True).fit(x, y)
        assert mine.theta == pytest.approx(theirs.kernel_.theta, abs=1e-3)
        mean, deviation = mine.predict(places)
        told, spread = theirs.predict(places, return_std=True)
        function = spread**2 - theirs.kernel_.k2.noise_level * y.std() ** 2
        assert mean == pytest.approx(told, abs=1e-4)
        assert deviation**2 == pytest.approx(function, abs=1e-4)
    alike = Fit(x, np.full(count, 2.0), mine.theta)
    assert alike.predict(places)[0] == pytest.approx(np.full(30, 2.0)), "nothing differs"


def test_what_costs_less_is_tried_first() -> None:
    process = Process(SPACE, QUALITY, 0)
    points = list(SPACE.grid(1000))
    known = {key_of(one): Known(one, (worth(one),), number, True)
             for number, one in enumerate(points[::9])}  # fmt: skip

    def chosen(dear: float) -> list[Any]:
        tried, found = dict(known), []
        for _ in range(6):
            point = process.next(tried, [], None, lambda one: dear if one["top_k"] != 40 else 1.0)
            assert point is not None
            tried[key_of(point)] = Known(point, (worth(point),), len(tried), True)
            found.append(point["top_k"])
        return found

    assert 20 in chosen(1.0), "where the best lies"
    assert chosen(1e6) == [40] * 6


@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_160_points_is_found_in_30(seed: int) -> None:
    found = search(
        SPACE, "bayesian_optimization", "maximize_quality",
        lambda point, share: {"quality": worth(point)}, 30, seed=seed,
    )  # fmt: skip
    assert found.best is not None and found.best.values
    assert found.best.values[0] > 0.95, found.best.point


def test_one_very_bad_point_does_not_blind_it() -> None:
    def value(point: Mapping[str, Any], share: float) -> dict[str, float | None]:
        return {"quality": worth(point) if point["top_k"] > 1 else -1e6}

    found = search(SPACE, "bayesian_optimization", "maximize_quality", value, 30, seed=1)
    assert found.best is not None and found.best.values and found.best.values[0] > 0.95


def test_points_under_way_are_not_asked_for_again_nor_their_neighbours_only() -> None:
    steps = Search(SPACE, strategy("bayesian_optimization"), QUALITY, seed=3)
    for _ in range(12):
        asked = steps.ask()
        assert asked is not None
        steps.begin(asked)
        steps.tell(asked, "done", [worth(asked.point)])
    batch = [steps.ask() for _ in range(6)]
    assert len({one.key for one in batch if one}) == 6
    assert len({one.point["temperature"] for one in batch if one}) > 1


def test_it_needs_some_points_and_ends_with_the_space() -> None:
    process = Process(SPACE, QUALITY, 0)
    points = list(SPACE.grid(1000))
    known = {key_of(one): Known(one, (worth(one),), number, True)
             for number, one in enumerate(points)}  # fmt: skip
    assert process.next(known, [], None) is None, "nothing is left"
    few = dict(list(known.items())[:7])
    assert process.next(few, points[:1], (0.5,)) is None, "too little is known"
    failed = {key: Known(one.point, None, one.number, failed=True) for key, one in few.items()}
    assert process.next({**failed, **dict(list(known.items())[7:9])}, [], (0.5,)) is not None


def test_many_points_are_learnt_from_in_part() -> None:
    wide = Space("wide", "Wide", "", (
        Parameter("temperature", "sampling", "float", 0.0, 1.4, default=0.8),
        Parameter("top_k", "sampling", "int", 1, 80, default=40),
        Parameter("repeat_penalty", "sampling", "float", 1.0, 1.3, default=1.0),
    ))  # fmt: skip
    assert wide.size() is None
    process, known = Process(wide, QUALITY, 0), {}
    for number in range(400):
        point = {"temperature": number % 15 / 10, "top_k": 1 + number % 80,
                 "repeat_penalty": 1 + number % 31 / 100}  # fmt: skip
        known[key_of(point)] = Known(point, (worth(point),), number, True)
    best = max(known.values(), key=lambda one: one.values or ())
    chosen = process.next(known, [best.point], None)
    assert chosen is not None and key_of(chosen) not in known
    assert worth(chosen) > sum(worth(one.point) for one in known.values()) / len(known)


def test_the_former_name_is_known() -> None:
    assert strategy("bayesian_optimization_gp").name == "bayesian_optimization"

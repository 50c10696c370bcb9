"""Strategies ask for points of functions that are known: they find, repeat nothing, go on."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import optuna
import pytest

from workbench.errors import TuneError
from workbench.search import STRATEGIES, Record, Search, objectives, recorded, search, strategy
from workbench.space import Parameter, Space, key_of

LINE = tuple(round(0.1 * step, 1) for step in range(11))
SPACE = Space("mine", "Mine", "", (
    Parameter("temperature", "sampling", "float", 0.0, 1.2, step=0.1, default=0.8),
    Parameter("top_p", "sampling", "float", 0.5, 1.0, step=0.05, default=0.9,
              when={"temperature": ("> 0",)}),
    Parameter("top_k", "sampling", "choice", choices=(10, 20, 40, 80), default=40,
              when={"temperature": ("> 0",)}),
))  # fmt: skip
SMALL = Space("small", "Small", "", (
    Parameter("top_k", "sampling", "choice", choices=(10, 20, 40), default=40),
    Parameter("num_batch", "loading", "choice", choices=(128, 256), default=512),
))  # fmt: skip


def worth(point: Mapping[str, Any], share: float = 1.0) -> dict[str, float | None]:
    """Best at 0.3, 0.7 and 20."""
    away = (point["temperature"] - 0.3) ** 2 + (point.get("top_p", 1.0) - 0.7) ** 2
    return {
        "quality": 1 - away - 0.02 * (point.get("top_k") != 20),
        "latency": 1 + point["temperature"], "throughput": 10.0, "memory": 1e9,
    }  # fmt: skip


@pytest.mark.parametrize("name", [
    "bayesian_optimization", "bayesian_optimization_tpe", "hyperband", "evolutionary",
    "random_search", "grid_search",
])  # fmt: skip
def test_a_strategy_finds_better_than_the_default(name: str) -> None:
    found = search(SPACE, name, "maximize_quality", worth, 40, seed=3)
    default, keys = worth(SPACE.default())["quality"], [key_of(one.point) for one in found.trials]
    assert found.trials[0].point == SPACE.default() and found.trials[0].share == 1.0
    assert len(keys) == len(set(keys)) == 40
    assert found.best is not None and found.best.values and default is not None
    assert found.best.values[0] > default + 0.05
    same = search(SPACE, name, "maximize_quality", worth, 40, seed=3)
    assert [one.point for one in same.trials] == [one.point for one in found.trials]


@pytest.mark.parametrize("name", [n for n, one in STRATEGIES.items() if one.most_objectives > 1])
def test_a_front_of_two_objectives(name: str) -> None:
    found = search(SPACE, name, ["maximize_quality", "minimize_latency"], worth, 30, seed=1)
    values = [found.trials[place].values for place in found.front]
    assert len(values) >= 2 and len(found.trials) == 30
    assert values == sorted(values, key=lambda pair: -pair[0] if pair else 0.0)


def test_a_small_space_is_tried_whole_and_nothing_twice() -> None:
    good = {"top_k": 20, "num_batch": 128}

    def matches(point: Mapping[str, Any], share: float) -> dict[str, float | None]:
        return {"quality": float(point == good)}

    for name in STRATEGIES:
        found = search(SMALL, name, "maximize_quality", matches, 50, seed=2)
        assert {key_of(one.point) for one in found.trials} >= {key_of(p) for p in SMALL.grid(50)}
        assert len(found.trials) == 7, name  # the default is none of the six
        assert found.best is not None and found.best.point == good


def test_first_points_change_the_load_and_the_rest_by_turns() -> None:
    space = Space("both", "Both", "", (
        Parameter("temperature", "sampling", "float", 0.0, 1.2, step=0.1, default=0.8),
        Parameter("num_ctx", "loading", "choice", choices=(256, 512, 1024, 2048), default=512),
        Parameter("num_batch", "loading", "choice", choices=(32, 64, 128, 256, 512), default=256),
    ))  # fmt: skip
    steps = Search(space, strategy("bayesian_optimization"), objectives("maximize_quality"), seed=5)
    assert steps.take(space.default(), "default") is not None
    asked = [steps.ask() for _ in range(7)]
    points = [space.default(), *(one.point for one in asked if one)]
    kept = [one["temperature"] == other["temperature"] for one, other in pairwise(points)]
    assert kept == [False, True, False, True, False, True, False]
    loads = [(one["num_ctx"], one["num_batch"]) for one in points]
    assert [one == other for one, other in pairwise(loads)] == [not same for same in kept]
    assert steps.ahead == 1, "each point is chosen beside the last one"
    one_kind = Search(SPACE, strategy("bayesian_optimization"), objectives("maximize_quality"))
    assert len({one.key for one in (one_kind.ask() for _ in range(8)) if one}) == 8


def test_hyperband_asks_less_and_wants_one_objective() -> None:
    found = search(SPACE, "hyperband", "maximize_quality", worth, 60, seed=5)
    assert found.cost < 40 and any(one.state == "pruned" for one in found.trials)
    with pytest.raises(TuneError, match="evolutionary"):
        strategy("hyperband", 2)
    with pytest.raises(TuneError, match="bayesian_optimization"):
        strategy("bayes")


def test_where_points_fail_the_search_goes_on_elsewhere() -> None:
    def breaks(point: Mapping[str, Any], share: float) -> dict[str, float | None]:
        return worth(point) if point["temperature"] < 1.0 else {"quality": None}

    for name in ("bayesian_optimization", "evolutionary"):
        found = search(SPACE, name, "maximize_quality", breaks, 40, seed=1)
        failed = [one for one in found.trials if one.state == "failed"]
        assert failed and all(one.point["temperature"] >= 1.0 for one in failed)
        late = sum(one.state == "failed" for one in found.trials[25:])
        assert late <= len(failed) / 2, name


@pytest.mark.parametrize("name", ["bayesian_optimization", "evolutionary", "grid_search"])
def test_a_search_that_is_kept_goes_on(name: str) -> None:
    first = search(SPACE, name, "maximize_quality", worth, 12, seed=1, storage="mine")
    second = search(SPACE, name, "maximize_quality", worth, 12, seed=1, storage="mine")
    tried = (*first.trials, *second.trials)
    keys = [key_of(one.point) for one in tried]
    assert len(set(keys)) == len(keys) == 24
    kept = [one for one in recorded("mine") if one.user_attrs["told"]["state"] == "done"]
    assert [one.user_attrs["point"] for one in kept] == [one.point for one in tried]
    opened = optuna.load_study(study_name="mine", storage=_url())
    assert opened.best_value == max(one.values[0] for one in tried if one.values)
    assert opened.metric_names == ["maximize_quality"]


def test_workers_see_what_the_others_try_and_found() -> None:
    goals = objectives("maximize_quality")
    one, two = (
        Search(
            SMALL, strategy("bayesian_optimization"), goals, seed=seed, worker=str(seed),
            record=Record("both", ["maximize"], ["quality"]), alone=False,
        )
        for seed in (1, 2)
    )  # fmt: skip
    keys = []
    for number in range(3):
        for worker in (one, two):
            asked = worker.ask()
            assert asked is not None
            worker.begin(asked)
            keys.append(asked.key)
            if number or worker is one:
                worker.tell(asked, "done", [float(number)])
    assert len(set(keys)) == len(keys) == 6
    assert one.ask() is None and two.ask() is None
    states = [one.user_attrs.get("told", {}).get("state") for one in recorded("both")]
    assert [state for state in states if state != "repeated"] == ["done", None, *["done"] * 4]


def test_of_two_who_begin_the_same_point_the_first_goes_on() -> None:
    goals = objectives("maximize_quality")
    one, two = (
        Search(
            SMALL, strategy("bayesian_optimization"), goals, seed=1, worker=str(worker),
            record=Record("same", ["maximize"], ["quality"]), alone=False,
        )
        for worker in (1, 2)
    )  # fmt: skip
    point = {"top_k": 20, "num_batch": 128}
    late, early = two.take(point, "wanted"), one.take(point, "wanted")
    assert early is not None and late is not None
    assert (one.begin(early), two.begin(late)) == (0, 1)
    assert two.taken(late) and not one.taken(early)
    two.tell(late, "failed", why="Another worker tries this point.", lost=True)
    assert two.take(point, "wanted") is None and one.take(point, "wanted") is None
    one.tell(early, "done", [0.5])
    for worker in (one, two):
        assert worker.take(point, "wanted") is None
        assert worker.known[key_of(point)].values == (0.5,)


def test_a_point_that_another_worker_ended_can_be_measured_twice() -> None:
    one, two = (
        Search(
            SMALL, strategy("bayesian_optimization"), objectives("maximize_quality"), seed=seed,
            record=Record("theirs", ["maximize"], ["quality"]), alone=False,
        )
        for seed in (1, 2)
    )  # fmt: skip
    theirs = two.ask()
    assert theirs is not None
    two.begin(theirs)
    two.tell(theirs, "done", [0.5])
    again = one.repeat(theirs.point)  # which `one` has not looked at yet
    one.begin(again)
    one.tell(again, "twice", [0.4], repeats=theirs.number)
    assert one.known[theirs.key].values == (0.4,)
    assert one.known[theirs.key].number == theirs.number


def test_a_point_measured_twice_is_known_by_both_measurements() -> None:
    def opened() -> Search:
        return Search(
            SMALL, strategy("bayesian_optimization"), objectives("maximize_quality"),
            record=Record("twice", ["maximize"], ["quality"]),
        )  # fmt: skip

    mine, point = opened(), {"top_k": 20, "num_batch": 128}
    asked = mine.take(point, "wanted")
    assert asked is not None
    mine.begin(asked)
    mine.tell(asked, "done", [0.5])
    lost, again = mine.repeat(point), mine.repeat(point)
    mine.begin(lost)
    mine.tell(lost, "failed", lost=True)
    assert mine.known[key_of(point)].values == (0.5,), "the first measurement stays"
    mine.begin(again)
    mine.tell(again, "twice", [0.4], repeats=asked.number)
    for search_ in (mine, opened()):
        known = search_.known[key_of(point)]
        assert (known.values, known.number, known.whole) == ((0.4,), asked.number, True)


def _url() -> str:
    from workbench.store import engine

    return engine().url.render_as_string(hide_password=False)

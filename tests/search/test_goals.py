"""What a search is after: names, formulas and weights; formulas are hostile."""

from __future__ import annotations

import math

import pytest

from workbench.errors import TuneError
from workbench.search import OBJECTIVES, front_of, objective, objectives

DEFAULT = {"quality": 0.5, "latency": 2.0, "throughput": 20.0, "memory": 1e9}


def figures(**changed: float | None) -> dict[str, float | None]:
    return {**DEFAULT, **changed}


def test_the_five_of_the_specification() -> None:
    found = {
        name: OBJECTIVES[name].value(figures(quality=0.6, latency=1.0), DEFAULT)
        for name in (
            "maximize_quality", "minimize_latency", "minimize_memory", "balance_quality_speed",
            "maximize_throughput",
        )
    }  # fmt: skip
    assert found == pytest.approx({
        "maximize_quality": 0.6, "minimize_latency": 1.0, "minimize_memory": 1e9,
        "balance_quality_speed": 0.7, "maximize_throughput": 20.0,
    })  # fmt: skip
    assert [OBJECTIVES[name].direction[:3] for name in found] == ["max", "min", "min", "max", "max"]


def test_a_figure_alone_goes_the_way_that_everybody_wants() -> None:
    for name in ("maximize_quality", "minimize_latency", "minimize_memory", "maximize_throughput"):
        assert objective(name.partition("_")[2]) == OBJECTIVES[name]
    assert objective("maximize latency").direction == "maximize"  # who insists


def test_formulas() -> None:
    goal = objective("minimize latency * sqrt(memory / 1e9) - 2 ** 3 * min(quality, 0.25)")
    assert goal.direction == "minimize" and goal.needs == {"latency", "memory", "quality"}
    assert goal.value(figures(), DEFAULT) == pytest.approx(0.0)
    assert goal.better(1.0, 2.0) and not goal.better(2.0, 2.0)
    relative = objective("quality - quality_default - max(0, log2(latency / latency_default))")
    assert relative.value(figures(latency=8.0), DEFAULT) == pytest.approx(-2.0)


@pytest.mark.parametrize("text", [
    "__import__('os').system('true')", "quality.__class__", "(lambda: quality)()", "[quality]",
    "quality if quality else 1", "quality == 1", "open('x')", "f'{quality}'", "quality; quality",
    "quality := 1", "min(quality, key=abs)", "min(*[quality])", "quality @ latency",
    "1e400 * quality", "quality and 1", "~quality", "True * quality",
    "quality" + " + quality" * 400, "(" * 250 + "quality",
    "quality +", "", "1 + 1", "speed * 2", "sqrt()", "min", "quality + min",
])  # fmt: skip
def test_what_is_no_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(TuneError):
        objective(text)


def test_a_name_that_is_near() -> None:
    with pytest.raises(TuneError, match="maximize_quality"):
        objective("maximise_quality")
    with pytest.raises(TuneError, match="latency"):
        objective("quality - latencies")


@pytest.mark.parametrize("changed", [
    {"latency": 0.0}, {"latency": -1.0}, {"latency": None}, {"latency": 1e-320},
])  # fmt: skip
def test_a_formula_without_a_value(changed: dict[str, float | None]) -> None:
    goal = objective("1 / latency + log2(latency) + latency ** -2")
    with pytest.raises(TuneError):
        goal.value(figures(**changed), DEFAULT)


def test_weights_become_one_sum() -> None:
    (goal,) = objectives({"maximize_quality": 1, "minimize_latency": 0.1, "memory": 0.5})
    assert goal.direction == "maximize"
    assert goal.value(figures(latency=1.0, memory=0.5e9), DEFAULT) == pytest.approx(1.1)
    for wrong in ({}, {"maximize_quality": 0}, {"maximize_quality": math.nan}, {"speed": 1},
                  {"maximize_quality": True}):  # fmt: skip
        with pytest.raises(TuneError):
            objectives(wrong)
    with pytest.raises(TuneError):
        objectives([])


def test_the_front() -> None:
    goals = objectives(["maximize_quality", "minimize_latency"])
    values = [(0.5, 2.0), (0.6, 3.0), (0.5, 1.0), (0.4, 1.0), (0.6, 3.0), (0.1, 0.5)]
    assert front_of(values, goals) == [1, 2, 5]
    assert front_of([pair[:1] for pair in values], goals[:1]) == [1]
    assert front_of([], goals) == []

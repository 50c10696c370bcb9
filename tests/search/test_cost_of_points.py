"""What a trial is expected to cost."""

from __future__ import annotations

from typing import Any

from workbench.search import Asked, Cost
from workbench.space import Parameter, Space, key_of

SPACE = Space("mine", "Mine", "", (
    Parameter("temperature", "sampling", "float", 0.0, 1.0, default=0.8),
    Parameter("num_batch", "loading", "choice", choices=(64, 256), default=256),
    Parameter("kv_cache_type", "loading", "choice", choices=("f16", "q8_0"), default="f16"),
))  # fmt: skip


def point(batch: int, cache: str = "f16", temperature: float = 0.5) -> dict[str, Any]:
    return {"temperature": temperature, "num_batch": batch, "kv_cache_type": cache}


def test_a_load_costs_what_it_cost() -> None:
    cost = Cost(SPACE)
    cost.note(point(64), 3.0, 8)  # a load, and answers
    assert cost.of_load == 2.0 and not cost.pays, "a guess"
    assert [cost.of(one) for one in (point(64, temperature=0.1), point(256, "q8_0"))] == [1.5, 3.0]
    cost.note(point(64, temperature=0.2), 0.5, 8)
    assert cost.of(point(64, temperature=0.1)) == 0.5 and cost.of(point(64, "q8_0")) == 3.0
    assert cost.of_load == 6.0 and cost.pays
    cost.note(point(256), 0.01, 0)  # its answers were known, and no speed was wanted
    assert cost.of(point(64, temperature=0.1)) == 0.5, "no model was loaded for it"
    cost.note(point(256, temperature=0.3), 1.0, 8)
    assert cost.of_load == 4.0, "the median of 3 and 1, by 0.5"


def test_answers_that_are_known_cost_nothing() -> None:
    cost = Cost(SPACE)
    cost.note(point(64), 3.0, 32)
    assert cost.of(point(256)) == 1.5 < cost.of(point(256, temperature=0.1)), "a guess"
    cost.note(point(256), 0.75, 8)
    assert cost.of(point(64)) == 0.75, "a load alone"
    assert cost.of(point(64, "q8_0")) == cost.of(point(64, temperature=0.1)) == 3.0
    assert cost.of_load == 2.0 and not cost.pays, "no trial has shared a load yet"


def test_a_load_is_never_cheap_and_nothing_where_none_is_needed() -> None:
    cost = Cost(SPACE)
    cost.note(point(64), 1.0, 8)
    cost.note(point(64, temperature=0.1), 9.0, 8)
    assert cost.of_load == 1.0 and not cost.pays
    sampling = Cost(SPACE.only("temperature"))
    sampling.note({"temperature": 0.1}, 1.0, 8)
    assert sampling.of_load == 1.0 and not sampling.pays


def test_those_of_one_load_come_together() -> None:
    cost = Cost(SPACE)
    cost.note(point(256, "q8_0"), 1.0, 8)
    batch = [point(64), point(256), point(64, temperature=0.1), point(256, "q8_0"), point(256)]
    ordered = cost.in_order([Asked(one, key_of(one)) for one in batch])
    assert [one.point for one in ordered] == [batch[place] for place in (3, 0, 2, 1, 4)]

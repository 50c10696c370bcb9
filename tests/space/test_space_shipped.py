"""The spaces that ship: complete, explained, and what engine and trainer really take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spaces_made import Drawn

from workbench.learn import Settings
from workbench.protocol import check_options
from workbench.space import Space, find_space, key_of, spaces

NAMES = ["quick", "general", "code", "creative", "analysis", "speed", "everything"]


def test_they_are_all_there() -> None:
    assert [one.name for one in spaces()] == [*NAMES, "prompt", "training", "weights"]


@pytest.mark.parametrize("space", spaces(), ids=lambda one: one.name)
def test_each_explains_itself(space: Space) -> None:
    assert space.title and space.about.endswith(".") and len(space.about) > 80
    for one in space.parameters:
        assert one.meaning[0].isupper() and one.meaning.endswith("."), one.name
        assert len(one.meaning) > 20
        assert (one.count or 2) > 1
    assert find_space(space.name) == space


@given(st.sampled_from(spaces()), st.data())
def test_engine_and_trainer_take_every_point(space: Space, data: st.DataObject) -> None:
    point = space.suggest(Drawn(data))
    parts = {one.name: one.part for one in space.parameters}
    options = {n: v for n, v in point.items() if parts[n] in ("sampling", "loading")}
    assert check_options(options) == options
    training = {name: value for name, value in point.items() if parts[name] == "training"}
    if training:
        assert training.items() <= Settings(**training).to_json().items()


def test_a_trainings_defaults_are_the_trainers() -> None:
    default = find_space("training").default()
    assert {name: getattr(Settings(), name) for name in default} == default


def test_every_setting_of_a_training_is_the_trainers() -> None:
    from workbench.space._known import known

    for one in known().values():
        if one.part == "training":
            assert getattr(Settings(), one.name) == one.default
            for value in (one.low, one.high, *one.texts):
                if value is not None:
                    assert Settings(**{one.name: value})


def test_quick_is_quick_and_the_others_are_worth_a_search() -> None:
    assert find_space("quick").size() == 24
    assert len({key_of(point) for point in find_space("quick").grid(30)}) == 25  # and the default
    for name in ("general", "code", "creative", "analysis"):
        size = find_space(name).size()
        assert size and size > 5000
        assert {one.part for one in find_space(name).parameters} == {"sampling"}
    assert {one.part for one in find_space("speed").parameters} == {"loading"}
    everything = find_space("everything")
    assert set(everything.names) == {*find_space("general").names, *find_space("speed").names}
    assert everything.rules == find_space("speed").rules


def test_greedy_points_are_not_told_apart_by_what_does_not_count() -> None:
    for name in ("general", "code", "analysis"):
        space = find_space(name)
        point = space.checked({"temperature": 0, "top_k": space.parameter("top_k").low})
        assert not {"top_k", "top_p", "min_p"} & point.keys()

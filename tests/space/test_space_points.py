"""Whatever the space: its points are valid, obey its rules, and have keys that mean something."""

from __future__ import annotations

import json
import math
from itertools import islice
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spaces_made import Drawn, any_space

from workbench.errors import TuneError
from workbench.space import Point, Space, key_of, spaces


def obeys(space: Space, point: Point) -> bool:
    """Held against the space's own facts, without its methods."""
    for one in space.parameters:
        applies = all(
            name in point and any(_met(point[name], wanted) for wanted in conditions)
            for name, conditions in one.when.items()
        )
        if one.name not in point:
            if applies and one.default is not None:
                return False
            continue
        value = point[one.name]
        if not applies or (type(value) is bool and one.kind != "choice"):
            return False
        inside = value in one.choices if one.kind == "choice" else one.low <= value <= one.high
        if not inside and value != one.default:
            return False
        if one.step and value != one.default:
            steps = (value - one.low) / one.step
            if not math.isclose(steps, round(steps), abs_tol=1e-6):
                return False
    kept = all(
        point[rule.small] <= rule.times * point[rule.large]
        for rule in space.rules
        if rule.small in point and rule.large in point
    )
    return kept and point.keys() <= set(space.names)


def _met(value: Any, wanted: Any) -> bool:
    if not isinstance(wanted, str) or wanted[0] not in "<>":
        return bool(value == wanted)
    sign, number = wanted.split()
    number = float(number)
    return {"<": value < number, "<=": value <= number, ">": value > number,
            ">=": value >= number}[sign]  # fmt: skip


@given(any_space(), st.data())
def test_what_is_drawn_is_a_point(space: Space, data: st.DataObject) -> None:
    trial = Drawn(data)
    point = space.suggest(trial)
    assert obeys(space, point)
    assert sorted(trial.asked) == sorted(point)  # nothing was asked for in vain, nothing twice
    assert space.checked(point) == point
    assert json.loads(json.dumps(point)) == point


@given(any_space(), st.data())
def test_the_rest_is_completed_and_what_does_not_apply_dropped(
    space: Space, data: st.DataObject
) -> None:
    whole = space.suggest(Drawn(data))
    names = data.draw(st.lists(st.sampled_from(space.names), unique=True))
    try:
        point = space.checked({name: whole[name] for name in names if name in whole})
    except TuneError as error:  # a default makes the context smaller than the batch
        assert "must be that num_batch <= num_ctx" in str(error)
    else:
        assert obeys(space, point)
        assert space.checked(point) == point


@given(any_space())
def test_the_default_is_a_point(space: Space) -> None:
    assert obeys(space, space.default())
    assert space.checked({}) == space.default()


@given(any_space(stepped=True))
def test_the_grid_has_every_point_once(space: Space) -> None:
    size = space.size()
    assert size is not None and size >= 1
    if size > 3000:
        return
    points = list(space.grid(size + 1))
    assert points[0] == space.default()
    assert len({key_of(point) for point in points}) == len(points)
    assert size <= len(points) <= size + 1  # the default may lie outside
    assert all(obeys(space, point) for point in points)


@given(any_space(), st.integers(1, 40))
def test_a_part_of_the_grid_is_no_larger_than_asked(space: Space, most: int) -> None:
    points = list(space.grid(most))
    assert 1 <= len(points) <= most and points[0] == space.default()
    assert len({key_of(point) for point in points}) == len(points)
    assert all(obeys(space, point) for point in points)
    assert points == list(space.grid(most))


@given(any_space(), st.data())
def test_a_key_does_not_depend_on_order_or_spelling(space: Space, data: st.DataObject) -> None:
    point = space.suggest(Drawn(data))
    other = dict(data.draw(st.permutations(list(point.items()))))
    for name, value in other.items():
        if type(value) is float and value == int(value):
            other[name] = int(value)
    assert key_of(other) == key_of(point) == key_of({**point, "num_predict": None})
    for name, value in point.items():
        changed = not value if isinstance(value, bool) else f"{value}x"
        assert key_of({**point, name: changed}) != key_of(point)


@given(any_space())
def test_json_brings_the_same_space_back(space: Space) -> None:
    again = Space.of(json.loads(json.dumps(space.to_json())))
    assert again == space and again.digest == space.digest


@given(any_space(), st.data())
def test_a_fixed_value_holds_in_every_point(space: Space, data: st.DataObject) -> None:
    point = space.suggest(Drawn(data))
    name = data.draw(st.sampled_from(sorted(point)))
    try:
        fixed = space.fixed(**{name: point[name]})
    except TuneError as error:  # num_ctx below the least num_batch, say
        assert "cannot always be kept" in str(error)
        return
    for found in [fixed.default(), *islice(fixed.grid(5), 5), fixed.suggest(Drawn(data))]:
        assert found.get(name, point[name]) == point[name]
        assert obeys(fixed, found)


def test_true_is_not_one_and_nan_has_no_key() -> None:
    assert key_of({"flash_attention": True}) != key_of({"flash_attention": 1})
    assert key_of({"temperature": 0.0}) == key_of({"temperature": -0.0})
    for value in (math.nan, math.inf, [1], {}, b"x"):
        with pytest.raises(TuneError, match="temperature cannot be"):
            key_of({"temperature": value})


def test_an_even_part_covers_each_parameter() -> None:
    [space] = [one for one in spaces() if one.name == "general"]
    points = list(space.grid(120))
    assert len(points) == 120
    for one in space.parameters:
        seen = {point[one.name] for point in points if one.name in point}
        assert len(seen) >= 0.8 * (one.count or 0), one.name
    temperatures = [point["temperature"] for point in points]
    halves = sum(value < 0.6 for value in temperatures)
    assert 45 <= halves <= 75


@pytest.mark.parametrize("space", spaces(), ids=lambda one: one.name)
def test_optuna_draws_from_every_space_that_ships(space: Space) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1, n_startup_trials=5))
    for number in range(12):
        trial = study.ask()
        point = space.suggest(trial)
        assert obeys(space, point)
        assert point.keys() == trial.params.keys()
        study.tell(trial, float(number % 4))

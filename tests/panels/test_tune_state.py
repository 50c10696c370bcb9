"""The Tuning panel's rules without a browser: real spaces, and studies as they are kept."""

from __future__ import annotations

import ast
import asyncio
import os
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from panels.tuning_records import HOSTILE, MODEL, NAME, write_studies, write_study

from workbench import data, tune
from workbench.engines import stop_engine
from workbench.examples import Example
from workbench.panels import Tuning
from workbench.panels._fragment import find_state
from workbench.panels._html import render
from workbench.panels.states import EngineState, TuneState
from workbench.panels.states._tune_new import NewStudyState
from workbench.panels.states._tune_picture import best_of, convergence, figures, plane, settings
from workbench.panels.states._tune_study import PARTS
from workbench.space import Space, find_space
from workbench.statistics import Interval
from workbench.types import Model

TEMPLATES = [template for column in Tuning.columns for template, _watch in column]
NOBODY = "http://127.0.0.1:9"  # where no engine answers


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with studies that say odd things."""
    home = tmp_path_factory.mktemp("tune-state") / "home"
    before, os.environ["WORKBENCH_HOME"] = os.environ.get("WORKBENCH_HOME"), str(home)
    write_studies()
    yield home
    stop_engine()  # of whoever looked at the models
    os.environ.pop("WORKBENCH_HOME")
    if before is not None:
        os.environ["WORKBENCH_HOME"] = before


@pytest.fixture
async def state(made: Path, monkeypatch: pytest.MonkeyPatch) -> TuneState:
    monkeypatch.setenv("WORKBENCH_HOME", str(made))
    engine = EngineState(url=NOBODY)
    engine.models = (Model(MODEL, 11_000_000, "b" * 64), Model("taken:latest"))
    found = TuneState(engine=engine, opener=lambda name: None, leader=lambda name: None)
    await found.look()
    return found


def drawn(state: TuneState, *templates: str) -> str:
    return "".join(render(name, state=state) for name in templates or TEMPLATES)


def tried(number: int, quality: float, latency: float, memory: int | None = None) -> Any:
    measured = SimpleNamespace(
        quality=Interval(quality, quality - 0.1, quality + 0.1, 20, "t"),
        latency=Interval(latency, latency, latency, 20, "t"), throughput=None, memory=memory,
    )  # fmt: skip
    return SimpleNamespace(number=number, measured=measured)


async def test_an_empty_home_says_how_to_begin() -> None:
    state = TuneState(engine=EngineState(url=NOBODY))
    await state.look()
    assert "no model to tune" in drawn(state) and "Find a model" not in drawn(state)
    state.leader = lambda name: None
    assert "Find a model" in drawn(state)
    await state.show("studies")
    assert "Nothing was tuned yet" in drawn(state)
    await state.open_study("nowhere")
    assert "no study" in drawn(state)


def test_what_the_parts_watch_exists() -> None:
    state = TuneState()
    for column in Tuning.columns:
        for template, watch in column:
            for path in watch.split():
                found, name = find_state(state, path)
                assert found.has_trait(name), f"{template} watches {path}"


def test_points_stand_on_a_plane_with_their_front() -> None:
    points = [tried(0, 0.5, 2.0), tried(1, 0.7, 3.0), tried(2, 0.4, 1.0), tried(3, 0.6, 4.0)]
    assert figures(points) == ["quality", "latency"]
    found = plane(points, "latency", "quality")
    assert found is not None and set(found.dots) == {0, 1, 2, 3}
    assert found.dots[2].x < found.dots[0].x < found.dots[1].x < found.dots[3].x
    assert found.dots[1].y < found.dots[3].y < found.dots[0].y < found.dots[2].y, "0 is above"
    assert all(dot.high <= dot.y <= dot.low for dot in found.dots.values())
    assert found.front.count("L") == 4, "two steps between three points"
    given = {one.number: (one.measured.latency.value, one.measured.quality.value)
             for one in points}  # fmt: skip
    assert best_of(given, False, True) == [2, 0, 1]
    assert best_of({1: (1.0, 1.0), 2: (1.0, 1.0)}, True, True) == [1], "equal ones are one"
    assert plane(points, "memory", "quality") is None
    level = plane([tried(0, 0.29, 2.0), tried(1, 0.29, 3.0)], "latency", "quality")
    assert level is not None and len({f"{100 * at:.1f}" for _, at in level.up}) == len(level.up) > 1
    assert plane(points[:1], "latency", "quality") is not None, "one point has a picture"


def test_the_best_so_far_goes_one_way_only() -> None:
    assert convergence([(0, 1.0)], True) is None
    for rising in (True, False):
        found = convergence([(0, 0.5), (1, 0.4), (3, 0.8), (4, 0.7), (9, 0.1)], rising)
        assert found is not None
        heights = [float(pair.split()[1]) for pair in found.front[1:].split(" L")]
        assert heights == sorted(heights, reverse=rising), "above is 0"
        assert set(found.dots) == {0, 1, 3, 4, 9}
        assert all(at == int(at) for _, at in found.across)


def test_settings_are_lines_over_their_axes() -> None:
    rows = {0: {"a": 1, "b": "x", "c": True}, 1: {"a": 100, "b": "y"},
            2: {"a": 10, "b": "x", "c": False}}  # fmt: skip
    found = settings(["a", "b", "c", "never"], rows, ["a"])
    assert found is not None
    axes, lines = found
    assert [axis.name for axis in axes] == ["a", "b", "c"]
    assert [axis.at for axis in axes] == [0, 50, 100]
    assert dict(axes[0].marks) == {0: 100, 100: 1}
    assert [value for _, value in axes[2].marks] == ["no", "yes"]
    assert lines[2].startswith("M0.0 110.0 "), "10 is half-way from 1 to 100, by powers"
    assert lines[1].count("L") == 1, "its line ends where it has no value"
    assert settings(["a"], rows) is None


async def test_the_form_is_checked_while_it_is_written(state: TuneState) -> None:
    form = state.new
    assert form.model.name == MODEL and form.suite and not form.problems and form.ready
    ast.parse(form.code)
    assert "objectives=['maximize_quality', 'minimize_latency']" in form.code
    await form.write("low:temperature", "2")
    assert "low and high are swapped" in form.problems["low:temperature"]
    assert not form.ready and not form.code and "swapped" in drawn(state)
    await form.write("low:temperature", "cold")
    assert "Write numbers" in form.problems["low:temperature"]
    await form.write("low:temperature", "0.2")
    assert not form.problems and form.space.parameter("temperature").low == 0.2
    call = ast.parse(form.code[form.code.index("Space.of(") :].partition(",\n")[0], mode="eval")
    assert isinstance(call.body, ast.Call)
    assert Space.of(ast.literal_eval(call.body.args[0])) == form.space
    await form.reset()
    assert form.space == find_space("general")
    await form.pick("off", "top_k")
    assert "find_space('general').only('temperature'" in form.code
    assert "top_k" not in form.space.names and "stays 40" in drawn(state)
    for name in form.usual.names:
        if name != "top_k":
            await form.pick("off", name)
    assert form.problems["space"].startswith("Tick something")
    await form.write("space", "speed")
    assert not form.problems and form.picked["off"] == ()
    await form.write("choices:num_ctx", "512, 4096")
    assert form.space.parameter("num_ctx").choices == (512, 4096)
    await form.write("choices:num_ctx", "many")
    assert form.problems["choices:num_ctx"]
    with pytest.raises(KeyError):
        await form.write("low:temperatur", "1")


async def test_a_space_of_trainings_asks_for_a_dataset(state: TuneState) -> None:
    new = state.new
    await new.write("space", "training")
    assert "dataset to learn from is needed" in new.missing and not new.code
    with data.writing("chats", "text", recipe={"kind": "test"}) as draft:
        draft.add(Example("text", {"text": "One two three."}, {}), "train")
    await new.look()
    await new.write("space", "training")
    assert not new.missing and new.dataset == ("chats", "text, 1 examples")
    assert "dataset='chats'" in new.code and "space='training'" in new.code
    assert "Learn from" in drawn(state, "tune_new")
    await new.write("space", "quick")
    assert "dataset" not in new.code


async def test_goals_and_limits_are_checked(state: TuneState) -> None:
    form = state.new
    await form.write("strategy", "hyperband")
    assert "one goal at a time" in form.problems["strategy"]
    await form.pick("objectives", "minimize_latency")
    assert not form.problems
    await form.pick("objectives", "custom")
    assert "Write one" in form.problems["formula"]
    await form.write("strategy", "")
    await form.write("formula", "quality - 0.1 * lateny")
    assert "latency" in form.problems["formula"]
    await form.write("formula", "quality - 0.1 * latency")
    assert form.objectives == ["maximize_quality", "quality - 0.1 * latency"] and form.ready
    for name, text in {"iterations": "0", "minutes": "an hour", "samples": "1.5",
                       "memory": "-1"}.items():  # fmt: skip
        await form.write(name, text)
        assert form.problems[name] and not form.ready
        await form.write(name, "")
    await form.write("space", "quick")
    await form.write("iterations", "100")
    assert form.trials == 24, "there are no more points"
    await form.write("memory", "1.5")
    assert form.given()[1]["memory"] == 1_500_000_000
    for name in list(form.picked["objectives"]):
        await form.pick("objectives", name)
    assert form.missing == "Tick what counts." and not form.code


async def test_the_model_that_was_tuned_last_stands_first(state: TuneState) -> None:
    state.engine.models = (Model("made-last:latest"), Model(MODEL, 11_000_000, "b" * 64))
    form = NewStudyState(source=state)
    await form.look()
    assert form.model.name == MODEL == state.studies[0].model
    state.engine.models = (Model("made-last:latest"),)
    form = NewStudyState(source=state)
    await form.look()
    assert form.model.name == "made-last:latest", "that one is gone"
    await form.write("model", "")
    assert form.model.name == "made-last:latest"


async def test_limits_are_those_of_the_environment(
    state: TuneState, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = NewStudyState(source=state)
    await form.look()
    assert (form.text("iterations"), form.text("minutes")) == ("100", "60")
    monkeypatch.setenv("MAX_OPTIMIZATION_ITERATIONS", "15")
    monkeypatch.setenv("OPTIMIZATION_TIMEOUT_MINUTES", "5")
    form = NewStudyState(source=state)
    await form.look()
    assert (form.text("iterations"), form.text("minutes")) == ("15", "5")
    await form.write("space", "general")
    assert form.trials == 15 and form.given()[1]["minutes"] == 5
    await form.write("iterations", "")
    assert form.trials == 15 and "iterations" not in form.given()[1], "the same where it is empty"
    monkeypatch.setenv("MAX_OPTIMIZATION_ITERATIONS", "many")
    form = NewStudyState(source=state)
    await form.look()
    assert not form.known and "MAX_OPTIMIZATION_ITERATIONS" in form.problem


async def test_a_copy_begins_with_the_settings_of_the_study(state: TuneState) -> None:
    study = next(one for one in state.studies if one.name == NAME)
    await state.again(study.id)
    assert state.view == "new" and not state.new.problems
    assert state.new.space == study.space != find_space(study.space.name)
    assert state.new.objectives == list(study.objectives)
    assert state.new.given()[1]["iterations"] == study.settings["iterations"]


async def test_why_a_new_study_could_not_begin_stands_on_its_page(state: TuneState) -> None:
    begun = tune.find(NAME)  # done meanwhile, by somebody else
    await state.new.follow(begun)
    assert state.opened.id == begun.id and state.new.problem == ""
    assert "is done. Extend it to go on" in unescape(drawn(state, "tune_study"))


async def test_pages_bear_whatever_a_study_says(state: TuneState) -> None:
    await state.show("studies")
    page = drawn(state)
    assert NAME in page and "3</b>" not in page
    for study in state.studies:
        await state.open_study(study.id)
        for part in PARTS:
            await state.opened.turn_to(part)
            for trial in {one.state: one for one in state.opened.trials}.values():
                state.opened.choose(str(trial.number))
                page += drawn(state, "tune_study", "tune_front", "tune_matters", "tune_settings")
        assert state.opened.unread == ""
    assert "<img" not in page and "</script" not in page and "onerror=&#34;" in page
    for words in ("could not win", "failed", "known already", "As it is now", "In words"):
        assert words in page, words


async def test_a_point_is_picked_and_told_beside_the_default(state: TuneState) -> None:
    study = next(one for one in state.studies if one.name == NAME)
    await state.open_study(study.id)
    opened = state.opened
    assert opened.picked.number == opened.best and opened.axes == ("latency", "quality")
    opened.choose(str(opened.front[0]))
    assert opened.picked.number == opened.front[0]
    words = " ".join(opened.words)
    assert "quality" in words.lower() and "(" in words
    assert unescape(drawn(state, "tune_front")).count("wb-tune-dot") >= len(opened.done)
    opened.look_by("memory")
    assert opened.axes == ("memory", "quality")
    opened.look_by("beauty")
    assert opened.axes == ("latency", "quality")
    opened.sort("latency")
    figures = [opened.figure(one, "latency") for one in opened.sorted_trials if one.measured]
    assert figures == sorted(figures)  # type: ignore[type-var]
    opened.sort("latency")
    assert opened.falling and opened.sorted_trials[-1].measured is None, "unknown ones come last"
    opened.choose(str(opened.default.number))
    assert not opened.words
    opened.choose("<b>")
    assert opened.picked is opened.default


async def test_a_model_that_is_there_is_replaced_by_a_second_click_only(state: TuneState) -> None:
    study = next(one for one in state.studies if one.name == NAME)
    await state.open_study(study.id)
    opened = state.opened
    opened.make.name_it("taken")
    await opened.make.apply()
    assert opened.make.replacing == "taken" and not opened.make.applied
    assert "already" in drawn(state) and "Replace it" in drawn(state)
    opened.make.name_it("a name")
    assert "cannot be a model's name" in opened.make.wrong_name and not opened.make.replacing
    await opened.make.apply()
    assert not opened.make.applied
    opened.make.name_it("fresh")
    await opened.make.apply()
    assert opened.make.problem and not opened.make.applied, "no engine answers"


async def test_what_is_exported_is_written_when_asked(state: TuneState) -> None:
    study = next(one for one in state.studies if one.name == NAME)
    await state.open_study(study.id)
    opened = state.opened
    await opened.make.write_out("modelfile")
    assert "FROM " in opened.make.written and "PARAMETER temperature" in opened.make.written
    await opened.make.write_out("modelfile")
    assert not opened.make.written and not opened.make.form
    await opened.turn_to("settings")
    await opened.make.tell("csv")
    assert opened.make.written.count("\n") > len(opened.trials)
    await opened.make.tell("pdf")
    assert opened.make.form == "csv", "there is no such form"


async def test_a_study_is_deleted_by_a_second_click(state: TuneState) -> None:
    study = await asyncio.to_thread(write_study)
    await state.look()
    await state.forget(study.id)
    assert study.id in {one.id for one in state.studies}
    state.deleting = study.id
    await state.forget(study.id)
    assert study.id not in {one.id for one in tune.studies()}
    assert HOSTILE not in state.problem

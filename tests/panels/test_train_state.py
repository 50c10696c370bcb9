"""The Training panel's rules without a browser: real datasets, records, jobs and estimates."""

from __future__ import annotations

import ast
import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from panels.training_records import HOSTILE, LONG, report_steps, write_datasets, write_trainings

from workbench import jobs, lineage
from workbench.errors import TrainingError
from workbench.lineage import Edge, Graph, Node, Training
from workbench.panels import Training as Panel
from workbench.panels._fragment import find_state
from workbench.panels._html import render
from workbench.panels.states import TrainState
from workbench.panels.states._train_curve import Curves, picture, round_numbers, thinned
from workbench.panels.states._train_lineage import BOX, TALL, plan
from workbench.panels.states._train_run import PARTS
from workbench.panels.states._train_settings import value_of

TEMPLATES = [template for column in Panel.columns for template, _watch in column]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with two datasets, and with trainings on them that say odd things."""
    folder = tmp_path_factory.mktemp("train-state")
    before = os.environ.get("WORKBENCH_HOME")
    os.environ["WORKBENCH_HOME"] = str(folder / "home")
    write_trainings(*write_datasets(folder))
    yield folder
    if before is None:
        del os.environ["WORKBENCH_HOME"]
    else:
        os.environ["WORKBENCH_HOME"] = before


@pytest.fixture
async def state(made: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TrainState]:
    monkeypatch.setenv("WORKBENCH_HOME", str(made / "home"))
    found = TrainState(opener=lambda name: None, leader=lambda name: None)
    yield found
    found.close()
    jobs.stop_supervisor()


def drawn(state: TrainState, *templates: str) -> str:
    return "".join(render(name, state=state) for name in templates or TEMPLATES)


def row(id: int, step: float, loss: float, attempt: int = 1) -> Any:
    return SimpleNamespace(id=id, attempt=attempt, metrics={"step": step, "train_loss": loss})


async def until(state: TrainState, wanted: str) -> None:
    """Wait for the opened training's job to come to that state."""
    async with asyncio.timeout(60):
        while state.opened.job.state != wanted:
            await asyncio.sleep(0.1)
            await state.opened.look()


async def test_an_empty_home_says_how_to_begin() -> None:
    state = TrainState()
    await state.look()
    assert "There is no dataset yet" in drawn(state) and "workbench data" in drawn(state)
    state.leader = lambda name: None
    assert "Make a dataset" in drawn(state)
    await state.show("runs")
    assert "Nothing was trained yet" in drawn(state)
    await state.open_training("nowhere")
    assert "no training" in drawn(state)


def test_what_the_parts_watch_exists() -> None:
    state = TrainState()
    for column in Panel.columns:
        for template, watch in column:
            for path in watch.split():
                found, name = find_state(state, path)
                assert found.has_trait(name), f"{template} watches {path}"


def test_steps_that_were_done_again_count_once() -> None:
    curves = Curves().read_on([row(1, 1, 5.0), row(2, 2, 4.0), row(3, 3, 3.0)])
    curves = curves.read_on([row(7, 2, 4.5, attempt=2), row(8, 3, float("nan"), attempt=2)])
    assert curves.points("train_loss") == [(1, 5.0), (2, 4.5)]
    assert curves.last == 8 and not Curves().points("validation_loss")


def test_the_picture_of_the_loss_has_both_on_one_scale() -> None:
    assert picture([(1, 2.0)], []) is None
    found = picture([(0, 4.0), (50, 3.0), (100, 2.0)], [(50, 5.0), (100, 2.5)])
    assert found is not None and found.train.startswith("M0.0 ") and "600.0" in found.train
    assert [x for x, _ in found.dots] == [50, 100]
    assert all(0 <= y <= 100 for _, y in found.dots)
    assert [words for _, words in found.up] == ["2", "3", "4", "5"]
    assert picture([(1, 2.0), (2, 2.0)], []) is not None, "a loss that does not move"
    many = [(float(n), float(n % 7)) for n in range(10_000)]
    few = thinned(many)
    assert len(few) <= 300 and few[0] == many[0] and few[-1] == many[-1]
    assert round_numbers(0, 1234, 5) == [0, 500, 1000]


def test_a_lineage_stands_in_rows_without_crossing_boxes() -> None:
    nodes = [Node(id, kind, id) for id, kind in (  # type: ignore[arg-type]
        ("docs", "documents"), ("set", "dataset"), ("run1", "training"), ("file1", "file"),
        ("model1", "model"), ("other", "dataset"), ("run2", "training"), ("model2", "model"),
    )]  # fmt: skip
    pairs = [("docs", "set"), ("set", "run1"), ("run1", "file1"), ("file1", "model1"),
             ("model1", "run2"), ("set", "run2"), ("other", "run2"),
             ("run2", "model2")]  # fmt: skip
    found = plan(Graph(tuple(nodes), tuple(Edge(*pair) for pair in pairs)))
    at = {box.node.id: box for box in found.boxes}
    assert all(at[a].y + TALL < at[b].y for a, b in pairs)
    assert at["other"].y == at["model1"].y, "a source stands near what was made of it"
    for box in found.boxes:
        assert box.x >= 0 and box.x + BOX <= found.width + 0.01
    beside = {(box.x, box.y) for box in found.boxes}
    assert len(beside) == len(found.boxes) and len(found.lines) == len(pairs)
    assert plan(Graph((), ())).boxes == ()


@pytest.mark.parametrize(
    ("text", "value"),
    [("2e-4", 2e-4), ("8", 8), ("yes", True), ("no", False), ("none", None), ("lora", "lora"),
     ("9" * 50, "9" * 50)],
)  # fmt: skip
def test_settings_are_understood_as_people_type_them(text: str, value: Any) -> None:
    assert value_of(text) == value


async def test_pages_bear_whatever_a_training_is_called(state: TrainState) -> None:
    await state.show("runs")
    page = drawn(state)
    assert LONG in page and "3</b>" not in page
    for training in state.trainings:
        for part in PARTS:
            await state.open_training(training.id, part)
            page += drawn(state)
    assert state.opened.unread == "" and "onerror=&#34;" in page
    assert "<img" not in page and "</script" not in page and "49" not in HOSTILE
    for words in ("cannot be told apart", "Got worse", "They agree", "They part", "Where they part",
                  "Predicted and measured", "By hash", "Exactly right"):  # fmt: skip
        assert words in page or words == "cannot be told apart", words


async def test_the_form_is_checked_while_it_is_written(state: TrainState) -> None:
    await state.look()
    form = state.new
    assert form.recipe == "base" and form.dataset.name == "talks", "there is no base model"
    assert form.name == "talks-base-2", "talks-base is being made"
    width = form.defaults
    await form.write("depth", "6")
    assert form.defaults != width and form.settings == {"depth": 6}
    await form.write("depth", "many")
    assert form.problems["depth"] and not form.code and not form.ready
    await form.write("depth", "2")
    await form.write("name", "a model")
    assert "cannot be a model's name" in form.problems["name"]
    await form.write("name", "")
    ast.parse(form.code)
    assert "'base',\n    dataset='talks@" in form.code and "{'depth': 2}" in form.code
    assert "Size: one dial" in drawn(state)
    await form.write("recipe", "finetune")
    assert form.missing == "A base model is needed first."
    assert "There is no model to begin with" in drawn(state)
    await form.write("learning_rate", "2")
    await form.write("rank", "8")
    assert "from 1e-09 to 1" in form.problems["learning_rate"]
    await form.reset()
    assert form.settings == "lora" and not form.problems
    await form.write("preset", "small-data")
    await form.write("targets", "q_proj, v_proj")
    assert form.settings == {"preset": "small-data", "targets": ["q_proj", "v_proj"]}
    await form.write("recipe", "preferences")
    assert form.dataset.name == "pairs" and form.preset == "preferences"
    with pytest.raises(KeyError):
        await form.write("learning_rat", "1")


async def test_where_there_are_no_preferences_it_says_so(
    made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    state = TrainState(leader=lambda name: None)
    write_datasets(tmp_path)[1]
    from workbench import data

    data.remove(next(one.label for one in data.datasets() if one.name == "pairs"))
    await state.look()
    await state.new.write("recipe", "preferences")
    assert "There is no feedback yet" in drawn(state) and "Vote in the Arena" in drawn(state)
    await state.new.collect()
    assert "no feedback yet" in state.new.problem
    state.close()


async def test_a_training_is_watched_paused_and_resumed(state: TrainState) -> None:
    run = lineage.begin("finetune", "watched", dataset=_dataset(state), settings={})
    job = jobs.submit(
        f"{report_steps.__module__}:{report_steps.__name__}",
        {"count": 150, "hold": 60},
        title="Train watched",
        kind="training",
    )
    lineage.note(run, job=job.id)
    await state.open_training("watched")
    assert state.opened.training.id == run.id
    async with asyncio.timeout(60):
        while len(state.opened.curves.points("train_loss")) < 60 or "tokens/s" not in drawn(state):
            await asyncio.sleep(0.1)
            await state.refresh(start=False)
            assert jobs.get(job.id).state in {"queued", "running"}, jobs.log_text(job.id)
    page = drawn(state)
    for words in ("Stop and save", "Pause", "while learning", "tokens/s", "aria-current"):
        assert words in page, words
    assert "1 under way" in page
    await state.opened.stop()
    assert state.opened.stopping and (run.folder / "stop").exists()
    assert "Finishing" in drawn(state)
    await state.opened.pause()
    await until(state, "cancelled")
    assert "Paused" in drawn(state) and "Resume" in drawn(state)
    await state.opened.stop()
    assert not state.opened.problem, "what was paused is taken up to be exported"
    await until(state, "done")
    points = state.opened.curves.points("train_loss")
    assert [at for at, _ in points] == list(range(1, 151))
    await state.opened.pause()
    assert "does not run" in state.opened.problem
    await state.forget(run.id)
    assert run.folder.is_dir(), "the first click only asks"
    state.deleting = run.id
    await state.forget(run.id)
    assert not run.folder.exists() and not state.opened.id
    assert "watched" not in {one.name for one in state.trainings}


def _dataset(state: TrainState) -> Any:
    from workbench import data

    return data.find("talks")


async def test_what_can_go_on_leads_to_the_form(state: TrainState) -> None:
    await state.look()
    await state.further("talks-base")
    assert state.view == "new" and state.new.recipe == "finetune"
    await state.begin("pairs")
    assert state.new.text("dataset") == "pairs"
    played: list[str] = []
    state.opener = played.append
    state.play(LONG)
    assert played == [LONG]


async def test_exporting_again_says_what_is_missing(state: TrainState) -> None:
    await state.look()
    done = next(one for one in state.trainings if one.name == LONG)
    await state.open_training(done.id, "export")
    form = state.opened.export
    assert form.missing == "Tick a kind of file."
    await form.pick("kinds", "Q8_0")
    await form.write("name", "again")
    assert form.ready and "kinds=['Q8_0']" in form.code and "deploy=True" in form.code
    odd: Training = next(one for one in state.trainings if one.name.startswith("<img"))
    await state.open_training(odd.id, "export")
    assert "no weights yet" in state.opened.export.missing


async def test_an_estimate_is_made_beside_the_kernel(state: TrainState) -> None:
    await state.look()
    form = state.new
    for name, value in {"depth": "1", "steps": "2"}.items():
        await form.write(name, value)
    await form.price.settled()
    assert "needs at least" in form.price.problem and form.price.found is None
    assert form.price.problem.partition(",")[0] in unescape(drawn(state, "train_price"))
    estimator = form.price._estimator
    process = estimator._process
    assert process is not None and process.poll() is None
    waiting = asyncio.ensure_future(asyncio.to_thread(estimator.ask, {"recipe": "none"}))
    await asyncio.sleep(0)
    await state.show("runs")
    process.wait(20)
    with pytest.raises(TrainingError):
        await waiting

"""The Benchmarks panel's rules without a browser: real runs of tiny models on a real engine."""

# ruff: noqa: F811 (fixtures are imported, and arguments have their names)
from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from bench_homes import (  # noqa: F401 (fixtures)
    ANSWERS,
    compared,
    drawn,
    end_jobs,
    ids,
    measured,
    state,
    url,
)

from workbench import bench, jobs
from workbench.bench import Plan, plot
from workbench.errors import BenchError, InvalidRequest
from workbench.panels import Benchmarks
from workbench.panels.states import BenchState, EngineState
from workbench.panels.states._bench_new import options_of


async def test_the_board_is_of_the_newest_runs_suite(state: BenchState) -> None:
    assert state.suite == "mine" and state.chosen.title == "My suite"
    assert [row.name for row in state.suites if row.runs] == ["mine"]
    assert state.suites[0].name == "mine", "those with runs come first"
    scores = [row.result.score.value for row in state.board.rows]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    assert [name for name, _ in state.board.tasks] == ["go-on", "next", "talk"]
    assert len(state.notices) == 1 and "broken.yaml" in state.notices[0]
    await state.choose("words", "PENALTY")
    assert [row.label for row in state.board.rows] == ["two (repeat_penalty 1.5)"]
    await state.choose("suite", "other")
    assert not state.board.rows and state.words == ""
    await state.choose("suite", "mine")
    assert len(state.board.rows) == 3


async def test_runs_that_others_made_appear(state: BenchState, url: str) -> None:
    board = state.board
    await state.refresh()
    assert state.board is board, "read again though nothing had happened"
    run = await asyncio.to_thread(
        lambda: bench.measure(Plan("one", "mine", limit=1, seed=5), engine=url)
    )
    await state.refresh()
    assert state.board.seed == 5 and state.seeds == [0, 5]
    await state.choose("seed", "0")
    assert len(state.board.rows) == 3
    state.put("deleting", run.id)
    await state.forget(run.id)


async def test_deleting_takes_two_clicks_and_only_what_was_meant(
    state: BenchState, url: str
) -> None:
    runs = [
        await asyncio.to_thread(lambda: bench.measure(Plan("one", "other", limit=1), engine=url))
        for _ in range(3)
    ]
    await state.choose("suite", "other")
    assert len(state.board.rows) == 1 and len(state.runs) == 3, "the newest stands on the board"
    await state.forget(runs[0].id)
    await state.forget("picked")
    assert len(state.runs) == 3, "nobody was asked"
    state.put("deleting", runs[0].id)
    await state.forget(runs[1].id)
    assert len(state.runs) == 3 and state.deleting == ""
    state.put("deleting", runs[0].id)
    await state.forget(runs[0].id)
    assert {run.id for run in state.runs} == {runs[1].id, runs[2].id}
    state.pick(runs[1].id)
    state.pick(runs[2].id)
    state.put("deleting", "picked")
    assert len(state.doomed) == 2
    await state.forget("picked")
    assert state.runs == () and state.picked == ()
    with pytest.raises(BenchError):
        bench.get_run(runs[2].id)


async def test_what_is_picked_belongs_to_the_suite(state: BenchState) -> None:
    first, second, _ = ids(state)
    state.pick(first)
    state.pick(second)
    state.pick(first)
    assert state.picked == (second,) and state.label(second) in {r.label for r in state.board.rows}
    await state.choose("suite", "other")
    assert state.picked == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("num_ctx=2048", {"num_ctx": 2048}),
        ("num_ctx=2048, min_p=0.5  top_k=3", {"num_ctx": 2048, "min_p": 0.5, "top_k": 3}),
        ('stop="def , x" seed=3', {"stop": ["def , x"], "seed": 3}),
    ],
)  # fmt: skip
def test_settings_are_read_as_they_are_written(text: str, found: dict[str, Any]) -> None:
    assert options_of(text) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("num_ctz=3", "Did you mean num_ctx"),
        ("num_ctx", "needs a value"),
        ("num_ctx=many", "invalid int"),
        ('stop="x', "not closed"),
        ("=3", "no option"),
        ("__class__=3", "no option"),
    ],
)
def test_settings_that_make_no_sense_say_so(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        options_of(text)


async def test_a_measurement_is_checked_while_it_is_written(state: BenchState) -> None:
    await state.show("new")
    new = state.new
    assert new.suites == ("mine",) and new.models == () and not new.ready
    new.toggle("models", "one:latest")
    new.toggle("models", "two:latest")
    new.put("limit", "5")
    assert new.ready and new.amount == (2, 2 * (5 + 5 + 5))
    new.add()
    new.write("1", "num_ctx=512")
    new.write("7", "nothing is there")
    assert new.amount == (4, 60)
    new.write("0", "nonsense")
    assert "nonsense" in new.problems["0"] and not new.ready and new.code == ""
    await new.start()
    assert new.started == "", "started in spite of it"
    new.drop("0")
    assert new.settings == ("num_ctx=512",) and new.ready
    wrong = {"limit": ("0", "-3", "x", "9" * 5000), "seed": ("", "1.5", "x")}
    for field, value in ((name, text) for name in wrong for text in wrong[name]):
        before = getattr(new, field)
        new.put(field, value)
        assert field in new.problems and not new.ready, value
        new.put(field, before)
    with pytest.raises(AttributeError):
        new.put("models", "x")


async def test_the_code_starts_the_same(state: BenchState, monkeypatch: pytest.MonkeyPatch) -> None:
    await state.show("new")
    new = state.new
    for name in ("one:latest", "two:latest"):
        new.toggle("models", name)
    new.toggle("speed")
    new.put("seed", "7")
    new.add()
    new.add()
    new.write("1", "num_ctx=512")
    given: list[Any] = []
    monkeypatch.setattr(
        bench, "submit_matrix", lambda *a, **k: given.append(k) or jobs.Job.__new__(jobs.Job)
    )
    code = new.code.partition("wait(job.id)")[0]
    exec(code, {})
    assert given[0] == new.arguments
    assert new.arguments["settings"] == [{}, {"num_ctx": 512}], "the same setting twice"


async def test_a_measurement_is_a_job_and_its_runs_appear(
    state: BenchState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_CANCEL_SECONDS", "1")
    await state.show("new")
    new, known = state.new, {run.id for run in state.runs}
    new.toggle("models", "one:latest")
    new.put("limit", "1")
    try:
        await asyncio.gather(new.start(), new.start())
        assert "one:latest" in new.started and new.problem == ""
        assert len(state.own_jobs) == 1, "started twice"
        async with asyncio.timeout(120):
            while not state.own_jobs[0].ended:
                await asyncio.sleep(0.2)
                await state.refresh()
        assert state.own_jobs[0].state == "done", state.own_jobs[0].error
        await state.refresh()
        new_ones = [run for run in state.runs if run.id not in known]
        assert [run.state for run in new_ones] == ["done"]
        await state.see(state.own_jobs[0].id)
        assert state.view == "board" and state.suite == "mine"
        await asyncio.to_thread(bench.delete_runs, [run.id for run in new_ones])
    finally:
        end_jobs()


async def test_answers_are_filtered_and_scored_again(
    state: BenchState, url: str, measured: Path
) -> None:
    await state.open_run(ids(state)[1])
    answers = state.answers
    assert state.view == "answers" and state.moved
    assert len(answers.answers) == ANSWERS == len(answers.found)
    await answers.choose("only", "wrong")
    assert all(one.value is not None and one.value < 1 for one in answers.found)
    await answers.choose("only", "unscored")
    assert answers.found == []
    await answers.choose("only", "")
    await answers.choose("task", "next")
    assert len(answers.found) == 2
    await answers.choose("task", "")
    await answers.choose("words", "DEF F11(")
    assert [one.sample for one in answers.found] == ["s11"]
    with pytest.raises(AttributeError, match="result"):
        await answers.choose("result", "x")
    ended = answers.result.run.ended_at
    await answers.rescore()
    assert answers.problem == "" and answers.result.run.ended_at > ended
    await state.choose("suite", "other")
    assert answers.result is None and answers.run == ""


async def test_an_empty_home_says_what_to_do(url: str) -> None:
    state = BenchState(engine=EngineState(url=url))
    panel = Benchmarks(state, shown=False)
    panel.appear()
    await state.refresh(start=False)
    for view in ("board", "new", "compare", "answers", "arena"):
        await state.show(view)
        assert "Traceback" not in drawn(panel), view
    await state.show("board")
    assert "measured on this suite yet" in drawn(panel) or "There is no suite" in drawn(panel)
    panel.close()
    await state.engine.drop()


async def test_the_panel_draws_every_view_and_trusts_no_text(state: BenchState) -> None:
    panel = Benchmarks(state, shown=False)
    panel.appear()
    await (await compared(state)).make("html")
    for view in ("compare", "answers", "new", "arena", "board"):
        await state.show(view)
        html = drawn(panel)
        assert "Traceback" not in html and "<script>" not in html, view
        assert "Going on <b>" not in html
    for name in ("memory", "speed", "history", "throughput"):
        await state.draw(name)
        data = json.loads(state.figure)["data"]
        assert bool(data) is (name != "throughput"), name  # their speed was not measured
    await state.draw("pie")
    assert "pie" in state.problem
    state.put("deleting", "picked")
    assert "for good?" in drawn(panel)
    panel.close()


async def test_pictures_escape_names_and_leave_out_what_is_not_known(state: BenchState) -> None:
    from dataclasses import replace

    results = [row.result for row in state.board.rows]
    hostile = replace(results[0], run=replace(results[0].run, model="<b>bold</b>"), memory=10**9)
    unknown = replace(results[1], memory=None)
    figure = json.loads(plot([hostile, unknown], "memory").to_json())
    names = [trace["name"] for trace in figure["data"]]
    assert names[0] == "Pareto line" and names[1].startswith("&lt;b&gt;") and len(names) == 2
    assert figure["data"][1]["x"] == [1.0]
    score = hostile.score
    assert figure["data"][1]["y"] == [pytest.approx(100 * score.value)]
    assert figure["data"][1]["error_y"]["array"] == [
        pytest.approx(100 * (score.high - score.value))
    ]
    assert unknown.run.label in figure["layout"]["title"]["subtitle"]["text"]
    history = json.loads(plot(results, "history").to_json())
    assert sorted(trace["name"] for trace in history["data"]) == sorted(
        {one.run.label for one in results}
    )
    with pytest.raises(BenchError, match="memory, speed, history"):
        plot(results, "pie")


async def test_only_what_is_meant_to_be_reached_can_be(state: BenchState) -> None:
    for trait in ("suite", "picked", "runs", "view", "plot"):
        with pytest.raises(AttributeError, match=trait):
            state.put(trait, "x")
    for part in (state, state.new, state.compare, state.answers, state.arena):
        assert not part.actions & {"look", "ask", "refresh", "close"}


def test_unknown_keywords_fail_with_advice() -> None:
    with pytest.raises(TypeError, match="Did you mean 'suite'"):
        Benchmarks(suit="x")

"""The Benchmarks panel's rules without a browser: real runs of tiny models on a real engine."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from bench.kept_runs import kept_run
from bench_servers import engine_with
from tiny import write_tiny_llama

from workbench import bench, jobs
from workbench.bench import Plan, plot
from workbench.errors import BenchError, InvalidRequest
from workbench.panels import Benchmarks
from workbench.panels.states import BenchState, EngineState
from workbench.panels.states._bench_compare import differ
from workbench.panels.states._bench_new import options_of
from workbench.panels.states._doing import DoingState

HOSTILE = "<script>window.broken=1</script>"
TASKS = {
    "go-on": "title: Going on <b>\nmode: complete\nsamples:\n{rows}\nscorers: [includes, exact]\n"
    "options: {{num_predict: 8}}\n",
    "next": "title: What comes next\nmode: choice\nsamples:\n"
    '  - {{id: a, prompt: "import", choices: [" os", " zzqqk"], target: 0}}\n'
    '  - {{id: b, prompt: "for i in", choices: ["))((", " range"], target: 1}}\n',
    "talk": "title: Talk\nmode: chat\nsamples:\n"
    '  - {{id: a, prompt: "Say something.", target: "e"}}\nscorers: [includes]\n'
    "options: {{num_predict: 8}}\n",
}
MINE = "name: mine\ntitle: My suite\ntasks: [{task: go-on, weight: 2}, next, talk]\n"
OTHER = "name: other\ntitle: Another suite\ntasks: [next]\n"
ANSWERS = 12 + 2 + 1  # of one run of `mine`


def write_suites(home: Path) -> None:
    """Two suites, and one that cannot be read."""
    rows = "\n".join(
        f'  - {{id: s{n}, prompt: "def f{n}(x): {HOSTILE}", target: "e"}}' for n in range(12)
    )
    (home / "tasks").mkdir(parents=True)
    (home / "suites").mkdir()
    for name, text in TASKS.items():
        (home / "tasks" / f"{name}.yaml").write_text(f"name: {name}\n{text.format(rows=rows)}")
    for name, text in (("mine", MINE), ("other", OTHER), ("broken", "name: broken\ntasks: 3\n")):
        (home / "suites" / f"{name}.yaml").write_text(text)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("bench-state")
    models = {
        name: write_tiny_llama(folder / f"{name}.gguf", seed=seed, context=1024, endless=True)
        for seed, name in enumerate(("one", "two"))
    }
    with engine_with(folder / "engine", models) as url:
        yield url


@pytest.fixture(scope="module")
def measured(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a run of each model, and one of another setting."""
    home = tmp_path_factory.mktemp("measured") / "home"
    write_suites(home)
    before, os.environ["WORKBENCH_HOME"] = os.environ.get("WORKBENCH_HOME"), str(home)
    try:
        for plan in (Plan("one", "mine"), Plan("two", "mine"),
                     Plan("two", "mine", options={"repeat_penalty": 1.5})):  # fmt: skip
            bench.measure(plan, engine=url)
    finally:
        os.environ.pop("WORKBENCH_HOME")
        if before is not None:
            os.environ["WORKBENCH_HOME"] = before
    return home


@pytest.fixture
async def state(
    measured: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[BenchState]:
    """The panel's state, which has read the three runs."""
    monkeypatch.setenv("WORKBENCH_HOME", str(measured))
    state = BenchState(engine=EngineState(url=url))
    await state.refresh()
    yield state
    state.close()
    await state.engine.drop()


@pytest.fixture
async def kept(url: str) -> AsyncIterator[BenchState]:
    """A home of its own, with runs whose scores and answers are known."""
    hostile = f"{HOSTILE} said"
    kept_run("good", {"sums": [1.0] * 28 + [0.0] * 2, "words": [1.0] * 30}, outputs=hostile)
    kept_run("poor", {"sums": [0.0] * 30, "words": [1.0] * 29 + [None]}, outputs=hostile)
    kept_run("fair", {"sums": [1.0] * 25 + [0.0] * 5, "words": [1.0] * 30}, outputs=hostile)
    state = BenchState(engine=EngineState(url=url))
    await state.refresh()
    yield state
    await state.engine.drop()


def ids(state: BenchState) -> list[str]:
    """The board's runs, the best first."""
    return [row.result.run.id for row in state.board.rows]


async def compared(state: BenchState) -> Any:
    for id in ids(state):
        state.pick(id)
    await state.show("compare")
    return state.compare


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


def end_jobs() -> None:
    for job in jobs.jobs():
        if not job.ended:
            jobs.cancel(job.id)
            jobs.wait(job.id, timeout=20)
    jobs.stop_supervisor()


async def test_a_comparison_speaks_and_is_made_once(state: BenchState) -> None:
    compare = await compared(state)
    best = [one.run.id for one in compare.comparison.results]
    assert best == ids(state) and len(compare.sentences) == 3
    assert set(compare.labels) == set(best)
    for first in best:
        for second in best:
            ours, theirs = compare.between(first, second), compare.between(second, first)
            if first != second:
                assert ours.value == pytest.approx(-theirs.value)
                assert ours.low == pytest.approx(-theirs.high)
                assert (ours.wins, ours.losses) == (theirs.losses, theirs.wins)
    assert compare.between(best[0], best[0]) is None
    before = compare.comparison
    await state.show("board")
    await state.show("compare")
    assert compare.comparison is before
    state.pick(best[2])
    await state.look()
    assert [one.run.id for one in compare.comparison.results] == best[:2]


async def test_the_sure_verdicts_come_first(kept: BenchState) -> None:
    compare = await compared(kept)
    good, fair, poor = (one.run.id for one in compare.comparison.results)
    assert [compare.labels[id] for id in (good, fair, poor)] == ["good", "fair", "poor"]
    assert "better" in compare.sentences[0] and "better" in compare.sentences[1]
    assert "good and fair cannot be told apart" in compare.sentences[2]
    assert compare.between(good, poor).verdict == "better"
    assert compare.between(poor, good).verdict == "worse"
    assert (compare.a, compare.b) == (good, fair)


async def test_flips_are_the_answers_that_differ(kept: BenchState) -> None:
    compare = await compared(kept)
    good, _, poor = (one.run.id for one in compare.comparison.results)
    await compare.choose("pair", good, poor)
    flips = compare.flips
    assert len(flips) == 28 and all(flip.gain == 1 for flip in flips)
    await compare.turn()
    assert len(compare.flips) == 28 and all(flip.gain == -1 for flip in compare.flips)
    assert compare.a == poor
    first = compare.flips[0]
    await compare.open_flip(first.task, first.sample)
    flip, left, right = compare.opened
    assert "".join(text for _, text in left) == flip.a.output
    assert [text for only, text in left if only] == ["poor"]
    assert [text for only, text in right if only] == ["good"]
    await compare.open_flip(first.task, first.sample)
    assert compare.opened is None
    await compare.open_flip("no such task", "x")
    assert compare.opened is None
    await compare.choose("task", "words")
    assert compare.flips == ()
    await compare.choose("task", "")
    await compare.choose("b", compare.a)
    assert compare.flips == ()


async def test_flips_of_another_pair_cannot_be_opened_while_these_are_read(
    kept: BenchState,
) -> None:
    compare = await compared(kept)
    good, fair, poor = (one.run.id for one in compare.comparison.results)
    await compare.choose("pair", fair, poor)
    before = compare.flips[0]
    choosing = asyncio.create_task(compare.choose("pair", poor, good))
    while compare.a != poor:
        await asyncio.sleep(0)
    assert (compare.flips, compare.read) == ((), False)
    await compare.open_flip(before.task, before.sample)
    assert compare.opened is None
    await choosing
    assert compare.read
    assert len(compare.flips) == 28


async def test_a_model_is_asked_to_judge_the_pair_that_is_shown(
    kept: BenchState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_CANCEL_SECONDS", "1")
    compare = await compared(kept)
    try:
        await compare.ask_judge()
        assert kept.own_jobs == (), "nobody was named"
        compare.put("judge", "one:latest")
        await compare.ask_judge()
        (job,) = kept.own_jobs
        assert job.kind == "judge" and job.title == compare.asked != ""
        assert (job.arguments["a"], job.arguments["b"]) == (compare.a, compare.b)
        assert job.arguments["judge"] == "one:latest"
    finally:
        end_jobs()


async def test_what_is_done_is_done_whatever_is_asked_meanwhile() -> None:
    state, done, go = DoingState(), [], threading.Event()
    asked = [asyncio.ensure_future(state.ask(lambda: go.wait(10), print)) for _ in range(3)]
    doing = [asyncio.ensure_future(state.do(lambda n=n: done.append(n))) for n in range(5)]
    await asyncio.gather(*doing)
    assert sorted(done) == [0, 1, 2, 3, 4]
    go.set()
    await asyncio.gather(*asked)
    assert await state.do(lambda: options_of("nonsense")) is None and "nonsense" in state.problem


def test_texts_are_compared_word_by_word() -> None:
    left, right = differ("the answer is 56, sure", "the answer is 55, so sure")
    assert [text for only, text in left if only] == ["56"]
    assert [text for only, text in right if only] == ["55", "so "]
    assert differ("", "") == ((), ())
    assert differ("same", "same") == (((False, "same"),), ((False, "same"),))
    long = differ("a " * 300_000, "b " * 300_000)
    assert sum(len(text) for _, text in long[0]) <= 20_000


async def test_reports_are_written_when_asked_for(state: BenchState) -> None:
    compare = await compared(state)
    assert compare.report is None
    for ending, words in (("csv", "run,id,model"), ("md", "| Pair |"), ("html", "<!doctype html>")):
        await compare.make(ending)
        assert compare.report.ending == ending and words in compare.report.text
        assert ending == "csv" or HOSTILE not in compare.report.text
    await compare.save()
    assert Path(compare.saved).read_text(encoding="utf-8") == compare.report.text
    with pytest.raises(KeyError):
        await compare.make("../../secret")


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


async def test_the_arena_is_blind_until_the_vote(state: BenchState) -> None:
    await state.show("arena")
    panel = Benchmarks(state, shown=False)
    panel.appear()
    arena = state.arena
    arena.longest = 12
    assert arena.players == ["two:latest", "one:latest"] or len(arena.players) == 2
    await arena.vote("a")
    assert arena.voted == 0, "there was nothing to vote on"
    await arena.send("def read_lines(path):")
    assert arena.complete and arena.failure is None and all(one.text for one in arena.sides)
    part = next(one for one in panel.parts if one._template == "bench_duel")
    part.draw()
    assert "Answer A" in part.fragment.html
    assert "one:latest" not in part.fragment.html and "two:latest" not in part.fragment.html
    await arena.vote("no such vote")
    assert arena.winner == "" and arena.names == ()
    await arena.vote("a")
    assert set(arena.names) == {"one:latest", "two:latest"} and arena.voted == 1
    part.draw()
    assert f"You preferred <b>{arena.names[0]}</b>" in part.fragment.html
    await arena.vote("b")
    assert arena.voted == 1 and arena.winner == "a", "one answer, one vote"
    assert {one.name for one in arena.ratings} == set(arena.names)
    await arena.export()
    path = Path(arena.exported.partition(" saved as ")[2])
    (line,) = path.read_text(encoding="utf-8").splitlines()
    kept = json.loads(line)
    assert kept["prompt"] == "def read_lines(path):" and kept["chosen"] == arena.sides[0].text
    await arena.undo()
    assert arena.voted == 0 and arena.ratings == ()
    panel.close()


async def test_the_arena_stops_and_says_what_is_missing(state: BenchState) -> None:
    await state.show("arena")
    arena = state.arena
    arena.longest = 100_000
    asked = asyncio.ensure_future(arena.send("x"))
    async with asyncio.timeout(30):
        while not (arena.sides and all(one.text for one in arena.sides)):
            await asyncio.sleep(0.02)
    assert arena.live and not arena.complete
    arena.stop()
    await asked
    assert not arena.live and arena.complete, "what both wrote can be voted on"
    arena.toggle("one:latest")
    await arena.send("x again")
    assert "two models" in arena.problem and arena.question == "x"
    arena.toggle("one:latest")
    arena.put("suite", "other")
    await arena.suggest()
    assert "no question" in arena.problem
    arena.put("suite", "mine")
    await arena.suggest()
    assert arena.problem == "" and arena.draft and arena.composer == 1


async def test_an_engine_that_is_gone_is_a_card_not_a_vote(state: BenchState) -> None:
    await state.show("arena")
    arena = state.arena
    await state.engine.drop()
    state.engine.url = "http://127.0.0.1:9"
    await arena.send("x")
    assert arena.failure is not None and not arena.complete and not arena.live
    await arena.vote("a")
    assert arena.voted == 0


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


async def test_flips_and_answers_that_could_not_be_scored_are_drawn(kept: BenchState) -> None:
    panel = Benchmarks(kept, shown=False)
    panel.appear()
    compare = await compared(kept)
    await compare.choose("b", compare.comparison.results[2].run.id)
    await compare.open_flip(compare.flips[0].task, compare.flips[0].sample)
    html = drawn(panel)
    assert "<del>good</del>" in html and "<ins>poor</ins>" in html
    await kept.open_run(compare.b)
    await kept.answers.choose("only", "unscored")
    html += drawn(panel)
    assert "the engine said no" in html and "1 not scored" in html
    assert "Traceback" not in html and "<script>" not in html and "Some <b>" not in html
    panel.close()


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


def drawn(panel: Benchmarks) -> str:
    for part in panel.parts:
        part.draw()
    return "".join(str(part.children[0].html) for part in panel.parts)


async def test_the_loop_is_free_while_runs_are_compared(
    state: BenchState, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    beats, real = 0, bench.compare

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(bench, "compare", lambda ids: (time.sleep(0.3), real(ids))[1])
    beating = asyncio.ensure_future(beat())
    before = beats
    await compared(state)
    beating.cancel()
    with suppress(asyncio.CancelledError):
        await beating
    assert beats - before > 20


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

"""Runs beside each other in the Benchmarks panel: verdicts, differing answers, reports."""

# ruff: noqa: F811 (fixtures are imported, and arguments have their names)
from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from bench_homes import (  # noqa: F401 (fixtures)
    HOSTILE,
    compared,
    drawn,
    end_jobs,
    ids,
    kept,
    measured,
    state,
    url,
)

from workbench import bench
from workbench.panels import Benchmarks
from workbench.panels.states import BenchState
from workbench.panels.states._bench_compare import differ
from workbench.panels.states._bench_new import options_of
from workbench.panels.states._doing import DoingState


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

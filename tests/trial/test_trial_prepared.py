"""Questions that tell no speed are asked of many points under one load, before they are measured;
and the answers themselves, where they are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from words import write_suite

from workbench.errors import TrialFailed
from workbench.trial import Bench, Measured, Question, questions
from workbench.trial._asking import Asker

COUNT = 12
ALONE = 8  # of them tell latency
FIGURES = {"quality", "latency"}
POINTS: dict[int, dict[str, Any]] = {
    3: {"num_ctx": 512, "num_batch": 64, "temperature": 1.2},
    5: {"num_ctx": 512, "num_batch": 128, "temperature": 0.9},
    6: {"num_ctx": 512, "num_batch": 64, "temperature": 0.7},
}


@pytest.fixture
def asked(tmp_path: Path) -> tuple[Question, ...]:
    return questions(write_suite(tmp_path, COUNT), seed=1)


def values(measured: Measured) -> Mapping[str, float | None]:
    return {answer.question: answer.value for answer in measured.answers}


def test_one_load_serves_all_that_give_the_same_answers(
    url: str, asked: tuple[Question, ...]
) -> None:
    with Bench("one", asked, engine=url, figures=FIGURES) as bench:
        bench.prepare(POINTS.values())
        assert bench.loads == 1
        found = {number: bench.measure(POINTS[number], COUNT) for number in POINTS}
        assert [one.asked for one in found.values()] == [COUNT] * 3, "with what was prepared"
        assert all(one.latency and one.latency.n == ALONE for one in found.values())
        assert all(one.cached == 0 for one in found.values())
    with Bench("one", asked, engine=url, figures=FIGURES, texts=True) as bench:
        for number, point in POINTS.items():
            assert values(bench.measure(point, COUNT)) == values(found[number])


def test_prepared_to_be_measured_again(url: str, asked: tuple[Question, ...]) -> None:
    with Bench("one", asked, engine=url, figures=FIGURES) as bench:
        first = {number: bench.measure(POINTS[number], COUNT) for number in POINTS}
        loads = bench.loads
        bench.prepare(POINTS.values(), again=True)
        assert bench.loads == loads, "what is loaded gives the answers of all"
        [ordered] = bench.groups(POINTS)
        assert ordered == [3, 6, 5], "those of what is loaded first"
        again = {number: bench.measure(POINTS[number], COUNT, again=True) for number in ordered}
        assert bench.loads == loads + 2, "speed is measured after another load"
        for number, one in again.items():
            assert one.asked == COUNT, "one more draw of each question"
            before, after = values(first[number]), values(one)
            draws = [2 * (after[key] or 0) - (before[key] or 0) for key in before]
            assert all(-1e-9 <= draw <= 1 + 1e-9 for draw in draws)
            assert before != after and one.latency != first[number].latency


def test_without_speed_nothing_is_left_to_ask(url: str, asked: tuple[Question, ...]) -> None:
    with Bench("one", asked, engine=url, figures={"quality"}, texts=True) as bench:
        bench.prepare(POINTS.values())
        assert [bench.measure(point, COUNT).asked for point in POINTS.values()] == [COUNT] * 3
        assert bench.loads == 1
        others: dict[int, dict[str, Any]] = {
            1: {"num_ctx": 256}, 2: {"num_ctx": 512, "kv_cache_type": "q8_0"},
            3: {"num_ctx": 512, "num_thread": 1}, 4: {"num_ctx": 256, "temperature": 0.5},
            5: {"num_ctx": 512, "kv_cache_type": "f16"},
        }  # fmt: skip
        told = [bench.heard(point) for point in POINTS.values()]
        timed = [sum("seconds" in one.figures for one in answers) for answers in told]
        assert timed == [COUNT, 0, COUNT], "those of other loads are not its own"
        groups = [sorted(group) for group in bench.groups(others)]
        assert groups[0] == [3, 5], "the engine keeps f16 where nothing is said"
        assert sorted(groups[1:]) == [[1, 4], [2]]


def test_what_cannot_be_asked_is_left_to_the_measurement(
    url: str, asked: tuple[Question, ...]
) -> None:
    points = {1: {"kv_cache_type": "q8_0", "flash_attention": True}, 2: {"num_ctx": 512}}
    with Bench("one", asked, engine=url, figures=FIGURES, texts=True) as bench:
        bench.prepare(points.values())
        assert bench.measure(points[2], COUNT).asked == COUNT
        with pytest.raises(TrialFailed, match="blocks of 32 numbers"):
            bench.measure(points[1], COUNT)


def test_the_answers_themselves(url: str, asked: tuple[Question, ...]) -> None:
    same = {1: {"num_ctx": 512, "num_batch": 64}, 2: {"num_ctx": 512, "num_batch": 128}}
    with Bench("one", asked, engine=url, figures=FIGURES, texts=True) as bench:
        bench.prepare(same.values())
        found = {number: bench.measure(point, COUNT) for number, point in same.items()}
        assert [one.asked for one in found.values()] == [COUNT, ALONE], "equal answers, asked once"
        by_key = {one.key: one.sample.id for one in asked}
        alone = {by_key[key] for key in found[1].alone}
        assert len(alone) == ALONE
        told = {number: bench.heard(point) for number, point in same.items()}
        for number, answers in told.items():
            scores = {by_key[a.question]: a.value for a in found[number].answers}
            assert {one.sample: one.value for one in answers} == scores
            assert all(one.output and one.scores for one in answers)
            seconds = {by_key[a.question]: a.seconds for a in found[number].answers}
            for one in answers:
                if one.sample in alone:
                    assert one.figures["seconds"] == pytest.approx(seconds[one.sample])
        rest = [one.figures for n in (1, 2) for one in told[n] if one.sample not in alone]
        assert len(rest) == 2 * (COUNT - ALONE)
        assert all("seconds" not in one and one["tokens"] for one in rest), "they tell no speed"
        assert bench.measure(same[1], COUNT, again=True).asked == ALONE, "answered once"
    with Bench("one", asked, engine=url, figures=FIGURES) as bench:
        assert bench.measure(same[1], COUNT).cached == COUNT, "values are known to others"
    with Bench("one", asked, engine=url, figures=FIGURES, texts=True) as bench:
        assert bench.measure(same[1], COUNT).cached == 0, "the store has no texts"


def test_memory_is_compared_after_as_many_prompts(
    url: str, asked: tuple[Question, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine keeps what it has read, so who was asked more holds more."""
    told: list[int] = []
    weigh = Asker.memory

    async def spied(asker: Asker) -> int | None:
        told.append(bench._work.asked - begun)
        return await weigh(asker)

    monkeypatch.setattr(Asker, "memory", spied)
    points = [{"num_ctx": 512}, {"num_ctx": 512, "num_batch": 64}]
    with Bench("one", asked, engine=url, figures={"quality", "memory"}, texts=True) as bench:
        for point in points:
            begun = bench._work.asked
            assert bench.measure(point, COUNT).memory
        assert told == [ALONE, ALONE], "the first has been asked all, the second those alone"
        bench.prepare([{"num_ctx": 256}])
        begun = bench._work.asked
        first = bench.measure({"num_ctx": 256}, COUNT)
        again = bench.measure({"num_ctx": 256}, COUNT, again=True)
        assert first.memory and again.memory
        assert told[-1] == 2 * ALONE, "after the fresh load"

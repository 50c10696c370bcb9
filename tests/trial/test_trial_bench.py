"""A point's worth: real models are asked, what is known is not; crashes end no study."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from bench_servers import engine_with
from tiny import write_tiny_llama
from words import TASK

from workbench import bench as benchmarks
from workbench.bench import Plan
from workbench.engines import Engine
from workbench.errors import BenchError, ModelNotFound, TrialFailed, TuneError
from workbench.trial import Bench, Measured, Question, difference, questions

NEXT = """
name: next
title: What comes next
mode: choice
samples:
  - {id: a, prompt: "for i in range(10):\\n", choices: ["    print(i)\\n", "xxqz\\n"], target: 0}
  - {id: b, prompt: "import", choices: [" zzqqk", " os\\n", " ))((\\n"], target: 1}
"""
TALK = """
name: talk
title: Talk
mode: chat
samples:
  - {id: a, prompt: "Say something.", target: "e"}
  - {id: b, prompt: "Say anything.", target: "in"}
scorers: [includes]
options: {num_predict: 8}
"""
SUITE = """
name: mine
title: My suite
tasks: [words.yaml, {task: next.yaml, weight: 2}, talk.yaml]
"""
COUNT = 8  # of words' samples
ALL = COUNT + 2 + 2


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An engine with two models; one was trained with so long a context that no machine has it."""
    folder = tmp_path_factory.mktemp("trial")
    models = {
        "one": write_tiny_llama(folder / "one.gguf", endless=True, context=2**31 - 1),
        "gone": write_tiny_llama(folder / "gone.gguf", seed=1, endless=True),
    }
    with engine_with(folder / "home", models) as url:
        yield url


@pytest.fixture
def suite(tmp_path: Path) -> str:
    samples = "\n".join(
        f'  - {{id: s{n}, prompt: "def f{n}(x):", target: "return x + {n}"}}' for n in range(COUNT)
    )
    texts = {
        "words": TASK.format(samples=samples, predict=12),
        "next": NEXT,
        "talk": TALK,
        "all": SUITE,
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return str(tmp_path / "all.yaml")


@pytest.fixture
def asked(suite: str) -> tuple[Question, ...]:
    return questions(suite, seed=1)


def values(measured: Measured) -> dict[str, float | None]:
    return {answer.question: answer.value for answer in measured.answers}


def test_a_point_is_worth_what_a_run_says(
    url: str, suite: str, asked: tuple[Question, ...]
) -> None:
    with Bench("one", asked, engine=url) as bench:
        found = bench.measure({"num_ctx": 512}, ALL)
    run = benchmarks.measure(Plan("one", suite, seed=1, options={"num_ctx": 512}), engine=url)
    score = benchmarks.result(run).score
    assert found.quality is not None and score is not None and score.value is not None
    assert found.quality.value == pytest.approx(score.value)
    assert (found.quality.low, found.quality.high) == pytest.approx((score.low, score.high))
    kept = {(one.task, one.sample): one.value for one in benchmarks.answers(run)}
    by_key = {one.key: (one.task.name, one.sample.id) for one in asked}
    assert {by_key[key]: value for key, value in values(found).items()} == kept
    assert len(set(kept.values())) > 1
    assert found.asked == ALL and found.cached == 0 and found.notes == ()
    assert found.latency is not None and found.latency.value is not None
    assert 0 < found.latency.value < 60 and found.latency.n == 4
    assert found.throughput and found.load_seconds and found.memory and found.memory > 1e7
    words = [answer for answer in found.answers if answer.task == "words"]
    assert all(answer.tokens == 12 and answer.prompt_tokens > 3 for answer in words)
    assert all(0 < answer.first_token <= answer.seconds for answer in words)  # type: ignore[operator]
    assert Measured.of(found.to_json()).to_json() == found.to_json()


def test_one_load_serves_all_sampling(url: str, asked: tuple[Question, ...]) -> None:
    with Bench("one", asked, engine=url) as bench:
        first = bench.measure({"num_ctx": 512}, ALL)
        warm = bench.measure({"num_ctx": 512, "temperature": 1.0}, ALL)
        assert bench.loads == 1
        assert warm.asked == ALL - 2 and warm.cached == 2  # likelihoods are not sampled
        assert values(warm) != values(first)
        bench.measure({"num_ctx": 256}, ALL)
        assert bench.loads == 2
        back = bench.measure({"num_ctx": 512, "temperature": 1.0}, ALL)
        assert bench.loads == 2 and back.asked == 0
        assert back.latency == warm.latency and back.throughput == warm.throughput


def test_what_is_known_is_not_asked_in_another_study(url: str, asked: tuple[Question, ...]) -> None:
    points = [{"num_ctx": 512}, {"num_ctx": 512, "temperature": 1.0, "top_p": 0.7}]
    with Bench("one", asked, engine=url, figures={"quality"}) as bench:
        first = [bench.measure(point, ALL) for point in points]
        assert [one.asked for one in first] == [ALL, ALL - 2]
        assert first[0].latency is None and first[0].throughput is None
    with Bench("one", asked, engine=url, figures={"quality"}) as bench:
        again = [bench.measure(point, ALL) for point in points]
        assert [one.asked for one in again] == [0, 0] and again[0].cached == ALL
        assert [values(one) for one in again] == [values(one) for one in first]
        assert bench.answered_from_cache == 2 * ALL
        same: list[Mapping[str, Any]] = [
            {"num_ctx": 512, "num_batch": 64}, {"num_ctx": 512, "num_thread": 2},
            {"num_ctx": 512, "top_p": 0.2, "temperature": 0},
        ]  # fmt: skip
        assert [bench.measure(point, ALL).asked for point in same] == [0, 0, ALL - 2]
        assert bench.measure({"num_ctx": 256}, ALL).asked == ALL
        assert bench.measure({"num_ctx": 512, "repeat_penalty": 1.3}, ALL).asked == ALL - 2
    with Bench("one", asked, engine=url) as bench:
        timed = bench.measure(points[0], ALL)  # speed belongs to the moment
        assert timed.asked > 0 and timed.cached == ALL and timed.latency is not None


def test_a_longer_part_asks_what_is_missing(url: str, asked: tuple[Question, ...]) -> None:
    with Bench("one", asked, engine=url) as bench:
        short = bench.measure({"num_ctx": 512}, 5)
        whole = bench.measure({"num_ctx": 512}, ALL)
        assert (short.asked, whole.asked) == (5, ALL - 5)
        assert whole.cached == 0, "its own answers were not known before"
        assert values(short).items() <= values(whole).items()
        assert bench.measure({"num_ctx": 512}, ALL + 100).asked == 0


def test_measuring_again_takes_the_mean(url: str, asked: tuple[Question, ...]) -> None:
    point = {"num_ctx": 512, "temperature": 1.2}
    with Bench("one", asked, engine=url) as bench:
        first = bench.measure(point, ALL)
        second = bench.measure(point, ALL, again=True)
        assert bench.loads == 2
        assert second.asked == ALL - 1  # of two likelihoods one tells latency
        before, after = values(first), values(second)
        changed = [key for key in after if after[key] != before[key]]
        assert changed and all(
            0 <= 2 * (after[key] or 0) - (before[key] or 0) <= 1 for key in after
        )
        assert second.latency != first.latency
        third = values(bench.measure(point, ALL, again=True))
        draws = [3 * (third[key] or 0) - 2 * (after[key] or 0) for key in changed]
        assert all(-1e-9 <= draw <= 1 + 1e-9 for draw in draws)
        assert bench.measure(point, ALL) == bench.measure(point, ALL)
        greedy = bench.measure({"num_ctx": 512}, ALL)
        assert values(bench.measure({"num_ctx": 512}, ALL, again=True)) == values(greedy)


def test_points_measured_again_share_a_load(url: str, asked: tuple[Question, ...]) -> None:
    points = [{"num_ctx": 512, "temperature": t} for t in (0.8, 1.2)]
    with Bench("one", asked, engine=url) as bench:
        first = [bench.measure(point, ALL) for point in points]
        again = [bench.measure(point, ALL, again=True) for point in points]
        assert bench.loads == 2
        assert all(a.latency != b.latency for a, b in zip(first, again, strict=True))
        bench.measure({"num_ctx": 256}, ALL)
        bench.measure(points[0], ALL, again=True)
        assert bench.loads == 4


def test_only_what_is_wanted_is_asked(url: str, asked: tuple[Question, ...]) -> None:
    sampled = {"num_ctx": 512, "temperature": 1.0}
    with Bench("one", asked, engine=url, figures={"latency"}) as bench:
        found = bench.measure(sampled, ALL)
        assert (found.quality, found.throughput, found.notes) == (None, None, ())
        assert found.latency is not None and found.latency.n == found.asked == 8
        assert found.cached == 0 and bench.measure(sampled, ALL, again=True).asked == 8
    with Bench("one", asked, engine=url, figures={"memory"}) as bench:
        found = bench.measure(sampled, ALL)
        assert found.asked == 8 and found.memory and found.memory > 1e7
        assert found.quality is None


def test_the_same_answer_under_the_same_load_is_timed_once(
    url: str, asked: tuple[Question, ...]
) -> None:
    with Bench("one", asked, engine=url, figures={"quality", "latency"}) as bench:
        greedy = bench.measure({"num_ctx": 512}, ALL)
        assert greedy.asked == ALL and greedy.throughput is None
        same = bench.measure({"num_ctx": 512, "top_p": 0.3}, ALL)
        assert same.asked == 0 and same.latency == greedy.latency
        assert values(same) == values(greedy)
        other = bench.measure({"num_ctx": 512, "num_batch": 64}, ALL)
        assert (other.asked, other.cached) == (8, ALL), "another load has its own times"
        assert bench.measure({"num_ctx": 512, "temperature": 1.0}, ALL).asked == ALL - 2


def test_prompts_that_were_read_before_count_as_read(
    url: str, asked: tuple[Question, ...], tmp_path: Path
) -> None:
    """A long prompt is in the engine's cache at the second trial; its latency stays true."""
    prompt = " ".join(f"def f{n}(x): return x + {n}" for n in range(90))
    samples = "\n".join(f'  - {{id: s{n}, prompt: "{n} {prompt}", target: "e"}}' for n in range(4))
    (tmp_path / "words.yaml").write_text(TASK.format(samples=samples, predict=12), encoding="utf-8")
    long = questions(str(tmp_path / "words.yaml"), seed=0)
    with Bench("one", long, engine=url) as bench:
        points = [{"num_ctx": 2048}, {"num_ctx": 2048, "temperature": 0.1}]
        first, second = (bench.measure(point, 4) for point in points)
        crowds = [state.crowds for state in bench._states.values()]
        read = [sum(was.reading for was, _ in crowd.answers) for [crowd] in crowds]
    assert read[1] > 0.25 * read[0] > 0, "those that are asked at once are read anew"
    for one, other in zip(first.answers, second.answers, strict=True):
        read = one.seconds - one.generation_seconds
        assert one.prompt_tokens > 500 and read > 0
        assert other.seconds - other.generation_seconds > 0.5 * read


def test_a_setting_that_cannot_be_loaded(url: str, asked: tuple[Question, ...]) -> None:
    with Bench("one", asked, engine=url, figures={"quality"}) as bench:
        with pytest.raises(TrialFailed, match=r"cannot be loaded .* more system memory"):
            bench.measure({"num_ctx": 2**31 - 1}, ALL)  # the first: nothing was probed yet
        fine = bench.measure({"num_ctx": 512}, ALL)
        with pytest.raises(TrialFailed, match="more system memory"):
            bench.measure({"num_ctx": 2**31 - 1}, ALL)
        assert fine.quality is not None and bench.measure({"num_ctx": 512}, ALL).asked == 0
        with pytest.raises(TuneError, match=r"temperatur'.* Did you mean temperature"):
            bench.measure({"temperatur": 1}, ALL)
        with pytest.raises(TuneError, match="at least one question"):
            bench.measure({}, 0)


def root_of(url: str) -> psutil.Process:
    """The engine's process."""
    port = int(url.rsplit(":", 1)[1])
    found = {
        one.pid for one in psutil.net_connections("tcp")
        if one.status == "LISTEN" and one.laddr.port == port and one.pid
    }  # fmt: skip
    return psutil.Process(found.pop())


@contextmanager
def killing(url: str, most: int) -> Iterator[list[int]]:
    """Kills so many of the engine's children, each as soon as it is there; their ids."""
    killed: list[int] = []
    root, over = root_of(url), threading.Event()

    def kill() -> None:
        while not over.is_set():
            for child in root.children():
                if len(killed) < most and child.pid not in killed:
                    child.kill()
                    killed.append(child.pid)
            over.wait(0.005)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def test_a_crash_is_tried_once_more(url: str, asked: tuple[Question, ...]) -> None:
    with Bench("one", asked, engine=url, figures={"quality"}) as bench:
        bench.measure({"num_ctx": 512}, 1)
        with killing(url, 1) as killed:
            once = bench.measure({"num_ctx": 512, "temperature": 0.9}, ALL)
        assert len(killed) == 1 and once.notes == () and once.asked == ALL - 1
        words = "broke off under these settings, twice: "
        with killing(url, 10**9) as killed, pytest.raises(TrialFailed, match=words):
            bench.measure({"num_ctx": 512, "temperature": 0.7}, ALL)
        assert len(killed) > 1
        assert bench.measure({"num_ctx": 512, "temperature": 0.7}, ALL).notes == ()


def test_a_model_that_vanishes(url: str, asked: tuple[Question, ...], tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="workbench models pull absent"):
        Bench("absent", asked, engine=url, figures={"quality"})
    with Bench("gone", asked, engine=url, figures={"quality"}) as bench, Engine(url) as engine:
        bench.measure({}, 3)
        for _ in engine.create("gone", from_="one"):
            pass
        with pytest.raises(BenchError, match="another model than when this study began"):
            bench.measure({"num_ctx": 256}, 3)
        engine.delete("gone")
        with pytest.raises(ModelNotFound, match="workbench models pull gone"):
            bench.measure({"num_ctx": 128}, 3)


def test_other_weights(url: str, asked: tuple[Question, ...]) -> None:
    with Bench("one", asked, engine=url, figures={"quality"}) as bench:
        whole = bench.measure({"num_ctx": 512}, ALL)
        small = bench.measure({"num_ctx": 512, "quantisation": "Q8_0"}, ALL)
        assert small.asked == ALL and bench.loads == 2
        assert bench.measure({"num_ctx": 512, "quantisation": "F32"}, ALL).asked == 0
        assert small.memory and whole.memory and small.memory != whole.memory
        with Engine(url) as engine:
            assert "one:latest-q8_0" in {model.name for model in engine.models()}
    with Bench("one:latest-q8_0", asked, engine=url, figures={"quality"}) as bench:
        assert bench.measure({"num_ctx": 512}, ALL).asked == 0  # the same weights, by their digest
        with pytest.raises(TrialFailed, match=r"cannot be had in Q4_0: .* only supported for F16"):
            bench.measure({"num_ctx": 512, "quantisation": "Q4_0"}, ALL)


def test_stopped_in_the_middle_nothing_is_lost(url: str, asked: tuple[Question, ...]) -> None:
    class Stopped(Exception):
        pass

    over = False

    def stop() -> None:
        if over:
            raise Stopped

    with Bench("one", asked, engine=url, figures={"quality"}, stop=stop) as bench:
        done = bench.measure({"num_ctx": 512, "temperature": 0.3}, 4)
        over = True
        with pytest.raises(Stopped):
            bench.measure({"num_ctx": 512, "temperature": 0.3}, ALL)
        over = False
        rest = bench.measure({"num_ctx": 512, "temperature": 0.3}, ALL)
        assert rest.asked == ALL - 4 and values(done).items() <= values(rest).items()


def test_in_a_running_event_loop_as_in_a_notebook(url: str, asked: tuple[Question, ...]) -> None:
    async def cell() -> Measured:
        with Bench("one", asked, engine=url, figures={"quality"}) as bench:
            return bench.measure({"num_ctx": 512}, ALL)

    assert asyncio.run(cell()).quality is not None


def test_points_differ_on_what_both_answered(url: str, asked: tuple[Question, ...]) -> None:
    with Bench("one", asked, engine=url, figures={"quality"}) as bench:
        one = bench.measure({"num_ctx": 512}, ALL)
        other = bench.measure({"num_ctx": 512, "temperature": 1.5}, ALL)
        part = bench.measure({"num_ctx": 512, "temperature": 1.5}, 4)
    found = difference(other, one)
    assert found is not None and found.n == ALL and found.wins + found.losses > 0
    assert one.quality and other.quality and one.quality.value is not None
    assert found.value == pytest.approx((other.quality.value or 0) - one.quality.value)
    some = difference(part, one)
    assert some is not None and some.n == 4
    mine, theirs = values(part), values(one)
    assert some.wins == sum((mine[key] or 0) > (theirs[key] or 0) for key in mine)

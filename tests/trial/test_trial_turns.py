"""Several who measure on one engine: one at a time, each under its own settings."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from filelock import Timeout
from words import write_suite

from workbench.engines import Engine
from workbench.space import Parameter, Space
from workbench.trial import Bench, Question, questions
from workbench.trial._turn import Turn

SPACE = Space("loads", "Loads", "", (
    Parameter("num_ctx", "loading", "choice", choices=(256, 512), default=512),
))  # fmt: skip


@pytest.fixture
def asked(tmp_path: Path) -> tuple[Question, ...]:
    return questions(write_suite(tmp_path, 12), seed=1)


def context(url: str) -> int | None:
    with Engine(url) as engine:
        return next((row.context_length for row in engine.running()), None)


def test_each_measures_under_its_own_settings(url: str, asked: tuple[Question, ...]) -> None:
    with (
        Bench("one", asked, SPACE, engine=url, figures={"quality", "latency"}) as one,
        Bench("one", asked, SPACE, engine=url, figures={"quality", "latency"}) as other,
    ):
        one.measure({"num_ctx": 256}, 12)
        other.measure({"num_ctx": 512}, 12)
        assert (context(url), one.loads, other.loads) == (512, 1, 1)
        one.measure({"num_ctx": 256, "temperature": 0.5}, 12)
        assert (context(url), one.loads) == (256, 2), "loaded before the clock ran"
        one.measure({"num_ctx": 256, "temperature": 0.7}, 12)
        assert one.loads == 2, "nobody was there since"
        other.close()
        assert context(url) == 256, "another's model stays"
    assert context(url) is None


def test_they_wait_for_each_other(url: str, asked: tuple[Question, ...]) -> None:
    ended: list[int] = []

    def work(context: int) -> None:
        with Bench("one", asked, SPACE, engine=url, figures={"latency"}) as bench:
            for heat in (0.1, 0.2, 0.3):
                found = bench.measure({"num_ctx": context, "temperature": heat}, 12)
                assert found.latency is not None
            ended.append(bench.loads)

    threads = [threading.Thread(target=work, args=(size,)) for size in (256, 512)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(ended) == 2 and 2 <= sum(ended) <= 6, "never in the middle of a measurement"


def test_who_waits_can_be_stopped(url: str, asked: tuple[Question, ...]) -> None:
    class Stopped(Exception):
        pass

    stopping = threading.Event()

    def stop() -> None:
        if stopping.is_set():
            raise Stopped

    with Bench("one", asked, SPACE, engine=url, figures={"latency"}, stop=stop) as bench:
        bench.measure({"num_ctx": 256}, 12)
        with Turn(url).taken(stop) as since:
            assert since, "the bench had the engine"
            threading.Timer(0.5, stopping.set).start()
            with pytest.raises(Stopped):
                bench.measure({"num_ctx": 512}, 12)
            with pytest.raises(Timeout), Turn(url).taken(None):
                pass
        stopping.clear()
        assert bench.measure({"num_ctx": 512}, 12).latency is not None


def test_nobody_comes_between_what_belongs_together(url: str, asked: tuple[Question, ...]) -> None:
    order: list[str] = []
    waits: list[str] = []
    both = threading.Barrier(2)

    def other() -> None:
        with Bench("one", asked, SPACE, engine=url, figures={"latency"}) as bench:
            both.wait(60)
            with bench.held(lambda: waits.append("waits")):
                bench.measure({"num_ctx": 512}, 12)
                order.append("other")

    thread = threading.Thread(target=other)
    with Bench("one", asked, SPACE, engine=url, figures={"latency"}) as bench:
        thread.start()
        with bench.held():
            both.wait(60)
            for heat in (0.1, 0.2, 0.3):
                bench.measure({"num_ctx": 256, "temperature": heat}, 12)
                order.append("mine")
            assert bench.loads == 1
            until = time.monotonic() + 60
            while not waits and time.monotonic() < until:
                thread.join(0.05)
        thread.join(120)
    assert order == ["mine"] * 3 + ["other"] and waits == ["waits"]


def test_where_speed_does_not_count_and_loads_are_one_nobody_waits(
    url: str, asked: tuple[Question, ...]
) -> None:
    with Turn(url).taken(None), Bench("one", asked, engine=url, figures={"quality"}) as bench:
        assert bench.measure({"temperature": 0.5}, 12).quality is not None

"""The parts that need no process: the context, the estimate, the log."""

from __future__ import annotations

import math
import random
import threading
from pathlib import Path

import pytest

from workbench.errors import JobError
from workbench.jobs import JobCancelled, JobContext, Report, _log
from workbench.jobs._estimate import Estimate
from workbench.jobs._records import clean_text, decode_metrics, encode_metrics, plain_json


def test_a_context_works_without_a_job(tmp_path: Path) -> None:
    told: list[Report] = []
    context = JobContext("here", tmp_path, report=told.append)
    context.progress(0.25, "a quarter", loss=2)
    context.check_cancelled()
    assert told == [Report(0.25, "a quarter", {"loss": 2.0})]
    assert (context.attempt, context.cancelled) == (1, False)
    JobContext("silent", tmp_path).progress(0.5)


def test_a_cancelled_context_cannot_be_overheard(tmp_path: Path) -> None:
    stop = threading.Event()
    context = JobContext("here", tmp_path, stop=stop)
    stop.set()
    assert context.cancelled
    with pytest.raises(JobCancelled):
        try:
            context.check_cancelled()
        except Exception:  # what careless code does
            pytest.fail("it was swallowed")


@pytest.mark.parametrize("metrics", [{"loss": "much"}, {"loss": None}])
def test_a_metric_is_a_number(metrics: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError)):
        JobContext("here", tmp_path).progress(0.1, **metrics)


def at_a_rate(rate: float, until: float, *, noise: float = 0.0) -> Estimate:
    estimate = Estimate()
    chance = random.Random(3)
    for n in range(int(until / 0.25) + 1):
        at = n * 0.25
        estimate.add(1000 + at, min(1.0, rate * (at + chance.uniform(-noise, noise))))
    return estimate


def test_steady_work_is_estimated_exactly() -> None:
    assert at_a_rate(0.01, 30).end() == pytest.approx(1100, abs=0.01)


def test_nothing_is_said_too_early() -> None:
    assert Estimate().end() is None
    assert at_a_rate(0.01, 0.5).end() is None
    standing = Estimate()
    for n in range(50):
        standing.add(n, 0.3)
    assert standing.end() is None


def test_a_slow_start_and_a_pause_are_forgotten() -> None:
    estimate = Estimate()
    for n in range(20):  # 20 s for nothing
        estimate.add(n, 0.0)
    for n in range(40):  # then 1 % a second
        estimate.add(20 + n, n * 0.01)
    paused = 20 + 39 + 15
    for n in range(1, 20):
        estimate.add(paused + n, 0.39 + n * 0.01)
    end = estimate.end()
    assert end is not None
    assert end - (paused + 19) == pytest.approx(42, rel=0.25)


def test_an_hour_of_reports_is_kept_short() -> None:
    estimate = at_a_rate(1 / 4000, 3600, noise=3)
    assert len(estimate._points) < 60
    end = estimate.end()
    assert end is not None
    assert end - 4600 == pytest.approx(400, rel=0.1)


def test_work_that_begins_again_is_estimated_again() -> None:
    estimate = at_a_rate(0.1, 5)
    estimate.add(1010, 0.0)
    assert estimate.end() is None


def test_metrics_survive_strict_json() -> None:
    numbers = {"a": 1.5, "nan": math.nan, "up": math.inf, "down": -math.inf}
    stored = plain_json(encode_metrics(numbers), "Metrics")
    again = decode_metrics(stored)
    assert math.isnan(again.pop("nan"))
    assert again == {"a": 1.5, "up": math.inf, "down": -math.inf}


def test_json_of_anything() -> None:
    assert plain_json({"a": (1, 2)}, "It") == {"a": [1, 2]}
    loop: list[object] = []
    loop.append(loop)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for bad in (deep, loop, object(), {1, 2}, math.nan, "\ud800", b"x"):
        with pytest.raises(JobError, match="It must be JSON"):
            plain_json(bad, "It")


def test_text_for_any_database() -> None:
    assert clean_text("a\x00b\ud800", 10) == "ab?"
    assert clean_text("x" * 20, 10) == "x" * 9 + "…"


def test_log_shows_the_last_state_of_a_progress_bar(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_bytes(b"one\n10%\r50%\r100%\nw\xffrong\r\nlast")
    assert _log.tail(tmp_path, None) == "one\n100%\nw\ufffdrong\nlast"
    assert _log.tail(tmp_path, 1) == "last"
    assert _log.tail(tmp_path / "nothing", 5) == ""


def test_log_is_moved_aside_in_place(tmp_path: Path) -> None:
    """Who has it open goes on writing at its new end."""
    import os

    writer = _log.open_log(tmp_path)
    for n in range(300):
        os.write(writer, f"line {n}\n".encode() + b"." * 90 + b"\n")
        _log.bound(tmp_path, 10_000)
    os.close(writer)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 21_000
    lines = [line for line in _log.tail(tmp_path, None).split("\n") if line.startswith("line")]
    assert lines[-1] == "line 299"
    numbers = [int(line.split()[1]) for line in lines]
    assert numbers == list(range(numbers[0], 300)), "no line in between is lost"
    assert len(numbers) >= 100

"""Speed: figures of our own engine, of servers that cannot be believed, and meters of energy."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from bench_servers import engine_with, misbehaving
from rapl_zones import zone
from tiny import write_tiny_llama

from workbench.engines import AsyncEngine
from workbench.errors import BenchError, EngineError, ModelNotFound
from workbench.meter._asking import filler, processes
from workbench.meter._load import Figure, Timed, figure
from workbench.meter._setting import Clocks, noise
from workbench.meter._speed import TEXTS, Speed, measure_speed
from workbench.types import Metrics


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, tiny_embedding_gguf: Path) -> Iterator[str]:
    """Our engine with a model that never ends, and an encoder."""
    folder = tmp_path_factory.mktemp("speed")
    tiny = write_tiny_llama(folder / "tiny.gguf", context=1024, endless=True)
    with engine_with(folder / "home", {"tiny": tiny, "embed": tiny_embedding_gguf}) as url:
        yield url


async def measured(url: str, model: str = "m", **more: Any) -> Speed:
    more.setdefault("load", model != "m")
    more = {"contexts": (64,), "parallel": (), "repeats": 2, "powercap": Path("/nowhere")} | more
    async with AsyncEngine(url, kind="embedded") as engine:
        return await measure_speed(engine, model, **more)


# Our own engine


async def test_our_engine(url: str) -> None:
    steps: list[tuple[float, str]] = []
    speed = await measured(
        url, "tiny", contexts=(256, 64, 9999), parallel=(1, 3), written=16, repeats=3,
        options={"num_thread": 1}, progress=lambda share, words: steps.append((share, words)),
    )  # fmt: skip
    assert [point.asked for point in speed.points] == [64, 256, 1024 - 16 - 16]
    assert "1024 tokens" in speed.notes[0]
    for point in speed.points:
        assert point.written == 16
        assert abs(point.read - point.asked) < 0.2 * point.asked  # they were all read
        assert not point.notes and not point.failed
        for one in (point.first_token, point.prompt_speed, point.generation_speed, point.total):
            assert one is not None and one.n == 3
            assert 0 < one.low <= one.median <= one.high == one.p95
        assert point.joules is None
    assert [point.parallel for point in speed.curve] == [1, 3]
    assert speed.curve[0] == speed.points[0]
    assert speed.curve[1].first_token is not None and speed.curve[1].first_token.n == 9
    assert speed.energy == "none: this machine shows no counters of energy"
    assert speed.joules_per_token is None
    shares = [share for share, _ in steps]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] < 1


async def test_it_carries_its_setting(url: str) -> None:
    speed = await measured(url, "tiny", options={"num_ctx": 512})
    under = speed.setting
    async with AsyncEngine(url) as engine:
        row = next(model for model in await engine.models() if model.name == "tiny:latest")
        assert under.digest == row.digest != ""
        assert under.engine_version == await engine.version()
    assert (under.engine, under.context, under.quantisation) == ("embedded", 512, "F32")
    assert under.slots and under.options == {"num_ctx": 512}
    assert under.machine is not None and under.machine["logical_cores"] >= 1
    assert {"workbench", "python", "xllamacpp"} <= set(under.libraries)
    kept = json.loads(json.dumps(dataclasses.asdict(speed)))
    assert kept["points"][0]["generation_speed"]["n"] == 2
    assert kept["setting"]["options"] == {"num_ctx": 512}


async def test_loading_and_memory_are_of_the_model(url: str) -> None:
    speed = await measured(url, "tiny")
    assert speed.loading is not None and speed.loading.told is not None
    assert 0 < speed.loading.told <= speed.loading.seconds
    children = [child.pid for child in processes(url)[1:]]
    peaks = [Path(f"/proc/{pid}/status") for pid in children]
    told = [int(file.read_text().split("VmHWM:")[1].split()[0]) * 1024 for file in peaks]
    assert speed.memory.peak in told
    assert speed.memory.held and speed.memory.held <= speed.memory.peak
    again = await measured(url, "tiny", load=False)
    assert again.loading is None
    assert [child.pid for child in processes(url)[1:]] == children  # it stayed loaded


async def test_an_encoder_is_measured_by_texts(url: str) -> None:
    speed = await measured(url, "embed", contexts=(32, 64), parallel=(1, 4))
    assert [point.asked for point in speed.points] == [32, 64] and not speed.curve
    for point in speed.points:
        assert point.parallel == TEXTS and point.written == 0 and point.read > 0
        assert abs(point.read - point.asked) < 0.3 * point.asked
        assert point.generation_speed is None and point.first_token is None
        assert point.total is not None and point.prompt_clock is not None
        assert point.prompt_clock.n == 2
    assert speed.loading is not None and speed.loading.seconds > 0


async def test_other_work_on_the_machine_is_told(url: str) -> None:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        speed = await measured(url, "tiny")
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert speed.noise.noisy is True
    assert "measure again" in speed.noise.words
    assert speed.noise.before is not None and speed.noise.before > 0.1


def test_the_engines_own_processes_are_known(url: str) -> None:
    found = processes(url)
    assert "workbench.embedded" in found[0].cmdline()
    assert all(child.ppid() == found[0].pid for child in found[1:])
    assert psutil.Process() not in found
    assert processes("http://192.0.2.1:11434") == []


async def test_what_cannot_be_measured_is_refused(url: str) -> None:
    for more in ({"repeats": 0}, {"written": 1}, {"contexts": ()}, {"parallel": (0,)}):
        with pytest.raises(BenchError, match="at least"):
            await measured(url, "tiny", **more)
    with pytest.raises(ModelNotFound):
        await measured(url, "nobody")


# Servers that cannot be believed


async def test_no_prompt_is_asked_twice() -> None:
    with misbehaving() as server:
        for _ in range(2):
            await measured(server.url, contexts=(64, 128), parallel=(2,))
        bodies = [
            body for path, body in server.asked if path == "/api/generate" and "prompt" in body
        ]
        prompts = [body["prompt"] for body in bodies if body["prompt"] != "the"]  # which loads
    assert len(prompts) == 2 * (2 + 2 * (1 + 1 + 2))
    assert len(set(prompts)) == len(prompts)
    assert all(body["options"]["seed"] >= 0 for body in bodies)


async def test_answers_from_a_cache_give_no_speed() -> None:
    with misbehaving(cache=True) as server:
        (point,) = (await measured(server.url)).points
    assert "as a cache does" in point.notes[0]
    assert point.prompt_speed is None and point.generation_speed is None
    assert point.first_token is not None  # that is the client's own


async def test_a_model_that_others_keep_loaded_is_measured_all_the_same() -> None:
    with misbehaving() as server:
        speed = await measured(server.url, load=True)
    assert speed.loading is None
    assert "stayed loaded" in speed.notes[0]
    assert speed.points[0].generation_speed is not None
    assert speed.memory.peak is None and speed.memory.held == 1000


async def test_without_counts_the_length_is_a_guess() -> None:
    with misbehaving(counts=False) as server:
        speed = await measured(server.url)
    assert "a guess" in speed.notes[0]
    assert speed.points[0].read == 0 and speed.points[0].prompt_speed is None


async def test_answers_that_end_early_are_told() -> None:
    with misbehaving(short=True) as server:
        (point,) = (await measured(server.url)).points
    assert point.notes == ("Answers ended after 5 of 64 tokens.",)


async def test_prompts_that_are_cut_are_told() -> None:
    with misbehaving(reads=100) as server:
        speed = await measured(server.url, contexts=(64, 300))
    assert not speed.points[0].notes
    assert "counts 100 as read" in speed.points[1].notes[0]


async def test_a_busy_engine_fails_some_of_a_crowd_only() -> None:
    with misbehaving(alone=True) as server:
        speed = await measured(server.url, parallel=(3,), repeats=1)
    (crowd,) = speed.curve
    assert 1 <= crowd.failed <= 3


async def test_errors_and_silence_end_it_with_words() -> None:
    with misbehaving(status={"/api/generate": 500}) as server, pytest.raises(EngineError):
        await measured(server.url)
    with misbehaving() as server:
        server.ways["hang"] = ()
        slow = threading.Timer(0.3, lambda: server.ways.update(hang=("/api/generate",)))
        slow.start()
        with pytest.raises(BenchError, match="did not answer within"):
            await measured(server.url, repeats=10_000, patience=0.3)


# Figures


def test_a_figure_is_of_what_is_there() -> None:
    assert figure([]) is None
    assert figure([None, 0.0]) is None
    assert figure([3.0, None, 1.0, 2.0]) == Figure(2.0, 1.0, 3.0, 3.0, 3)
    assert figure(float(n) for n in range(1, 101)) == Figure(50.5, 1.0, 100.0, 96.0, 100)


def test_both_clocks_divide_the_tokens_after_the_first() -> None:
    told = Metrics(
        prompt_eval_count=100, prompt_eval_duration=500_000_000, eval_count=64,
        eval_duration=630_000_000,
    )  # fmt: skip
    answer = Timed(told, first=0.5, last=1.13, whole=1.2)
    assert answer.true and answer.prompt_speed == pytest.approx(200)
    assert answer.generation_speed == pytest.approx(100)  # 63 tokens in 0.63 s
    assert answer.generation_clock == pytest.approx(100)
    replayed = dataclasses.replace(answer, whole=0.01, last=0.501)
    assert not replayed.true and replayed.generation_speed is None
    assert replayed.generation_clock is None  # too short to be told
    silent = Timed(Metrics(), first=0.5, last=1.0, whole=1.0)
    assert silent.prompt_speed is None and silent.generation_speed is None
    assert silent.generation_clock is None


def test_fillers_differ_and_grow_by_the_same_words() -> None:
    assert filler(3, 1) != filler(3, 2)
    assert sorted(filler(3, 1).split()) == sorted(filler(3, 2).split())
    assert len(filler(4).split()) == 4 * len(filler(1).split())


def test_noise_is_what_neither_the_engine_nor_we_used() -> None:
    # two processors for 10 seconds: 20 seconds pass; the engine (1) uses 8, and we (2) use 1
    begin = Clocks(100.0, 50.0, {1: 5.0, 2: 1.0})
    end = Clocks(120.0, 60.0, {1: 13.0, 2: 2.0})
    quiet = noise(0.5, begin, begin, end)
    assert quiet.during == pytest.approx(0.05) and quiet.noisy is False
    loud = noise(0.5, begin, begin, dataclasses.replace(end, busy=66.0))
    assert loud.during == pytest.approx(0.35) and loud.noisy is True
    reloaded = noise(None, begin, begin, dataclasses.replace(end, ours={3: 10.0}))
    assert reloaded.during == 0.0  # its new process began at 0
    assert noise(None, None, begin, end).noisy is None
    assert "cannot be told" in noise(None, None, begin, end).words


async def test_joules_per_token(url: str, tmp_path: Path) -> None:
    file = zone(tmp_path, "intel-rapl:0", "package-0", 0, most=10**15)
    done = threading.Event()

    def burn() -> None:
        whole = tmp_path / "next"
        for step in range(1, 10**9):
            whole.write_text(str(step * 10**9))  # much, so that each request sees some
            whole.replace(file)
            if done.wait(0.001):
                return

    thread = threading.Thread(target=burn)
    thread.start()
    try:
        speed = await measured(url, "tiny", contexts=(256,), powercap=tmp_path)
    finally:
        done.set()
        thread.join()
    joules = speed.points[0].joules
    assert joules is not None and joules.low > 0
    assert speed.joules_per_token == joules.median
    assert speed.energy == "RAPL (package-0)"

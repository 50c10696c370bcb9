"""What a client tells the ledger of an Ollama: of a real engine, and of scripted answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines.scripted import ScriptedServer, answer
from sqlalchemy import select
from tiny import write_tiny_llama

from workbench import fit
from workbench.cards import observe
from workbench.engines import Engine
from workbench.store import StoredEstimate, session
from workbench.types import Metrics

COST = Metrics(
    load_duration=10**9,
    prompt_eval_count=100,
    prompt_eval_duration=10**8,
    eval_count=50,
    eval_duration=10**9,
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real engine with the loaded model "tiny"; to the client it is an Ollama."""
    home = tmp_path_factory.mktemp("home")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WORKBENCH_", "OLLAMA_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.embedded", "--home", str(home), "--port", "0"],
        env=kept,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        file = write_tiny_llama(tmp_path_factory.mktemp("models") / "tiny.gguf", endless=True)
        install(url, file)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def install(url: str, file: Path) -> None:
    import ollama

    client = ollama.Client(url)
    client.create("tiny", files={file.name: client.create_blob(file)})


def stored() -> dict[str, StoredEstimate]:
    with session(read_only=True) as opened:
        rows = opened.scalars(select(StoredEstimate)).all()
    assert len({row.quantity for row in rows}) == len(rows), "one of each"
    return {row.quantity: row for row in rows}


def test_a_real_engine(url: str) -> None:
    with Engine(url) as engine:
        assert observe(engine, "tiny") in (0, 1), "nothing is known of what is not loaded"
        reply = engine.generate("tiny", "word " * 90, options={"num_predict": 40}, raw=True)
        assert observe(engine, "tiny", reply.metrics) == 3
        running = engine.running()[0]
        digest = running.raw["digest"]
    rows = stored()
    assert set(rows) == {"memory_ram", "prompt_speed", "generation_speed"}
    memory, writing = rows["memory_ram"], rows["generation_speed"]
    assert (memory.backend, memory.model, memory.digest) == ("ollama", "tiny:latest", digest)
    assert (memory.architecture, memory.counts) == ("llama", True)
    assert memory.load["context"] == running.context_length
    assert memory.predicted is not None
    assert writing.measured == pytest.approx(reply.metrics.tokens_per_second)
    assert writing.machine == fit.fingerprint()
    assert writing.version == "ollama 0.33.0"


def test_one_line_a_minute(url: str) -> None:
    with Engine(url) as engine:
        engine.load("tiny")
        for _ in range(4):
            assert observe(engine, "tiny", COST) == 3
    with session(read_only=True) as opened:
        rows = opened.scalars(select(StoredEstimate)).all()
    assert len(rows) in (3, 6), "six when the minute changed meanwhile"


def test_the_embedded_engine_tells_the_ledger_itself(url: str) -> None:
    with Engine(url, kind="embedded") as engine:
        engine.load("tiny")
        assert observe(engine, "tiny", COST) == 0
    assert stored() == {}


def test_nobody_answers() -> None:
    with Engine("http://127.0.0.1:9") as engine:
        assert observe(engine, "tiny", COST) == 0


def test_a_store_that_cannot_be_used(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", "sqlite:////proc/sys/workbench.db")
    with Engine(url) as engine:
        engine.load("tiny")
        assert observe(engine, "tiny", COST) == 0


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.close()


def loaded(server: ScriptedServer, **facts: Any) -> None:
    """The server says that "m" is loaded, its version, and that `show` knows nothing."""
    model = {"name": "m:latest", "model": "m:latest", "digest": "d", "context_length": 8192}
    version, nothing = answer({"version": "0.33.0"}), answer({"error": "no"}, "404 Not Found")

    def say(exchange: Any) -> None:
        known = {"/api/ps": answer({"models": [model | facts]}), "/api/version": version}
        known.get(exchange.path, nothing)(exchange)

    server.says(say)


@pytest.mark.parametrize(
    ("size", "vram", "expected"),
    [
        (1000, 0, {"memory_ram": (1000, True)}),
        (1000, 1000, {"memory_gpu": (1000, True)}),
        (1000, 400, {"memory_ram": (600, False), "memory_gpu": (400, False)}),
        (0, 0, {}),
    ],
)
def test_where_the_model_is(
    size: int, vram: int, expected: dict[str, Any], server: ScriptedServer
) -> None:
    loaded(server, size=size, size_vram=vram)
    with Engine(server.url) as engine:
        assert observe(engine, "m") == len(expected)
    rows = stored()
    assert {name: (row.measured, row.counts) for name, row in rows.items()} == expected
    assert all(row.predicted is None for row in rows.values()), "nobody knows its network"


def test_a_prompt_that_may_have_been_cached_does_not_count(server: ScriptedServer) -> None:
    loaded(server, size=1000, size_vram=0)
    cached = Metrics(
        load_duration=10**6,
        prompt_eval_count=100,
        prompt_eval_duration=10**6,
        eval_count=20,
        eval_duration=10**9,
    )
    with Engine(server.url) as engine:
        observe(engine, "m", cached)
    rows = stored()
    assert set(rows) == {"memory_ram", "prompt_speed"}, "20 tokens tell no speed"
    assert rows["prompt_speed"].counts is False


@pytest.mark.parametrize(
    "facts",
    [
        {"size": 10**30, "size_vram": 0},
        {"size": -5, "size_vram": -9},
        {"size": "many", "size_vram": None},
        {"size": 1000, "size_vram": 0, "context_length": -1},
        {"size": 1000, "size_vram": 0, "context_length": 10**40},
        {"size": 1000, "size_vram": 0, "digest": {"x": 1}, "name": "m\x00:latest"},
    ],
)
def test_rubbish_breaks_nothing(facts: dict[str, Any], server: ScriptedServer) -> None:
    loaded(server, **facts)
    with Engine(server.url) as engine:
        observe(engine, "m", COST)
        observe(engine, "m\x00:latest", COST)
    for row in stored().values():
        assert 0 < row.measured < 1e18

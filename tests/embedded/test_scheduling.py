"""Who waits, who is loaded, who goes; and what happens when a model's process is killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import ollama
import openai
import psutil
import pytest
from conftest import PATIENCE, EngineProcess, running, wait_until

CONTEXT = 2**15
OPTIONS = {"temperature": 0, "num_ctx": CONTEXT}
ENDLESS = {"model": "endless", "prompt": "x", "options": {**OPTIONS, "num_predict": 10**9}}
ONE = {**ENDLESS, "stream": False, "options": {**OPTIONS, "num_predict": 1}}


@pytest.fixture(scope="module")
def small(
    tmp_path_factory: pytest.TempPathFactory, gguf_files: dict[str, Path]
) -> Iterator[EngineProcess]:
    """An engine with one slot, a queue of one, room for two models."""
    with running(
        tmp_path_factory.mktemp("small-home"), OLLAMA_NUM_PARALLEL="1", OLLAMA_MAX_QUEUE="1",
        OLLAMA_MAX_LOADED_MODELS="2", WORKBENCH_ENGINE_MEMORY="1G",
    ) as engine:  # fmt: skip
        for name in ("tiny", "endless", "thinker"):
            engine.install(name, gguf_files[name])
        yield engine


def names(engine: EngineProcess) -> set[str]:
    return {str(model.model) for model in engine.ollama.ps().models}


def test_eight_clients_at_once_lose_nothing(engine: EngineProcess) -> None:
    def ask(number: int) -> tuple[str, int, int]:
        client = ollama.Client(host=engine.url, timeout=PATIENCE)
        options = {"num_predict": 60, "seed": number, "temperature": 0}
        chunks = list(client.generate("thinker", f"{number}", stream=True, options=options))
        text = "".join(chunk.response for chunk in chunks)
        return text, chunks[-1].eval_count or 0, number

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(24)))
    assert {answer[:2] for answer in answers} == {("Hello there", 7)}


def test_first_requests_at_once_load_once(small: EngineProcess) -> None:
    small.post("/api/generate", model="tiny", keep_alive=0)
    before = small.log().count("loaded in")

    def load(_: int) -> int:
        return httpx.post(
            f"{small.url}/api/generate", json={"model": "tiny"}, timeout=PATIENCE
        ).status_code

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(load, range(2))) <= {200, 503}  # the queue has room for one
    assert small.log().count("loaded in") == before + 1


def test_closing_the_connection_stops_generation(small: EngineProcess) -> None:
    with small.http.stream("POST", "/api/generate", json=ENDLESS) as answer:
        assert not json.loads(next(answer.iter_lines()))["done"]
        [child] = [psutil.Process(p.pid) for p in small.children()][-1:]
    assert small.post("/api/generate", **ONE).json()["eval_count"] == 1  # the slot is free
    wait_until(lambda: child.cpu_percent(0.2) < 20, "the child stops computing")
    whole = {**ENDLESS, "stream": False}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{small.url}/api/generate", json=whole, timeout=1)
    assert small.post("/api/generate", **ONE).json()["eval_count"] == 1
    assert child.is_running()


def test_full_queue_answers_503(small: EngineProcess) -> None:
    def ask(_: int) -> httpx.Response:
        return httpx.post(f"{small.url}/api/generate", json=ONE, timeout=PATIENCE)

    with (
        ThreadPoolExecutor(3) as pool,
        small.http.stream("POST", "/api/generate", json=ENDLESS) as answer,
    ):
        lines = answer.iter_lines()  # kept: when it goes, the connection does
        next(lines)
        asked = [pool.submit(ask, number) for number in range(3)]
        wait_until(lambda: sum(one.done() for one in asked) == 2, "two are refused")
        answer.close()
        answers = sorted((one.result() for one in asked), key=lambda one: one.status_code)
    assert [one.status_code for one in answers] == [200, 503, 503]
    assert answers[0].json()["eval_count"] == 1
    assert answers[1].json()["error"].startswith("server busy, please try again.")


def test_killed_child_costs_one_request(small: EngineProcess) -> None:
    with small.http.stream("POST", "/api/generate", json=ENDLESS) as answer:
        lines = answer.iter_lines()
        next(lines)
        for child in small.children():
            child.kill()
        *_, last = lines
        assert answer.status_code == 200
        assert "signal 9" in json.loads(last)["error"]
    assert small.ollama.generate("endless", "x", options={"num_predict": 2}).eval_count == 2
    for child in small.children():
        child.kill()  # while it is idle
        child.wait(PATIENCE)
    assert small.ollama.generate("endless", "x", options={"num_predict": 2}).eval_count == 2


def test_killed_child_in_the_middle_of_openais_stream(small: EngineProcess) -> None:
    client = openai.OpenAI(base_url=f"{small.url}/v1", api_key="any", max_retries=0)
    ask: Any = [{"role": "user", "content": "x"}]
    small.post("/api/generate", model="endless", keep_alive=0)
    chunks = client.chat.completions.create(
        model="endless", messages=ask, temperature=0, max_tokens=10**9, stream=True
    )
    next(iter(chunks))
    for child in small.children():
        child.kill()
    with pytest.raises(openai.APIError, match="signal 9"):
        list(chunks)


def test_other_load_time_options_reload(small: EngineProcess) -> None:
    for context in (100, 200):
        small.ollama.generate("tiny", "x", options={"num_ctx": context, "num_predict": 1})
        [model] = [m for m in small.ollama.ps().models if m.model == "tiny:latest"]
        assert model.context_length == context
    loads = small.log().count("loaded in")
    small.ollama.generate("tiny", "x", options={"num_ctx": 200, "temperature": 0.1})
    assert small.log().count("loaded in") == loads


def test_keep_alive(small: EngineProcess) -> None:
    once = {"options": {"num_predict": 1}}
    small.ollama.generate("tiny", "x", keep_alive=-1, **once)
    [model] = [m for m in small.ollama.ps().models if m.model == "tiny:latest"]
    assert model.expires_at is not None and model.expires_at.year >= 2300
    assert model.size and model.size > 10 * 2**20 and model.size_vram == 0
    small.ollama.generate("tiny", "x", keep_alive="200ms", **once)
    wait_until(lambda: "tiny:latest" not in names(small), "the model expires")
    small.ollama.generate("tiny", "x", keep_alive=0, **once)
    wait_until(lambda: "tiny:latest" not in names(small), "the model goes at once")


def test_the_idle_one_makes_room(small: EngineProcess) -> None:
    options = {"num_predict": 1}
    for name, keep in (("tiny", "10m"), ("thinker", "20m"), ("endless", "30m")):
        small.ollama.generate(name, "x", keep_alive=keep, options=options)
    assert names(small) == {"thinker:latest", "endless:latest"}
    wait_until(lambda: len(small.children()) == 2, "the third process ends")
    with pytest.raises(ollama.ResponseError) as error:
        small.ollama.generate("endless", "x", options={"num_ctx": 2**20})
    assert "requires more system memory" in str(error.value) and error.value.status_code == 500
    assert names(small)  # nothing was unloaded for what can never fit


def test_memory_needed_is_not_far_from_memory_taken(engine: EngineProcess) -> None:
    """The estimate is above what the child holds, and not beyond all measure."""
    from workbench.embedded._limits import Limits, child_settings, load_of
    from workbench.embedded._memory import needed_bytes
    from workbench.library import Library

    options = {"num_ctx": CONTEXT, "num_predict": 1}
    engine.ollama.generate("endless", "x", options=options)
    [running_model] = [m for m in engine.ollama.ps().models if m.model == "endless:latest"]
    model = Library(engine.home / "models").find("endless")
    need = needed_bytes(model.header, load_of(child_settings(model, options, Limits())))
    assert running_model.size is not None
    assert running_model.size * 0.9 < need < running_model.size * 4


def test_damaged_model_is_refused_and_nothing_hangs(
    small: EngineProcess, gguf_files: dict[str, Path], tmp_path: Path
) -> None:
    small.ollama.create("broken", from_="thinker")
    manifest = small.home / "models/manifests/registry.ollama.ai/library/broken/latest"
    layers = json.loads(manifest.read_text())["layers"]
    digest = next(x["digest"] for x in layers if x["mediaType"].endswith(".model"))
    blob = small.home / "models/blobs" / digest.replace(":", "-")
    whole = blob.read_bytes()
    small.post("/api/generate", model="thinker", keep_alive=0)
    try:
        blob.write_bytes(whole[: len(whole) // 2])
        answer = small.post("/api/generate", model="broken", prompt="x")
        assert answer.status_code == 500 and "error" in answer.json()
    finally:
        blob.write_bytes(whole)
    assert small.ollama.generate("thinker", "x", options={"num_predict": 1}).eval_count == 1


def test_children_are_known_by_their_secret_only(small: EngineProcess) -> None:
    small.ollama.generate("tiny", "x", options={"num_predict": 1})
    ports = [
        connection.laddr
        for child in small.children()
        for connection in psutil.Process(child.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert ports and all(address.ip == "127.0.0.1" for address in ports)
    for address in ports:
        answer = httpx.post(f"http://127.0.0.1:{address.port}/completion", json={"prompt": "x"})
        assert answer.status_code == 401

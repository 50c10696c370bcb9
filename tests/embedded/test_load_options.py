"""Slots, the cache's type and flash attention, said with a request or in a model."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import PATIENCE, EngineProcess, running
from tiny import write_tiny_llama


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path) -> Iterator[EngineProcess]:
    """An engine whose environment says 2 slots, with heads of 32 numbers (wide) and 16 (tiny)."""
    folder = tmp_path_factory.mktemp("load-options")
    wide = write_tiny_llama(folder / "wide.gguf", width=128, endless=True)
    with running(folder / "home", OLLAMA_NUM_PARALLEL="2") as engine:
        engine.install("wide", wide)
        engine.install("tiny", tiny_gguf)
        yield engine


def ask(engine: EngineProcess, model: str = "wide", **options: Any) -> httpx.Response:
    fixed = {"temperature": 0, "num_predict": 6, "num_ctx": 512}
    return engine.post(
        "/api/generate", model=model, prompt="def f(", stream=False, options=fixed | options
    )


def loaded(engine: EngineProcess, model: str = "wide") -> dict[str, Any]:
    rows = engine.http.get("/api/ps").json()["models"]
    [row] = [row for row in rows if row["name"] == f"{model}:latest"]
    return dict(row)


def log_of_load(engine: EngineProcess) -> str:
    return [line for line in engine.log().splitlines() if "_scheduler loading" in line][-1]


def test_a_request_decides_the_slots_before_the_environment(loader: EngineProcess) -> None:
    assert ask(loader).status_code == 200
    row = loaded(loader)
    assert (row["slots"], row["kv_cache_type"]) == (2, "f16")
    assert ask(loader, num_parallel=3).status_code == 200
    row = loaded(loader)
    assert (row["slots"], row["context_length"]) == (3, 512)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: ask(loader, num_parallel=3, num_predict=60), range(3)))
    assert {answer.json()["eval_count"] for answer in answers} == {60}
    loads = loader.log().count("_scheduler loading")
    assert ask(loader, num_parallel=3, top_k=5).status_code == 200
    assert loader.log().count("_scheduler loading") == loads


def test_absurd_slots_are_what_can_be(loader: EngineProcess) -> None:
    assert ask(loader, num_parallel=10**15).status_code == 200
    assert loaded(loader)["slots"] == 256
    for nothing in (0, -7, None):
        assert ask(loader, num_parallel=nothing).status_code == 200
        assert loaded(loader)["slots"] == 2


@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
def test_a_quantised_cache_is_smaller_and_changes_little(loader: EngineProcess, kind: str) -> None:
    assert ask(loader, num_parallel=64).status_code == 200
    exact = loaded(loader)["size"]
    answer = ask(loader, num_parallel=64, kv_cache_type=kind, flash_attention=True)
    assert answer.json()["eval_count"] == 6
    assert f"cache_type='{kind}', flash_attention=True" in log_of_load(loader)
    cells = 64 * 512 * 2 * 2 * 2 * 32  # slots, tokens, layers, keys and values, heads, numbers
    saved = cells * (2 - {"q8_0": 34 / 32, "q4_0": 18 / 32}[kind])
    assert exact - loaded(loader)["size"] > 0.6 * saved


def test_without_flash_attention(loader: EngineProcess) -> None:
    with_it = ask(loader, flash_attention=True).json()["response"]
    without = ask(loader, flash_attention=False)
    assert "flash_attention=False" in log_of_load(loader)
    assert without.json()["response"] == with_it


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("wide", {"kv_cache_type": "q8_0", "flash_attention": False}, "needs flash attention"),
        ("tiny", {"kv_cache_type": "q4_0"}, "this model's heads have 16; set kv_cache_type to f16"),
        ("wide", {"kv_cache_type": "q5_1"}, 'option "kv_cache_type" must be f16, q8_0 or q4_0'),
        ("wide", {"kv_cache_type": 8}, 'option "kv_cache_type" must be f16, q8_0 or q4_0'),
        ("wide", {"num_parallel": "two"}, 'option "num_parallel" must be of type integer'),
        ("wide", {"flash_attention": 1}, 'option "flash_attention" must be of type boolean'),
    ],
)
def test_what_cannot_be_is_refused_before_a_load(
    loader: EngineProcess, model: str, options: dict[str, Any], words: str
) -> None:
    assert ask(loader, model).status_code == 200
    loads = loader.log().count("_scheduler loading")
    answer = ask(loader, model, **options)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert loader.log().count("_scheduler loading") == loads
    assert ask(loader, model).status_code == 200


def test_a_model_brings_its_own(loader: EngineProcess) -> None:
    parameters = {"num_parallel": 3, "kv_cache_type": "q8_0", "flash_attention": True}
    loader.ollama.create("own", from_="wide", parameters=parameters)
    shown = loader.post("/api/show", model="own").json()
    assert "PARAMETER kv_cache_type q8_0\n" in shown["modelfile"]
    assert ask(loader, "own").status_code == 200
    assert loaded(loader, "own")["slots"] == 3
    assert "cache_type='q8_0', flash_attention=True" in log_of_load(loader)
    assert ask(loader, "own", kv_cache_type="f16").status_code == 200
    assert "cache_type='f16', flash_attention=True" in log_of_load(loader)
    answer = httpx.post(
        f"{loader.url}/api/create",
        json={"model": "bad", "from": "wide", "parameters": {"kv_cache_type": "q9"}},
        timeout=PATIENCE,
    )
    assert 'option "kv_cache_type" must be' in answer.json()["error"]

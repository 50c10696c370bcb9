"""Texts as tokens through the engine, and what is refused."""

from __future__ import annotations

import pytest
from conftest import EngineProcess

from workbench.engines import AsyncEngine, Engine
from workbench.errors import InvalidRequest, ModelNotFound

TEXTS = ["import os", "", "☃ naïve", "a<|im_end|>b", "import os"]


def test_counts_ids_and_pieces_agree(engine: EngineProcess) -> None:
    answer = engine.post("/api/tokenize", model="tiny", texts=TEXTS, ids=True, pieces=True).json()
    assert answer["model"] == "tiny"
    assert answer["counts"] == [len(ids) for ids in answer["tokens"]]
    assert answer["counts"] == [len(pieces) for pieces in answer["pieces"]]
    assert ["".join(pieces) for pieces in answer["pieces"]] == TEXTS
    assert answer["tokens"][0] == answer["tokens"][4] and answer["tokens"][1] == []
    assert answer["tokens"][3][1] == 1, "a special token is one"
    only = engine.post("/api/tokenize", model="tiny", texts=TEXTS).json()
    assert set(only) == {"model", "counts"} and only["counts"] == answer["counts"]


def test_many_texts_are_told_in_their_order(engine: EngineProcess) -> None:
    texts = ["x y" * (i % 7) for i in range(1203)]
    counts = engine.post("/api/tokenize", model="tiny", texts=texts).json()["counts"]
    assert counts == (counts[:7] * 172)[:1203] and counts[0] == 0 and counts[6] > counts[1]


def test_tokens_are_those_that_a_prompt_costs(engine: EngineProcess) -> None:
    text = "def f(self):\n    return 1"
    [count] = engine.post("/api/tokenize", model="tiny", texts=[text]).json()["counts"]
    cost = engine.ollama.generate("tiny", text, raw=True, options={"num_predict": 1})
    assert cost.prompt_eval_count == count + 1, "and the one that begins"


def test_a_loaded_model_is_asked_as_it_is(engine: EngineProcess) -> None:
    engine.ollama.generate("tiny", "x", options={"num_ctx": 300, "num_predict": 1})
    engine.post("/api/tokenize", model="tiny", texts=["x"])
    loaded = engine.http.get("/api/ps").json()["models"]
    assert [one["context_length"] for one in loaded if one["name"] == "tiny:latest"] == [300]


def test_embedding_models_have_tokens_too(engine: EngineProcess) -> None:
    assert engine.post("/api/tokenize", model="embed", texts=["import os"]).json()["counts"] > [0]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"texts": ["x"]}, 400, "model is required"),
        ({"model": "tiny"}, 400, "list of strings"),
        ({"model": "tiny", "texts": [1]}, 400, "list of strings"),
        ({"model": "tiny", "texts": "x"}, 400, "texts"),
        ({"model": "tiny", "texts": ["x"], "ids": 1}, 400, "ids"),
        ({"model": "none", "texts": ["x"]}, 404, "not found"),
        ({"model": "tiny", "texts": ["x"] * 10_001}, 400, "send fewer"),
        ({"model": "tiny", "texts": ["x" * (8 << 20), "x"]}, 400, "send fewer"),
    ],
)
def test_refusals(engine: EngineProcess, body: dict[str, object], status: int, words: str) -> None:
    answer = engine.post("/api/tokenize", **body)
    assert answer.status_code == status and words in answer.json()["error"]


async def test_both_clients(engine: EngineProcess) -> None:
    with Engine(engine.url) as plain:
        ids = plain.tokenize("tiny", TEXTS)
        assert plain.tokenize("tiny", TEXTS, told="counts") == [len(each) for each in ids]
        assert "".join(plain.tokenize("tiny", "a b", told="pieces")[0]) == "a b"
        with pytest.raises(ModelNotFound):
            plain.tokenize("none", TEXTS)
    async with AsyncEngine(engine.url) as client:
        assert await client.tokenize("tiny", TEXTS) == ids
        turns = [{"role": "user", "content": "Q"}]
        text = await client.render("tiny", turns)
        assert text == "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n"
        with pytest.raises(InvalidRequest):
            await client.render("embed", turns)


def test_rendering_costs_no_inference(engine: EngineProcess) -> None:
    turns = [{"role": "user", "content": "Q"}]
    answer = engine.post("/api/chat", model="tiny", messages=turns, _debug_render_only=True).json()
    assert "eval_count" not in answer and not answer["message"]["content"]
    assert answer["_debug_info"]["rendered_template"].endswith("assistant\n")

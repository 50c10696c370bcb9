"""Tokens by a real tokenizer's file, by the engine, and by an estimate that says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from engines.scripted import ScriptedServer, answer
from hypothesis import given
from hypothesis import strategies as st
from tiny import vocabulary
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from workbench.engines import Engine
from workbench.errors import DataError, EngineError, InvalidRequest
from workbench.examples import Tokens, token_counter

TEXTS = ["", "import os\n", "def f(self):\n    return 1", "☃ naïve 你好", "a<|im_end|>b", "x" * 999]


def tokenizer(path: Path) -> Path:
    tokens, merges = vocabulary()
    pairs = [(first, second) for first, second in (merge.split(" ") for merge in merges)]
    made = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, pairs))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(tokens[:3])
    made.enable_truncation(8)  # as many files have it
    made.enable_padding(length=16)
    path.mkdir(parents=True)
    made.save(str(path / "tokenizer.json"))
    return path


@pytest.fixture(scope="module")
def of_file(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    return token_counter(tokenizer(tmp_path_factory.mktemp("hf") / "tiny"))


def test_counts_of_a_file(of_file: Tokens) -> None:
    counts = of_file.counts(TEXTS)
    assert of_file.exact and of_file.name == "tiny"
    assert counts[0] == 0 and counts[5] > 100, "neither cut nor filled up"
    assert of_file.count("a<|im_end|>b") == 3
    assert of_file.counts(["import os\n"] * 2500) == [counts[1]] * 2500


@given(st.text(max_size=60))
def test_pieces_are_the_text(of_file: Tokens, text: str) -> None:
    pieces = of_file.pieces(text)
    assert "".join(pieces) == text.encode("utf-8", "replace").decode()
    assert len(pieces) == of_file.count(text)


def test_the_engine_and_the_file_agree(engine: Engine, of_file: Tokens) -> None:
    told = token_counter("tiny", engine)
    assert told.exact and "engine" in told.note
    assert told.counts(TEXTS) == of_file.counts(TEXTS)
    for text in TEXTS:
        assert "".join(told.pieces(text)) == text
        assert len(told.pieces(text)) == told.count(text)


def test_an_estimate_says_so(tmp_path: Path) -> None:
    guess = token_counter()
    assert not guess.exact and "estimate" in guess.note
    assert guess.counts(["", "a", "abcd", "abcde"]) == [0, 1, 1, 2]
    with pytest.raises(DataError, match="Only a tokenizer knows"):
        guess.pieces("abc")
    assert "no tokenizer of 'llama3'" in token_counter("llama3").note


def test_an_ollama_has_no_such_route() -> None:
    server = ScriptedServer()
    try:
        with Engine(server.url) as ollama:
            server.says(answer(b"404 page not found", "404 Not Found", kind="text/plain"))
            guess = token_counter("llama3", ollama)
            assert not guess.exact and "cannot tell tokens" in guess.note
            assert guess.count("abcdefgh") == 2
            with pytest.raises(InvalidRequest, match=r"cannot tell tokens.*WORKBENCH_ENGINE"):
                ollama.tokenize("llama3", ["x"])
            server.says(answer({"message": {"content": "an answer"}, "done": True}))
            with pytest.raises(InvalidRequest, match="cannot show what a model reads"):
                ollama.render("llama3", [{"role": "user", "content": "Q"}])
            assert server.asked[-1].json()["options"] == {"num_predict": 1}
            server.says(answer({"counts": [1]}))
            with pytest.raises(EngineError, match="did not answer counts for each text"):
                ollama.tokenize("llama3", ["x", "y"], told="counts")
    finally:
        server.close()


def test_bad_places(tmp_path: Path, engine: Engine) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": 1}')
    with pytest.raises(DataError, match="No tokenizer can be read here"):
        token_counter(tmp_path)
    with pytest.raises(DataError, match="No tokenizer can be read here"):
        token_counter(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="No tokenizer can be read here"):
        token_counter(tmp_path / "empty")
    with pytest.raises(EngineError, match="not found"):
        token_counter("absent", engine)

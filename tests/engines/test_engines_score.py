"""Log-likelihoods through the clients, and servers that cannot tell them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from engines.scripted import ScriptedServer, answer

from workbench.engines import AsyncEngine, Engine, code_for
from workbench.errors import EngineError, InvalidRequest, ModelNotFound
from workbench.types import Likelihood

GOOD = {"text": "y", "logprob": -1.5, "tokens": 2, "greedy": False, "token_logprobs": [-1, -0.5]}


def test_likelihoods_in_their_order(live: Engine) -> None:
    texts = [" os", " sys, os", ""]
    found = live.score("tiny", "import", texts)
    assert [one.text for one in found] == texts
    for one in found:
        assert one.tokens == len(one.token_logprobs)
        assert one.logprob == pytest.approx(math.fsum(one.token_logprobs))
    assert found[0].logprob < 0 and found[1].tokens > found[0].tokens > 0
    assert found[2] == Likelihood("", 0.0, 0, True, ())
    # the embedded engine keeps keys and values in 16 bits, so a batch's size shows
    [alone] = live.score("tiny", "import", " os", options={"num_ctx": 512}, keep_alive="10m")
    assert alone.token_logprobs == pytest.approx(found[0].token_logprobs, abs=0.1)


async def test_the_async_client_gives_the_same(live: Engine, live_url: str) -> None:
    async with AsyncEngine(live_url) as engine:
        [one] = await engine.score("tiny", "import", [" os"])
    [other] = live.score("tiny", "import", [" os"])
    assert one.token_logprobs == pytest.approx(other.token_logprobs, abs=0.1)


def test_slots_are_told(live: Engine, server: ScriptedServer) -> None:
    live.load("tiny")
    assert {model.name: model.slots for model in live.running()}["tiny:latest"] == 4
    server.says(answer({"models": [{"name": "x"}]}))
    with Engine(server.url) as other:
        assert other.running()[0].slots is None


def test_what_the_engine_refuses(live: Engine) -> None:
    with pytest.raises(ModelNotFound, match="'absent' not found"):
        live.score("absent", "x", ["y"])
    with pytest.raises(InvalidRequest, match="does not support"):
        live.score("tiny-embed", "x", ["y"])
    with pytest.raises(InvalidRequest, match="exceeds the context length"):
        live.score("tiny", "x", [" word" * 600])
    with pytest.raises(InvalidRequest, match="list of strings"):
        live.score("tiny", "x", [1])  # type: ignore[list-item]
    with pytest.raises(InvalidRequest, match="'temperature' as an option"):
        live.score("tiny", "x", ["y"], temperature=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("status", ["404 Not Found", "405 Method Not Allowed"])
def test_an_engine_without_it(engine: Engine, server: ScriptedServer, status: str) -> None:
    server.says(answer(b"404 page not found", status, kind="text/plain"))
    with pytest.raises(InvalidRequest, match=r"cannot tell log-likelihoods.*WORKBENCH_ENGINE"):
        engine.score("x", "a", ["b"])
    [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/api/score")
    assert asked.json() == {"model": "x", "prompt": "a", "continuations": ["b"]}


def test_other_errors_stay_what_they_are(engine: Engine, server: ScriptedServer) -> None:
    server.says(answer({"error": "model 'x' not found"}, "404 Not Found"))
    with pytest.raises(ModelNotFound):
        engine.score("x", "a", ["b"])
    server.says(answer({"error": "boom"}, "500 Error"))
    with pytest.raises(EngineError, match="boom"):
        engine.score("x", "a", ["b"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"likelihoods": None},
        {"likelihoods": []},
        {"likelihoods": [GOOD, GOOD]},
        {"likelihoods": ["y"]},
        {"likelihoods": [{**GOOD, "logprob": "many"}]},
        {"likelihoods": [{**GOOD, "token_logprobs": None}]},
        {"likelihoods": [{**GOOD, "token_logprobs": [[]]}]},
        {"likelihoods": {"y": 1}},
    ],
    ids=str,
)
def test_answers_that_are_none(engine: Engine, server: ScriptedServer, body: Any) -> None:
    server.says(answer({"likelihoods": [GOOD]}), answer(body))
    assert engine.score("x", "a", "y") == (Likelihood("y", -1.5, 2, False, (-1.0, -0.5)),)
    with pytest.raises(EngineError, match="a likelihood per text"):
        engine.score("x", "a", "y")


def test_code_that_scores(live: Engine, live_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", live_url)
    names: dict[str, Any] = {}
    exec(code_for("score", "tiny", "import", [" os"], engine=live), names)
    assert names["answer"][0].text == " os"

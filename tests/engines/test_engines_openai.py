"""The OpenAI protocol against scripted answers: addresses, keys, events, tool calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from engines.scripted import Answer, ScriptedServer, answer, chunked

from workbench.engines import OpenAIEngine
from workbench.errors import (
    EngineBusy,
    EngineError,
    InvalidRequest,
    ModelNotFound,
    SettingsError,
    StreamBroken,
)
from workbench.types import Message, ToolCall

ASK = [Message("user", "hi")]


def events(*objects: Any, done: bool = True) -> Answer:
    texts = [f"data: {json.dumps(each)}\n\n" for each in objects]
    texts += ["data: [DONE]\n\n"] if done else []
    return chunked(*(text.encode() for text in texts), kind="text/event-stream")


def piece(reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}


@pytest.fixture
def remote(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> OpenAIEngine:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return OpenAIEngine(server.url, api_key="secret")


def test_a_chat(remote: OpenAIEngine, server: ScriptedServer) -> None:
    said = [piece(role="assistant", content=""), piece(reasoning="hm"), piece(content="Hel")]
    server.says(events(*said, piece(content="lo"), piece("stop"), USAGE))
    reply = remote.chat("m", ASK, options={"num_predict": 9, "temperature": 0}, format="json")
    assert (reply.text, reply.thinking, reply.done_reason) == ("Hello", "hm", "stop")
    assert (reply.metrics.prompt_eval_count, reply.metrics.eval_count) == (5, 2)
    assert 0 < reply.metrics.eval_duration < reply.metrics.total_duration
    asked = server.asked[0]
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == "Bearer secret"
    assert asked.json() == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": "hi"}],
        "response_format": {"type": "json_object"},
        "temperature": 0,
        "max_tokens": 9,
    }


def test_a_key_is_never_shown(remote: OpenAIEngine, server: ScriptedServer) -> None:
    server.says(answer({"error": {"message": "bad key"}}, "401 Unauthorized"))
    with pytest.raises(InvalidRequest, match="Check the API key") as caught:
        remote.models()
    assert "secret" not in str(caught.value) + repr(remote)


@pytest.mark.parametrize("given", [{"api_version": "2024-10-21"}, {"deployment": "prod/1"}])
def test_azure(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, given: Any) -> None:
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", server.url + "/")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "secret")
    server.says(events(piece(content="x"), piece("stop")))
    with OpenAIEngine(**given) as azure:
        assert azure.chat("gpt", ASK, options={"num_predict": 3}).text == "x"
    asked = server.asked[0]
    deployment = "prod%2F1" if "deployment" in given else "gpt"
    path = f"/openai/deployments/{deployment}/chat/completions?api-version=2024-10-21"
    assert asked.path == path
    assert asked.headers["api-key"] == "secret" and "authorization" not in asked.headers
    assert asked.json()["max_completion_tokens"] == 3


def test_azure_needs_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT", raising=False)
    with pytest.raises(SettingsError, match="AZURE_OPENAI_ENDPOINT"):
        OpenAIEngine(deployment="x")


@pytest.mark.parametrize(
    ("url", "base", "path"),
    [
        ("http://host:8000", "http://host:8000", "/v1/x"),
        ("http://host:8000/v1/", "http://host:8000/v1", "/x"),
        ("host/v1/chat/completions", "http://host/v1", "/x"),
        ("https://a.openai.azure.com/openai/", "https://a.openai.azure.com", None),
    ],
)
def test_addresses(url: str, base: str, path: str | None) -> None:
    engine = OpenAIEngine(url)
    assert engine.url == base
    found = engine._inner._path("m", "x")
    assert found == (path or "/openai/deployments/m/x")


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://user:password@host"])
def test_bad_addresses(url: str) -> None:
    with pytest.raises(SettingsError):
        OpenAIEngine(url)


@pytest.mark.parametrize("key", ["sé", "a\nb"])
def test_bad_keys(key: str) -> None:
    with pytest.raises(SettingsError):
        OpenAIEngine("http://127.0.0.1:1", api_key=key)


def test_tool_calls_come_in_pieces(remote: OpenAIEngine, server: ScriptedServer) -> None:
    def call(index: int, **function: str) -> dict[str, Any]:
        return {"index": index, "id": f"c{index}" if "name" in function else None,
                "function": function}  # fmt: skip

    server.says(events(
        piece(tool_calls=[call(0, name="add", arguments='{"a"')]),
        piece(tool_calls=[call(1, name="now", arguments="")]),
        piece(tool_calls=[call(0, arguments=": 1}")]),
        piece("tool_calls"),
    ))  # fmt: skip
    reply = remote.chat("m", ASK, tools=[{"type": "function", "function": {"name": "add"}}])
    assert reply.tool_calls == (ToolCall("add", {"a": 1}, "c0"), ToolCall("now", {}, "c1"))
    assert reply.done_reason == "stop"


def test_tool_calls_with_bad_arguments(remote: OpenAIEngine, server: ScriptedServer) -> None:
    call = {"index": 0, "function": {"name": "add", "arguments": '{"a": '}}
    server.says(events(piece(tool_calls=[call]), piece("tool_calls")))
    with pytest.raises(EngineError, match="'add'"):
        remote.chat("m", ASK)


def test_turns_in_its_words(remote: OpenAIEngine, server: ScriptedServer) -> None:
    server.says(events(piece("stop")))
    remote.chat(
        "m",
        [
            Message("user", "look", images=["iVBORw0K"]),
            Message("assistant", tool_calls=[ToolCall("add", {"a": 1}, "c0")]),
            Message("tool", "2", tool_name="add", tool_call_id="c0"),
        ],
    )
    user, assistant, tool = server.asked[0].json()["messages"]
    assert user["content"][1]["image_url"]["url"] == "data:image/png;base64,iVBORw0K"
    assert assistant["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}
    assert tool == {"role": "tool", "content": "2", "tool_call_id": "c0"}


@pytest.mark.parametrize("done", [True, False])
def test_an_end_is_a_reason_or_done(
    remote: OpenAIEngine, server: ScriptedServer, done: bool
) -> None:
    server.says(events(piece(content="x"), piece(None if done else "stop"), done=done))
    assert remote.chat("m", ASK).text == "x"


def test_no_end_is_an_error(remote: OpenAIEngine, server: ScriptedServer) -> None:
    server.says(events(piece(content="x"), done=False))
    with pytest.raises(StreamBroken):
        remote.chat("m", ASK)


@pytest.mark.parametrize(
    "text",
    [
        b'data: {"error": {"message": "boom"}}\n\n',
        b'error: {"message": "boom", "code": 500}\n\n',
        b'{"error": {"message": "boom"}}',
    ],
)
def test_an_error_event_raises(remote: OpenAIEngine, server: ScriptedServer, text: bytes) -> None:
    server.says(chunked(b"data: " + json.dumps(piece(content="x")).encode() + b"\n\n", text))
    with pytest.raises(EngineError, match="boom"):
        remote.chat("m", ASK)


def test_comments_and_cuts_are_no_matter(remote: OpenAIEngine, server: ScriptedServer) -> None:
    text = b": ping\n\nevent: x\ndata:" + json.dumps(piece(content="é")).encode() + b"\r\n\r\n"
    text += b"data: " + json.dumps(piece("stop")).encode() + b"\n\ndata: [DONE]\n\n"
    server.says(chunked(*(text[i : i + 1] for i in range(len(text)))))
    assert remote.chat("m", ASK).text == "é"


def test_statuses(remote: OpenAIEngine, server: ScriptedServer) -> None:
    server.says(
        answer({"error": {"message": "The model `m` does not exist"}}, "404 Not Found"),
        answer({"error": {"message": "slow down"}}, "429 Too Many Requests"),
    )
    with pytest.raises(ModelNotFound):
        remote.chat("m", ASK)
    with pytest.raises(EngineBusy):
        remote.chat("m", ASK)


def test_vectors_are_ordered_and_of_norm_one(remote: OpenAIEngine, server: ScriptedServer) -> None:
    rows = [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [3, 4]}]
    server.says(answer({"data": rows, "usage": {"prompt_tokens": 4}}))
    found = remote.embed("m", ["a", "b"], dimensions=2)
    assert found.vectors == ((0.6, 0.8), (0, 1)) and found.prompt_eval_count == 4
    with pytest.raises(EngineError, match="2 vectors to 1"):
        remote.embed("m", "a")


@pytest.mark.parametrize(
    "keywords",
    [{"options": {"num_ctx": 9}}, {"raw": True, "system": "x"}, {"template": "x"}, {"nonsense": 1}],
)
def test_what_the_protocol_lacks(
    remote: OpenAIEngine, server: ScriptedServer, keywords: Any
) -> None:
    with pytest.raises(InvalidRequest):
        remote.generate("m", "x", **keywords)
    assert not server.asked


def test_thinking_and_schemas(remote: OpenAIEngine, server: ScriptedServer) -> None:
    server.says(events(piece("stop")))
    for think in (True, False, "low", "max"):
        remote.generate("m", "x", system="s", think=think, format={"type": "object"})
    sent = [each.json() for each in server.asked]
    assert [each["reasoning_effort"] for each in sent] == ["medium", "none", "low", "high"]
    assert sent[0]["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert [turn["role"] for turn in sent[0]["messages"]] == ["system", "user"]

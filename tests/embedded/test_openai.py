"""The official `openai` client, unmodified, against /v1."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from conftest import EngineProcess

ASK: Any = [{"role": "user", "content": "hi"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
        },
    },
}


@pytest.fixture(scope="module")
def client(engine: EngineProcess) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{engine.url}/v1", api_key="any", max_retries=0)


def test_chat_stream_and_whole(client: openai.OpenAI) -> None:
    fields: Any = {"model": "tiny", "messages": ASK, "max_tokens": 6, "seed": 4}
    whole = client.chat.completions.create(**fields)
    chunks = list(
        client.chat.completions.create(
            **fields, stream=True, stream_options={"include_usage": True}
        )
    )
    *parts, finish, usage = chunks
    assert "".join(p.choices[0].delta.content or "" for p in parts) == (
        whole.choices[0].message.content
    )
    assert [p.choices[0].delta.role for p in parts] == ["assistant"] + [None] * (len(parts) - 1)
    assert finish.choices[0].finish_reason == whole.choices[0].finish_reason == "length"
    assert usage.choices == [] and usage.usage is not None and whole.usage is not None
    assert usage.usage.completion_tokens == whole.usage.completion_tokens == 6
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + 6
    assert whole.id.startswith("chatcmpl-") and len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("stream", [True, False])
def test_tool_call_has_a_string_of_arguments(client: openai.OpenAI, stream: bool) -> None:
    reply: Any = client.chat.completions.create(
        model="caller", messages=ASK, tools=[TOOL], temperature=0, stream=stream
    )
    choices = [chunk.choices[0] for chunk in (reply if stream else [reply])]
    messages = [choice.delta if stream else choice.message for choice in choices]
    [call] = [call for message in messages for call in message.tool_calls or ()]
    assert call.function.name == "add"
    assert json.loads(call.function.arguments) == {"a": 1, "b": "Zürich"}
    assert choices[-1].finish_reason == "tool_calls"
    reasoning = "".join(getattr(message, "reasoning", None) or "" for message in messages)
    assert reasoning.strip() == "let me see"


def test_a_whole_round_of_tools(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(
        model="caller", messages=ASK, tools=[TOOL], temperature=0
    )
    message = first.choices[0].message
    assert message.tool_calls
    answer: Any = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "2"}
    turns: Any = [*ASK, message.model_dump(exclude_none=True), answer]
    second = client.chat.completions.create(model="caller", messages=turns, temperature=0)
    assert second.usage and first.usage
    assert second.usage.prompt_tokens > 20


def test_response_format_schema(client: openai.OpenAI) -> None:
    schema = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}
    schema["additionalProperties"] = False
    reply = client.chat.completions.create(
        model="tiny", messages=ASK, seed=2, max_tokens=400,
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
    )  # fmt: skip
    assert json.loads(reply.choices[0].message.content or "")["n"] in {1, 2}


def test_logprobs(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="thinker", messages=ASK, temperature=0, logprobs=True, top_logprobs=2
    )
    assert reply.choices[0].message.content == "Hello there"
    plain = client.chat.completions.create(
        model="tiny", messages=ASK, seed=1, max_tokens=2, logprobs=True
    )
    assert plain.choices[0].logprobs and plain.choices[0].logprobs.content


def test_completions(client: openai.OpenAI) -> None:
    fields: Any = {"model": "thinker", "prompt": "x", "temperature": 0}
    whole = client.completions.create(**fields)
    parts = client.completions.create(**fields, stream=True)
    assert whole.choices[0].text == "Hello there" == "".join(p.choices[0].text for p in parts)
    assert whole.choices[0].finish_reason == "stop"
    stopped = client.completions.create(**fields, stop=" there")
    assert stopped.choices[0].text == "Hello"


def test_embeddings(client: openai.OpenAI) -> None:
    floats = client.embeddings.create(model="embed", input=["a", "b"], encoding_format="float")
    packed = client.embeddings.create(model="embed", input=["a", "b"])  # base64 by default
    assert [item.index for item in floats.data] == [0, 1]
    for one, other in zip(floats.data, packed.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
        assert sum(x * x for x in one.embedding) == pytest.approx(1)
    assert (
        len(client.embeddings.create(model="embed", input="a", dimensions=8).data[0].embedding) == 8
    )


def test_models(client: openai.OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert {"tiny:latest", "embed:latest"} <= names
    assert client.models.retrieve("tiny").owned_by == "library"


@pytest.mark.parametrize(
    ("fields", "status", "kind"),
    [
        ({"model": "absent", "messages": ASK}, 404, "not_found_error"),
        ({"model": "tiny", "messages": []}, 400, "invalid_request_error"),
        ({"model": "tiny", "messages": "hi"}, 400, "invalid_request_error"),
        ({"model": "tiny", "messages": ASK, "temperature": "hot"}, 400, "invalid_request_error"),
        ({"model": "embed", "messages": ASK}, 400, "invalid_request_error"),
        ({"model": "tiny", "messages": ASK, "tools": [TOOL]}, 400, "invalid_request_error"),
        ({"messages": ASK}, 400, "invalid_request_error"),
    ],
)
def test_errors_have_openais_shape(
    engine: EngineProcess, fields: dict[str, Any], status: int, kind: str
) -> None:
    answer = engine.post("/v1/chat/completions", **fields)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == kind and error["message"]

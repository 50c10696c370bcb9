"""chat: templates, tools, thinking, and what is dropped when it grows too long."""

from __future__ import annotations

from typing import Any

import ollama
import pytest
from conftest import EngineProcess

EXACT = {"temperature": 0}
ASK = [{"role": "user", "content": "1 + 1?"}]


def add(a: int, b: str) -> str:
    """Add things.

    Args:
        a: a number
        b: a place
    """
    return f"{a}{b}"


def test_stream_and_whole(engine: EngineProcess) -> None:
    options = {"num_predict": 6, "seed": 1}
    whole = engine.ollama.chat("tiny", ASK, options=options)
    chunks = list(engine.ollama.chat("tiny", ASK, options=options, stream=True))
    assert "".join(chunk.message.content or "" for chunk in chunks) == whole.message.content
    assert whole.message.role == "assistant" and whole.eval_count == 6
    assert chunks[-1].done and chunks[-1].done_reason == whole.done_reason == "length"


@pytest.mark.parametrize("stream", [True, False])
def test_tool_call_after_thinking(engine: EngineProcess, stream: bool) -> None:
    reply: Any = engine.ollama.chat("caller", ASK, tools=[add], options=EXACT, stream=stream)
    messages = [chunk.message for chunk in (reply if stream else [reply])]
    calls = [call for message in messages for call in message.tool_calls or ()]
    assert [(c.function.name, dict(c.function.arguments)) for c in calls] == [
        ("add", {"a": 1, "b": "Zürich"})
    ]
    assert "".join(message.thinking or "" for message in messages).strip() == "let me see"
    assert "".join(message.content or "" for message in messages) == ""


def test_tools_and_their_answers_reach_the_prompt(engine: EngineProcess) -> None:
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    call = {"function": {"name": "add", "arguments": {"a": 1}}}
    turns = [
        *ASK,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_name": "add", "content": "2"},
    ]
    answer = engine.post(
        "/api/chat", model="caller", messages=turns, tools=[tool], _debug_render_only=True
    ).json()
    text = answer["_debug_info"]["rendered_template"]
    assert '"name": "add"' in text and "<tool_response>\n2" in text
    assert '{"name": "add", "arguments": {"a": 1}}' in text


def test_thinking_apart_from_the_answer(engine: EngineProcess) -> None:
    chat = engine.ollama.chat("thinker", ASK, options=EXACT)
    assert (chat.message.thinking or "").strip() == "let me see"
    assert chat.message.content == "Hello there"
    text = engine.ollama.generate("thinker", "hi", options=EXACT, think=True)
    assert (text.thinking or "").strip() == "let me see" and text.response == "Hello there"
    for think, closed in ((True, False), (False, True)):
        answer = engine.post(
            "/api/chat", model="thinker", messages=ASK, think=think, _debug_render_only=True
        ).json()
        rendered = answer["_debug_info"]["rendered_template"]
        assert rendered.endswith("</think>\n\n") is closed


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tools": [add]}, "tiny:latest does not support tools"),
        ({"think": True}, '"tiny" does not support thinking'),
        ({"think": "much"}, "invalid think value"),
    ],
)
def test_what_the_model_cannot_do(engine: EngineProcess, fields: dict, words: str) -> None:
    with pytest.raises(ollama.ResponseError, match=words) as error:
        engine.ollama.chat("tiny", ASK, **fields)
    assert error.value.status_code == 400


def test_images_are_refused_with_a_reason(engine: EngineProcess) -> None:
    with pytest.raises(ollama.ResponseError, match="does not support images") as error:
        engine.ollama.chat("tiny", [{"role": "user", "content": "x", "images": [b"png"]}])
    assert error.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match="does not support images"):
        engine.ollama.generate("tiny", "x", images=[b"png"])


def test_oldest_messages_are_dropped_first(engine: EngineProcess) -> None:
    turns = [{"role": "system", "content": "KEEP"}]
    turns += [{"role": "user", "content": f"message {n} " * 20} for n in range(40)]
    reply = engine.ollama.chat("tiny", [*turns, *ASK], options={"num_predict": 1})
    assert 300 < reply.prompt_eval_count <= 511
    refused = engine.post("/api/chat", model="tiny", messages=turns, truncate=False)
    assert refused.status_code == 400 and "context length" in refused.json()["error"]
    huge = [{"role": "user", "content": "word " * 100_000}]
    cut = engine.ollama.chat("tiny", huge, options={"num_predict": 1})
    assert cut.prompt_eval_count == 511


def test_load_and_unload(engine: EngineProcess) -> None:
    loaded = engine.post("/api/chat", model="tiny", messages=[], keep_alive="1h").json()
    assert loaded["done"] is True and loaded["done_reason"] == "load"
    assert "tiny:latest" in [model.model for model in engine.ollama.ps().models]
    gone = engine.post("/api/generate", model="tiny", keep_alive=0).json()
    assert (gone["done_reason"], gone["response"]) == ("unload", "")
    assert "tiny:latest" not in [model.model for model in engine.ollama.ps().models]

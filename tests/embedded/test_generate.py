"""generate, through the official client where it can say it, else over plain HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import ollama
import pytest
from conftest import EngineProcess
from parrot import write_adapter, write_parrot
from tiny import CHATML

SHORT = {"num_predict": 8, "seed": 7}


def test_stream_and_whole_are_the_same_answer(engine: EngineProcess) -> None:
    whole = engine.ollama.generate("tiny", "def f(", options=SHORT)
    chunks = list(engine.ollama.generate("tiny", "def f(", options=SHORT, stream=True))
    assert "".join(chunk.response for chunk in chunks) == whole.response
    assert [chunk.done for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    last = chunks[-1]
    assert last.done_reason == whole.done_reason == "length"
    assert last.eval_count == whole.eval_count == 8
    assert last.prompt_eval_count == whole.prompt_eval_count
    for field in ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"):
        assert getattr(last, field) > 0
    assert last.total_duration >= last.eval_duration
    assert last.context and len(last.context) == last.prompt_eval_count + 8


def test_seed_reproduces_and_differs(engine: EngineProcess) -> None:
    def text(seed: int) -> str:
        options = {"num_predict": 12, "seed": seed, "temperature": 1.5}
        return str(engine.ollama.generate("tiny", "import os", options=options).response)

    assert text(1) == text(1)
    assert len({text(seed) for seed in range(5)}) > 1


def test_a_prompt_that_was_read_is_taken_where_the_request_says_so(engine: EngineProcess) -> None:
    prompt, wide = "def f(x):\n    return x\n" * 100, {**SHORT, "num_ctx": 4096}

    def read(tries: int, **more: bool) -> int:
        """Nanoseconds in which the prompt was read, at best; after another prompt each time."""
        found = []
        for number in range(tries):
            engine.ollama.generate("endless", f"{number} other words", options=wide | more)
            answer = engine.ollama.generate("endless", prompt, options=wide | more)
            assert answer.prompt_eval_count and answer.prompt_eval_count > 2000
            found.append(answer.prompt_eval_duration or 0)
        return min(found)

    known = read(8, cache_prompt=True)  # a hundredth; nothing makes the reading quicker than it is
    assert known < read(2) / 10 and known < read(2, cache_prompt=False) / 10
    wrong = engine.post(
        "/api/generate", model="tiny", prompt="a", options={**SHORT, "cache_prompt": "always"}
    )
    assert wrong.status_code == 400 and "cache_prompt" in wrong.text


def test_context_goes_on_where_the_last_answer_ended(engine: EngineProcess) -> None:
    first = engine.ollama.generate("tiny", "one", options=SHORT)
    second = engine.ollama.generate("tiny", "two", context=first.context, options=SHORT)
    alone = engine.ollama.generate("tiny", "two", options=SHORT)
    assert first.context is not None and second.context is not None
    assert list(second.context)[: len(first.context)] == list(first.context)
    assert second.prompt_eval_count > alone.prompt_eval_count


def test_raw_sends_the_prompt_as_it_is(engine: EngineProcess) -> None:
    raw = engine.ollama.generate("bytes", "\n", raw=True, options={"temperature": 0})
    assert raw.response == "a ☃ b stop c" and raw.prompt_eval_count == 2
    assert raw.context is None and raw.done_reason == "stop"


def test_characters_of_several_tokens_come_whole(engine: EngineProcess) -> None:
    chunks = list(engine.ollama.generate("bytes", "x", stream=True, options={"temperature": 0}))
    assert [chunk.response for chunk in chunks] == ["a ", "☃", " b", " stop ", "c", ""]
    assert chunks[-1].eval_count == 8  # three bytes, four words, the end


def test_stop_sequence_ends_and_is_left_out(engine: EngineProcess) -> None:
    reply = engine.ollama.generate("bytes", "x", options={"temperature": 0, "stop": [" stop"]})
    assert (reply.response, reply.done_reason) == ("a ☃ b", "stop")


@pytest.mark.parametrize("stream", [True, False])
def test_format_forces_json(engine: EngineProcess, stream: bool) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"enum": ["left", "right"]}},
        "required": ["a"],
        "additionalProperties": False,
    }
    body = {"model": "tiny", "prompt": "x", "format": schema, "stream": stream, "options": {}}
    body["options"] = {"seed": 3, "num_predict": 400, "num_ctx": 512}
    lines = engine.post("/api/generate", **body).text.splitlines()
    value = json.loads("".join(json.loads(line)["response"] for line in lines))
    assert value["a"] in {"left", "right"} and set(value) == {"a"}
    free = engine.ollama.generate("tiny", "x", format="json", options={**SHORT, "num_predict": 1})
    assert free.response.lstrip()[:1] in {"{", ""}


def test_logprobs(engine: EngineProcess) -> None:
    body = {"model": "thinker", "prompt": "\n", "raw": True, "options": {"num_predict": 6}}
    body["options"]["temperature"] = 0
    reply = engine.ollama.generate(**body, logprobs=True, top_logprobs=3)
    assert reply.logprobs is not None
    assert "".join(entry.token for entry in reply.logprobs) == reply.response
    for entry in reply.logprobs:
        assert entry.logprob <= 0 and len(entry.top_logprobs) == 3
        tops = [top.logprob for top in entry.top_logprobs]
        assert tops == sorted(tops, reverse=True) and entry.logprob == tops[0]
    chosen = engine.post("/api/generate", **body, logprobs=True, stream=False).json()["logprobs"]
    assert len(chosen) == 6 and "top_logprobs" not in chosen[0]
    assert bytes(chosen[0]["bytes"]) == chosen[0]["token"].encode() == b"<think>\n"


def test_debug_renders_without_inference(engine: EngineProcess) -> None:
    answer = engine.post(
        "/api/generate", model="tiny", prompt="Q", system="S", _debug_render_only=True
    ).json()
    text = "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n"
    assert answer["_debug_info"]["rendered_template"] == text
    other = engine.post(
        "/api/generate", model="tiny", prompt="Q", template="<{{ .Prompt }}>", system="S",
        _debug_render_only=True,
    ).json()  # fmt: skip
    assert other["_debug_info"]["rendered_template"] == "<Q>"


def test_what_a_model_brings_is_used(engine: EngineProcess, gguf_files: dict[str, Path]) -> None:
    engine.install(
        "dressed", gguf_files["tiny"], system="You are S.",
        parameters={"num_predict": 3, "temperature": 0},  # chance might end it sooner
        messages=[{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}],
    )  # fmt: skip
    render = {"model": "dressed", "_debug_render_only": True}
    text = engine.post("/api/generate", prompt="C", **render).json()["_debug_info"]
    assert [word in text["rendered_template"] for word in ("You are S.", "A", "B", "C")] == [
        True
    ] * 4
    own = [{"role": "system", "content": "mine"}, {"role": "user", "content": "C"}]
    text = engine.post("/api/chat", messages=own, **render).json()["_debug_info"]
    assert "mine" in text["rendered_template"]
    assert engine.ollama.generate("dressed", "x").eval_count == 3
    assert engine.ollama.generate("dressed", "x", options={"num_predict": 5}).eval_count == 5


def test_fill_in_the_middle_needs_a_model_for_it(engine: EngineProcess) -> None:
    with pytest.raises(ollama.ResponseError, match="does not support insert") as error:
        engine.ollama.generate("tiny", "def f(", suffix="return")
    assert error.value.status_code == 400
    engine.ollama.create(
        "filler",
        from_="tiny",
        template="{{ if .Suffix }}<P>{{ .Prompt }}<S>{{ .Suffix }}<M>{{ end }}",
    )
    answer = engine.post(
        "/api/generate", model="filler", prompt="A", suffix="B", _debug_render_only=True
    ).json()
    assert answer["_debug_info"]["rendered_template"] == "<P>A<S>B<M>"


def test_fill_in_the_middle_by_the_models_own_tokens(engine: EngineProcess, tmp_path: Path) -> None:
    file = write_parrot(tmp_path / "gap.gguf", ["the ", "gap"], CHATML, infill=True)
    engine.install("gap", file)
    for stream in (False, True):
        reply = engine.ollama.generate(
            "gap", "before ", suffix=" after", options={"temperature": 0}, stream=stream
        )
        text = "".join(part.response for part in reply) if stream else reply.response
        assert text == "the gap"


def test_adapter_changes_the_answer(
    engine: EngineProcess, gguf_files: dict[str, Path], tmp_path: Path
) -> None:
    adapter = engine.ollama.create_blob(write_adapter(tmp_path / "adapter.gguf"))
    engine.ollama.create("adapted", from_="tiny", adapters={"adapter.gguf": adapter})
    exact = {"temperature": 0, "num_predict": 12}
    with_adapter = engine.ollama.generate("adapted", "x", options=exact)
    without = engine.ollama.generate("tiny", "x", options=exact)
    assert with_adapter.response != without.response
    assert engine.ollama.generate("adapted", "x", options=exact).response == with_adapter.response


@pytest.mark.parametrize("prompt", ["x " * 5_000_000, "x" * 10_000_000], ids=["words", "one"])
def test_ten_megabytes_of_prompt_are_cut(engine: EngineProcess, prompt: str) -> None:
    reply = engine.ollama.generate("tiny", prompt, options={"num_predict": 2})
    assert reply.prompt_eval_count == 511 and reply.eval_count == 2
    for field in ("truncate", "shift"):
        refused = engine.post("/api/generate", model="tiny", prompt=prompt[:9999], **{field: False})
        assert refused.status_code == 400
        assert refused.json() == {"error": "the input length exceeds the context length"}


def test_generation_past_the_context_shifts_or_stops(engine: EngineProcess) -> None:
    body = {"model": "tiny", "prompt": "x", "raw": True, "stream": False, "options": {}}
    body["options"] = {"num_ctx": 64, "num_predict": 100, "seed": 5, "temperature": 2.0}
    shifted = engine.post("/api/generate", **body).json()
    stopped = engine.post("/api/generate", shift=False, **body).json()
    assert shifted["eval_count"] == 100 and shifted["done_reason"] == "length"
    assert stopped["eval_count"] == 62 and stopped["done_reason"] == "length"

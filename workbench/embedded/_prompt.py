"""From a request to the call of a child: the prompt's text, cut to the context, and the body.

The text comes from the model's Go template (Ollama's kind, rendered here) or from the Jinja
template in its GGUF (rendered by llama.cpp). Where tools or thinking are at work, llama.cpp's
chat route is called instead of its plain one, because it parses tool calls and reasoning; a
model with a Go template and no Jinja one then answers in plain text.

What is too long is cut by Ollama's rules: a chat loses its oldest messages, never the system's
nor the last; what is still too long, and any other prompt, loses its middle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.embedded._runner import Runner
from workbench.errors import InvalidRequest
from workbench.library import Installed
from workbench.protocol import OPTIONS, compose, is_go_template

Turn = Mapping[str, Any]  # a message as the protocol writes it
_LONGEST_TOKEN = 128  # characters; a text longer than this per token of context is cut first
EFFORTS = ("low", "medium", "high", "max")
_RENAMED = {"num_predict": "n_predict", "num_keep": "n_keep"}
_RANDOM_SEED = 2**32 - 1  # llama.cpp's word for "draw one"
_TOO_LONG = "the input length exceeds the context length"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for text, checked. Either `messages` or, as it stands, `prompt`."""

    model: Installed
    options: Mapping[str, Any]  # the model's, overruled by the request's
    keep_alive: float | None = None
    messages: tuple[Turn, ...] = ()
    prompt: str = ""
    raw: bool = False
    chat: bool = True  # whether old messages may be dropped
    suffix: str = ""
    context: tuple[int, ...] = ()  # tokens before the prompt
    template: str = ""  # instead of the model's
    tools: tuple[Mapping[str, Any], ...] = ()
    think: bool | str | None = None
    format: Any = None  # None, "json" or a JSON schema
    top_logprobs: int | None = None  # None: no log-probabilities
    truncate: bool = True
    shift: bool = True

    @property
    def go_template(self) -> str:
        """The Go template to use; "" when llama.cpp renders a Jinja one."""
        if self.template:
            return self.template
        if self.model.template:
            return self.model.template if is_go_template(self.model.template) else ""
        return "" if self.has_jinja else "{{ .Prompt }}"

    @property
    def has_jinja(self) -> bool:
        """Whether llama.cpp has a chat template for this model."""
        stored = self.model.template
        return bool(stored and not is_go_template(stored)) or (
            "tokenizer.chat_template" in self.model.header.metadata
        )

    @property
    def parsed(self) -> bool:
        """Whether llama.cpp must look for tool calls and reasoning in the answer."""
        wanted = self.tools or "thinking" in self.model.capabilities
        return bool(self.messages and wanted and self.has_jinja and not self.template)

    @property
    def infill(self) -> bool:
        """Whether llama.cpp fills the gap with the model's own tokens for it."""
        return bool(self.suffix) and "tokenizer.ggml.fim_pre_token_id" in self.model.header.metadata


@dataclass(frozen=True, slots=True)
class Call:
    """What to send to the child. `text` is the prompt, for `context` and for debugging."""

    path: str
    body: dict[str, Any]
    text: str


async def prepare(runner: Runner, ask: Ask) -> Call:
    """The call for `ask`. Raises InvalidRequest when the prompt is too long and must not be cut."""
    body = _sampling(ask, runner.settings.num_ctx)
    if ask.infill:
        gap = {"input_prefix": _shorten(ask.prompt, runner), "input_suffix": ask.suffix}
        return Call("/infill", body | gap, ask.prompt)
    messages, text, tokens = await _fitted(runner, ask)
    limit = runner.settings.num_ctx - 1
    if tokens is not None and not ask.shift:
        body["n_predict"] = min(body["n_predict"], max(1, limit + 1 - len(tokens)))
    if ask.parsed and (tokens is None or len(tokens) <= limit):
        return Call("/v1/chat/completions", body | _chat_body(ask, messages), text)
    if tokens is not None and len(tokens) > limit:
        if not ask.truncate or not ask.shift:
            raise InvalidRequest(_TOO_LONG, 400)
        keep = int(body["n_keep"])
        keep = min(keep if keep >= 0 else limit, limit // 2)
        tokens = tokens[:keep] + tokens[len(tokens) - (limit - keep) :]
    return Call("/completion", body | {"prompt": text if tokens is None else tokens}, text)


async def render(runner: Runner, ask: Ask, messages: Sequence[Turn]) -> str:
    """The prompt's text."""
    if ask.raw or not messages:
        return _shorten(ask.prompt, runner)
    short = [{**turn, "content": _shorten(turn.get("content") or "", runner)} for turn in messages]
    if ask.go_template and not ask.parsed:
        return compose(ask.go_template, short, tools=ask.tools, think=ask.think, suffix=ask.suffix)
    answer = await runner.call("/apply-template", _chat_body(ask, short))
    return str(answer["prompt"])


async def tokenize(runner: Runner, text: str, *, special: bool = True) -> list[int]:
    """The token ids; with `special`, with those that begin (and end) a text."""
    body = {"content": text, "add_special": special, "parse_special": True}
    return list((await runner.call("/tokenize", body))["tokens"])


async def _fitted(runner: Runner, ask: Ask) -> tuple[Sequence[Turn], str, list[int] | None]:
    """Messages, their text, and its tokens; None for those when it surely fits."""
    limit = runner.settings.num_ctx - 1
    messages: Sequence[Turn] = ask.messages
    text = await render(runner, ask, messages)
    if ask.shift and not ask.context and len(text.encode("utf-8", "replace")) + 8 < limit:
        return messages, text, None  # a token is at least a byte
    tokens = await _tokens(runner, ask, text)
    low, high = 0, len(_droppable(messages)) if ask.chat and ask.truncate else 0
    if len(tokens) <= limit or not high:
        return messages, text, tokens
    while low < high:  # the fewest messages that must go
        middle = (low + high) // 2
        kept = _without(messages, middle)
        count = len(await _tokens(runner, ask, await render(runner, ask, kept)))
        low, high = (low, middle) if count <= limit else (middle + 1, high)
    kept = _without(messages, low)
    text = await render(runner, ask, kept)
    return kept, text, await _tokens(runner, ask, text)


async def _tokens(runner: Runner, ask: Ask, text: str) -> list[int]:
    return [*ask.context, *await tokenize(runner, text, special=not ask.context)]


def _droppable(messages: Sequence[Turn]) -> list[int]:
    return [i for i, turn in enumerate(messages[:-1]) if turn.get("role") != "system"]


def _without(messages: Sequence[Turn], count: int) -> list[Turn]:
    gone = set(_droppable(messages)[:count])
    return [turn for i, turn in enumerate(messages) if i not in gone]


def _shorten(text: str, runner: Runner) -> str:
    """`text` without its middle when it is many times the context: tokenizing takes time."""
    half = runner.settings.num_ctx * _LONGEST_TOKEN // 2
    return text if len(text) <= 2 * half else text[:half] + text[-half:]


def _sampling(ask: Ask, num_ctx: int) -> dict[str, Any]:
    """Every sampling value, so that none of llama.cpp's own defaults is used."""
    body: dict[str, Any] = {}
    for name, option in OPTIONS.items():
        if not option.load_time:
            body[_RENAMED.get(name, name)] = ask.options.get(name, option.default)
    body["stop"] = body["stop"] or []
    if body["repeat_last_n"] == -1:
        body["repeat_last_n"] = num_ctx
    if body["n_predict"] <= 0 or body["n_predict"] > 10 * num_ctx:
        body["n_predict"] = 10 * num_ctx
    if body["cache_prompt"] is None:
        # a reused cache changes the size of batches, and with it the last bits of the logits
        body["cache_prompt"] = body["seed"] < 0 or body["temperature"] <= 0
    body["seed"] = body["seed"] % 2**32 if body["seed"] >= 0 else _RANDOM_SEED
    if ask.top_logprobs is not None:
        body["n_probs"] = max(1, ask.top_logprobs)
    if ask.format:
        body["json_schema"] = {"type": "object"} if ask.format == "json" else ask.format
    return body


def _chat_body(ask: Ask, messages: Sequence[Turn]) -> dict[str, Any]:
    """The request in the words of llama.cpp's chat route."""
    body: dict[str, Any] = {"messages": [_openai_turn(turn) for turn in messages]}
    if ask.tools:
        body["tools"] = list(ask.tools)
    if "thinking" in ask.model.capabilities:
        think = ask.think is None or bool(ask.think)
        body["chat_template_kwargs"] = {"enable_thinking": think}
        if ask.think in EFFORTS:
            body["chat_template_kwargs"]["reasoning_effort"] = ask.think
    if ask.top_logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": max(1, ask.top_logprobs)}
    return body


def _openai_turn(turn: Turn) -> dict[str, Any]:
    """A message of the protocol as llama.cpp reads it: arguments are strings there."""
    new: dict[str, Any] = {"role": turn.get("role", ""), "content": turn.get("content") or ""}
    if turn.get("thinking"):
        new["reasoning_content"] = turn["thinking"]
    if turn.get("tool_name"):
        new["name"] = turn["tool_name"]
    if turn.get("tool_call_id"):
        new["tool_call_id"] = turn["tool_call_id"]
    calls = []
    for number, call in enumerate(turn.get("tool_calls") or ()):
        function = call.get("function", {})
        arguments = json.dumps(function.get("arguments") or {})
        called = {"name": function.get("name", ""), "arguments": arguments}
        calls.append({"id": call.get("id") or f"call_{number}", "type": "function"})
        calls[-1]["function"] = called
    if calls:
        new["tool_calls"] = calls
    return new

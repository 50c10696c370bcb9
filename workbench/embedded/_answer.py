"""One answer, whoever asked: a child's events as pieces, then the end with what it cost.

Both protocols' routes are written on `answer`. Pieces come in batches, as many as the child
had ready, so that each batch is one write to the client.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from workbench.embedded._measure import watched
from workbench.embedded._prompt import Ask, Call, prepare, render, tokenize
from workbench.embedded._runner import Event, Runner
from workbench.embedded._scheduler import Scheduler
from workbench.errors import EngineError


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer, usually one token's."""

    text: str = ""
    thinking: str = ""
    tool_calls: tuple[dict[str, Any], ...] = ()  # Ollama's shape
    logprobs: tuple[dict[str, Any], ...] = ()  # Ollama's shape


@dataclass(frozen=True, slots=True)
class End:
    """The end of an answer. Durations are nanoseconds."""

    reason: str  # "stop" or "length"
    total_duration: int
    load_duration: int
    prompt_eval_count: int
    prompt_eval_duration: int
    eval_count: int
    eval_duration: int
    context: tuple[int, ...] = ()  # prompt and answer, when asked for

    def metrics(self) -> dict[str, int]:
        """The protocol's fields; those that are zero are left out."""
        return {name: value for name in _METRICS if (value := getattr(self, name))}


_METRICS = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)
Batch = list[Piece | End]


async def answer(
    scheduler: Scheduler, ask: Ask, *, context: bool = False
) -> AsyncGenerator[Batch, None]:
    """The answer to `ask`; the last item of the last batch is its `End`.

    Raises before the first batch what a status can tell, later EngineError. `context` asks
    for the tokens of prompt and answer.
    """
    started = time.perf_counter_ns()
    async with scheduler.use(ask.model, ask.options, ask.keep_alive) as runner:
        loaded = time.perf_counter_ns()
        call = await prepare(runner, ask)
        reader = _Reader(ask, call)
        with watched(runner, plain=not ask.format and ask.top_logprobs is None) as seen:
            async with aclosing(runner.stream(call.path, call.body)) as stream:
                async for events in stream:
                    batch: Batch = [piece for event in events if (piece := reader.read(event))]
                    if batch:
                        yield batch
            seen.timings = reader.timings
        if not reader.reason:
            raise EngineError("the model's process ended the answer early", 500)
        reader.check_format()
        tokens = await reader.context(runner) if context else ()
        calls = reader.tool_calls()
        total = time.perf_counter_ns() - started
        end = End(reader.reason, total, loaded - started, *reader.costs(), context=tokens)
        yield [Piece(tool_calls=calls), end] if calls else [end]


async def rendered(scheduler: Scheduler, ask: Ask) -> str:
    """The prompt's text, without an answer to it."""
    async with scheduler.use(ask.model, ask.options, ask.keep_alive) as runner:
        return await render(runner, ask, ask.messages)


class _Reader:
    """Reads the events of one stream, of llama.cpp's plain route or of its chat route."""

    def __init__(self, ask: Ask, call: Call) -> None:
        self._ask, self._call = ask, call
        self._chat = call.path == "/v1/chat/completions"
        self.timings: dict[str, Any] = {}
        self._calls: dict[int, dict[str, str]] = {}
        self._text: list[str] = []
        self._tokens: list[int] = []
        self.reason = ""

    def read(self, event: Event) -> Piece | None:
        """The piece in the event; None when it has nothing to show."""
        if "timings" in event:
            self.timings = event["timings"]
        return self._read_chat(event) if self._chat else self._read_plain(event)

    def _read_plain(self, event: Event) -> Piece | None:
        if event["stop"]:
            self.reason = "length" if event["stop_type"] == "limit" else "stop"
        text = event["content"]
        self._tokens += event["tokens"]
        logprobs = self._logprobs(event.get("completion_probabilities"))
        if not text and not logprobs:
            return None
        self._text.append(text)
        return Piece(text, logprobs=logprobs)

    def _read_chat(self, event: Event) -> Piece | None:
        if not event.get("choices"):
            return None
        choice = event["choices"][0]
        if choice.get("finish_reason"):
            self.reason = "length" if choice["finish_reason"] == "length" else "stop"
        delta = choice.get("delta") or {}
        for part in delta.get("tool_calls") or ():
            known = self._calls.setdefault(part["index"], {"name": "", "arguments": "", "id": ""})
            function = part.get("function") or {}
            known["id"] = part.get("id") or known["id"]
            known["name"] += function.get("name") or ""
            known["arguments"] += function.get("arguments") or ""
        text, thinking = delta.get("content") or "", delta.get("reasoning_content") or ""
        logprobs = self._logprobs((choice.get("logprobs") or {}).get("content"))
        if not text and not thinking and not logprobs:
            return None
        self._text.append(text)
        return Piece(text, thinking, logprobs=logprobs)

    def _logprobs(self, entries: list[dict[str, Any]] | None) -> tuple[dict[str, Any], ...]:
        if not entries or self._ask.top_logprobs is None:
            return ()
        many = self._ask.top_logprobs
        found = []
        for entry in entries:
            known = _logprob(entry)
            if many:
                known["top_logprobs"] = [_logprob(one) for one in entry["top_logprobs"][:many]]
            found.append(known)
        return tuple(found)

    def tool_calls(self) -> tuple[dict[str, Any], ...]:
        """The calls that the answer asks for. Arguments that are no object stay as text."""
        found = []
        for index, call in sorted(self._calls.items()):
            try:
                arguments = json.loads(call["arguments"] or "{}")
            except ValueError:
                arguments = None  # cut by the limit of tokens
            if not isinstance(arguments, dict):
                arguments = {"arguments": call["arguments"]}
            function = {"index": index, "name": call["name"], "arguments": arguments}
            found.append({"id": call["id"] or f"call_{index}", "function": function})
        return tuple(found)

    def check_format(self) -> None:
        """llama.cpp generates freely when it cannot compile a schema: say so."""
        if not self._ask.format or self.reason != "stop" or self._ask.options.get("stop"):
            return
        try:
            json.loads("".join(self._text))
        except ValueError:
            raise EngineError(
                "llama.cpp could not enforce this format; use a simpler JSON Schema", 500
            ) from None

    def costs(self) -> tuple[int, int, int, int]:
        """Prompt tokens and nanoseconds, answer's tokens and nanoseconds."""
        known = self.timings
        return (
            int(known.get("cache_n", 0)) + int(known.get("prompt_n", 0)),
            int(float(known.get("prompt_ms", 0)) * 1e6),
            int(known.get("predicted_n", 0)),
            int(float(known.get("predicted_ms", 0)) * 1e6),
        )

    async def context(self, runner: Runner) -> tuple[int, ...]:
        """The tokens of what came before, the prompt and the answer.

        llama.cpp does not name the tokens of characters that it held back until they were
        whole; the answer's text is then tokenized again.
        """
        before, prompt = self._ask.context, self._call.text
        begun = [*before, *await tokenize(runner, prompt, special=not before)]
        if len(self._tokens) == self.timings.get("predicted_n"):
            return (*begun, *self._tokens)
        return (*begun, *await tokenize(runner, "".join(self._text), special=False))


def _logprob(entry: dict[str, Any]) -> dict[str, Any]:
    """One token's entry. A probability of zero has no logarithm in JSON: -1000 stands for it."""
    value = entry.get("logprob")
    data = entry.get("bytes") or []
    return {"token": entry["token"], "logprob": -1000.0 if value is None else value, "bytes": data}

"""Server-sent events of the OpenAI protocol, and the assembly of an answer from them.

An answer is complete when a finish reason or [DONE] came: some servers send only one of them.
Most servers report no durations; then `Metrics` has those of this side: prompt_eval_duration
is the time to the first token, eval_duration that from the first to the last.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from time import perf_counter_ns
from typing import Any

from workbench.engines._errors import engine_error
from workbench.engines._lines import drain, parse_object
from workbench.engines._parse import rows, table, text, tool_call, whole
from workbench.types import Chunk, Json, Metrics

DONE: dict[str, Any] = {}  # what [DONE] reads as


async def events(
    lines: AsyncGenerator[bytes, None], url: str
) -> AsyncGenerator[dict[str, Any], None]:
    """The events' objects; DONE last when the server says so. An error event raises."""
    async for line in lines:
        field, _, value = line.partition(b":")
        value = value.strip()
        if field == b"data" and value == b"[DONE]":
            await drain(lines)
            yield DONE
            return
        if field == b"data" and value:
            yield parse_object(value, url)
        elif field == b"error":  # llama-server's way
            raise engine_error(parse_object(value, url))
        elif line.startswith(b"{"):  # an error as a bare line, or no event stream at all
            parse_object(line, url)


class Assembly:
    """Gathers what comes in pieces: tool calls, usage, the finish reason, times."""

    def __init__(self) -> None:
        self.complete = False
        self._calls: dict[int, dict[str, Any]] = {}
        self._reason = ""
        self._usage: dict[str, Any] = {}
        self._timings: dict[str, Any] = {}  # llama-server's own measurements
        self._raw: Json = {}
        self._began = perf_counter_ns()
        self._first = self._latest = 0

    def add(self, event: dict[str, Any]) -> Chunk | None:
        """The chunk of an event; None when it has nothing to show."""
        if event is DONE:
            self.complete = True
            return None
        self._usage = table(event.get("usage")) or self._usage
        self._timings = table(event.get("timings")) or self._timings
        choice = next(iter(rows(event.get("choices"))), None)
        if choice is None:
            return None
        self._raw = event
        self._reason = text(choice.get("finish_reason")) or self._reason
        self.complete = self.complete or bool(self._reason)
        delta = table(choice.get("delta"))
        for row in rows(delta.get("tool_calls")):
            self._add_call(row)
        chunk = Chunk(
            text=text(delta.get("content")) or text(choice.get("text")),
            thinking=text(delta.get("reasoning")) or text(delta.get("reasoning_content")),
            logprobs=tuple(rows(table(choice.get("logprobs")).get("content"))),
            raw=event,
        )
        if not (chunk.text or chunk.thinking or chunk.logprobs):
            return None
        self._latest = perf_counter_ns()
        self._first = self._first or self._latest
        return chunk

    def _add_call(self, row: dict[str, Any]) -> None:
        key = whole(row.get("index"))
        key = len(self._calls) if key is None else key
        call = self._calls.setdefault(key, {"function": {"name": "", "arguments": ""}})
        call["id"] = row.get("id") or call.get("id")
        function = table(row.get("function"))
        for field in ("name", "arguments"):
            call["function"][field] += text(function.get(field))

    def last(self) -> Chunk:
        """The chunk that ends the answer, with its tool calls and metrics."""
        reason = "stop" if self._reason in {"", "tool_calls"} else self._reason
        calls = tuple(tool_call(call) for _, call in sorted(self._calls.items()))
        metrics = self._metrics()
        return Chunk(
            tool_calls=calls, done=True, done_reason=reason, metrics=metrics, raw=self._raw
        )

    def _metrics(self) -> Metrics:
        usage, timings = self._usage, self._timings
        prompt_ms, predicted_ms = map(whole, map(timings.get, ("prompt_ms", "predicted_ms")))
        waited = max(0, self._first - self._began)
        return Metrics(
            total_duration=perf_counter_ns() - self._began,
            prompt_eval_count=whole(usage.get("prompt_tokens")) or 0,
            prompt_eval_duration=prompt_ms * 1_000_000 if prompt_ms else waited,
            eval_count=whole(usage.get("completion_tokens")) or 0,
            eval_duration=predicted_ms * 1_000_000 if predicted_ms else self._latest - self._first,
        )

"""OpenAI's routes over the same answers: chat completions, completions, embeddings, models.

As in Ollama, unset temperature and top_p are 1.0 here, not the model's. `n`, `tool_choice`,
`logit_bias` and `user` are ignored.
"""

from __future__ import annotations

import base64
import itertools
import json
import struct
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workbench.embedded import _asks as asks
from workbench.embedded._answer import Batch, End, Piece, answer
from workbench.embedded._embed import embed
from workbench.embedded._guard import openai_error, read_json
from workbench.embedded._prompt import Ask
from workbench.embedded._scheduler import Scheduler
from workbench.embedded._send import BatchStream
from workbench.embedded._stream import ndjson
from workbench.errors import InvalidRequest
from workbench.library import Installed, Library

Kind = Literal["chat", "text"]
_NUMBER = (int, float)
_FIELDS: dict[str, tuple[type, ...]] = {
    "model": (str,), "stream": (bool,), "stream_options": (dict,), "max_tokens": (int,),
    "max_completion_tokens": (int,), "temperature": _NUMBER, "top_p": _NUMBER, "seed": (int,),
    "stop": (str, list), "frequency_penalty": _NUMBER, "presence_penalty": _NUMBER,
    "messages": (list,), "tools": (list,), "response_format": (dict,), "prompt": (str,),
    "suffix": (str,), "reasoning_effort": (str,), "top_logprobs": (int,),
    "encoding_format": (str,), "dimensions": (int,),
}  # fmt: skip
_SAME = ("temperature", "top_p", "seed", "stop", "frequency_penalty", "presence_penalty")
_EFFORTS: dict[str, bool | str] = {"none": False, "minimal": "low", "xhigh": "max"}
_numbers = itertools.count(1)


def routes(library: Library, scheduler: Scheduler) -> list[Route]:
    """The routes of this file."""
    openai = _OpenAI(library, scheduler)
    return [
        Route("/v1/chat/completions", openai.chat, methods=["POST"]),
        Route("/v1/completions", openai.complete, methods=["POST"]),
        Route("/v1/embeddings", openai.embeddings, methods=["POST"]),
        Route("/v1/models", openai.models, methods=["GET"]),
        Route("/v1/models/{name:path}", openai.model, methods=["GET"]),
    ]


class _OpenAI:
    def __init__(self, library: Library, scheduler: Scheduler) -> None:
        self._library, self._scheduler = library, scheduler

    async def chat(self, request: Request) -> Response:
        body = await read_json(request, _FIELDS)
        if not body.get("messages"):
            raise InvalidRequest("[] is too short - 'messages'", 400)
        ask = self._ask(body, "chat")
        turns = asks.check_messages([_turn(item) for item in body["messages"]], body["model"])
        tools = asks.check_tools(body.get("tools", []), ask.model)
        return self._respond(request, body, asks.with_messages(ask, turns, tools), "chat")

    async def complete(self, request: Request) -> Response:
        body = await read_json(request, _FIELDS)
        ask = self._ask(body, "generate")
        prompt, suffix = body.get("prompt", ""), body.get("suffix", "")
        return self._respond(request, body, asks.with_prompt(ask, prompt, suffix=suffix), "text")

    async def embeddings(self, request: Request) -> Response:
        body = await read_json(request, _FIELDS)
        model = self._library.find(body.get("model", ""))
        texts = asks.check_inputs(body.get("input"))
        if not texts:
            raise InvalidRequest("input must be a text or a list of texts", 400)
        result = await embed(
            self._scheduler, asks.make_ask(model, {"model": body["model"]}), texts,
            dimensions=body.get("dimensions", 0),
        )  # fmt: skip
        encode = _base64 if body.get("encoding_format") == "base64" else list
        data = [
            {"object": "embedding", "index": index, "embedding": encode(vector)}
            for index, vector in enumerate(result["embeddings"])
        ]
        tokens = result["prompt_eval_count"]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return JSONResponse(
            {"object": "list", "data": data, "model": body["model"], "usage": usage}
        )

    async def models(self, request: Request) -> Response:
        data = [_model(model) for model in self._library.installed()]
        return JSONResponse({"object": "list", "data": data})

    async def model(self, request: Request) -> Response:
        return JSONResponse(_model(self._library.find(request.path_params["name"])))

    def _ask(self, body: Mapping[str, Any], kind: str) -> Ask:
        """OpenAI's fields as Ollama's, checked like those."""
        model = self._library.find(body.get("model", ""))
        asks.require(model, body["model"], kind)
        options = {"temperature": 1.0, "top_p": 1.0}
        options |= {name: body[name] for name in _SAME if name in body}
        limit = body.get("max_completion_tokens", body.get("max_tokens"))
        if limit is not None:
            options["num_predict"] = limit
        effort = body.get("reasoning_effort")
        fields = {
            "model": body["model"],
            "options": options,
            "think": None if effort is None else _EFFORTS.get(effort, effort),
            "logprobs": bool(body.get("logprobs")),
            "top_logprobs": body.get("top_logprobs", 0),
            "format": _format(body.get("response_format", {})),
        }
        return asks.make_ask(model, fields)

    def _respond(self, request: Request, body: Mapping[str, Any], ask: Ask, kind: Kind) -> Response:
        words = _Words(body, kind)
        batches = answer(self._scheduler, ask)
        if body.get("stream", False):
            return BatchStream(batches, words.lines, words.error, "text/event-stream")

        async def whole() -> AsyncGenerator[dict[str, Any], None]:
            async with aclosing(batches):
                yield words.whole([item async for batch in batches for item in batch])

        return ndjson(request, whole(), False)


class _Words:
    """How one answer is written in OpenAI's protocol."""

    def __init__(self, body: Mapping[str, Any], kind: Kind) -> None:
        chat = kind == "chat"
        self._chat = chat
        self._usage = bool(body.get("stream_options", {}).get("include_usage"))
        self._object = "chat.completion" if chat else "text_completion"
        self._head = {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-{next(_numbers)}",
            "created": int(time.time()),
            "model": body["model"],
            "system_fingerprint": "fp_ollama",
        }
        self._role_sent = self._called = False

    def lines(self, batch: Batch) -> bytes:
        """One event per piece; at the end the reason, the usage if wanted, and [DONE]."""
        events = []
        for item in batch:
            if isinstance(item, Piece):
                events.append(self._chunk(item))
                continue
            events.append(self._chunk(Piece(), self._reason(item)))
            if self._usage:
                events.append(self._event([], usage=_usage(item)))
        done = "data: [DONE]\n\n" if isinstance(batch[-1], End) else ""
        text = "".join(
            f"data: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n\n"
            for event in events
        )
        return (text + done).encode("utf-8", "replace")

    def error(self, message: str, status: int) -> bytes:
        """The last event of a stream that broke."""
        return f"data: {json.dumps({'error': openai_error(message, status)})}\n\n".encode()

    def whole(self, items: Batch) -> dict[str, Any]:
        """All items as one object."""
        pieces = [item for item in items if isinstance(item, Piece)]
        end = next(item for item in items if isinstance(item, End))
        one = Piece(
            "".join(piece.text for piece in pieces),
            "".join(piece.thinking for piece in pieces),
            tuple(call for piece in pieces for call in piece.tool_calls),
            tuple(entry for piece in pieces for entry in piece.logprobs),
        )
        choice = self._choice(one, "message")
        choice["finish_reason"] = self._reason(end)
        return {**self._head, "object": self._object, "choices": [choice], "usage": _usage(end)}

    def _chunk(self, piece: Piece, reason: str | None = None) -> dict[str, Any]:
        choice = self._choice(piece, "delta")
        choice["finish_reason"] = reason
        self._role_sent = True
        return self._event([choice])

    def _event(self, choices: list[Any], **extra: Any) -> dict[str, Any]:
        name = f"{self._object}.chunk" if self._chat else self._object
        return {**self._head, "object": name, "choices": choices, **extra}

    def _choice(self, piece: Piece, field: str) -> dict[str, Any]:
        logprobs = {"content": list(piece.logprobs)} if piece.logprobs else None
        if not self._chat:
            return {"index": 0, "text": piece.text, "logprobs": None}
        message: dict[str, Any] = {} if self._role_sent else {"role": "assistant"}
        message["content"] = piece.text
        if piece.thinking:
            message["reasoning"] = piece.thinking
        if piece.tool_calls:
            self._called = True
            message["tool_calls"] = [_call(call) for call in piece.tool_calls]
        choice = {"index": 0, field: message}
        return choice | ({"logprobs": _with_tops(logprobs)} if logprobs else {})

    def _reason(self, end: End) -> str:
        return "tool_calls" if self._called and end.reason == "stop" else end.reason


def _with_tops(logprobs: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's clients require `top_logprobs`, be it empty."""
    return {"content": [{"top_logprobs": [], **entry} for entry in logprobs["content"]]}


def _usage(end: End) -> dict[str, int]:
    total = end.prompt_eval_count + end.eval_count
    return {
        "prompt_tokens": end.prompt_eval_count,
        "completion_tokens": end.eval_count,
        "total_tokens": total,
    }


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments are a string here."""
    function = call["function"]
    called = {"name": function["name"], "arguments": json.dumps(function["arguments"])}
    return {"id": call["id"], "index": function["index"], "type": "function", "function": called}


def _turn(item: Any) -> Any:
    """A message of OpenAI's as Ollama's: parts of content joined, arguments as objects."""
    if not isinstance(item, dict):
        return item
    turn = dict(item)
    if isinstance(item.get("content"), list):
        parts = [part for part in item["content"] if isinstance(part, dict)]
        turn["content"] = "".join(str(part.get("text") or "") for part in parts)
        turn["images"] = [part for part in parts if part.get("type") == "image_url"]
    if item.get("reasoning"):
        turn["thinking"] = item["reasoning"]
    if isinstance(item.get("tool_calls"), list):
        turn["tool_calls"] = [_parsed_call(call) for call in item["tool_calls"]]
    return turn


def _parsed_call(call: Any) -> Any:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        return call
    try:
        arguments = json.loads(function["arguments"] or "{}")
    except (ValueError, RecursionError):
        raise InvalidRequest("a tool call's arguments are not JSON", 400) from None
    return {**call, "function": {**function, "arguments": arguments}}


def _format(response_format: Mapping[str, Any]) -> Any:
    kind = response_format.get("type")
    if kind == "json_object":
        return "json"
    if kind != "json_schema":
        return None
    schema = response_format.get("json_schema")
    if not isinstance(schema, dict) or not isinstance(schema.get("schema"), dict):
        raise InvalidRequest("response_format needs json_schema.schema", 400)
    return schema["schema"]


def _model(model: Installed) -> dict[str, Any]:
    return {
        "id": model.name.display(),
        "object": "model",
        "created": int(model.modified_at.timestamp()),
        "owned_by": model.name.namespace,
    }


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()

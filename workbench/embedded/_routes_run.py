"""Ollama's routes that run models: generate, chat, embed, embeddings, ps, version.

And ours: score, tokenize.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workbench import __version__
from workbench.embedded import _asks as asks
from workbench.embedded._answer import Batch, End, Piece, answer, rendered
from workbench.embedded._embed import embed
from workbench.embedded._guard import read_json
from workbench.embedded._prompt import Ask
from workbench.embedded._scheduler import Scheduler
from workbench.embedded._score import score
from workbench.embedded._send import BatchStream
from workbench.embedded._stream import ndjson
from workbench.embedded._tokens import tokens
from workbench.errors import InvalidRequest, ModelNotFound
from workbench.library import Library

Kind = Literal["generate", "chat"]
PROTOCOL_VERSION = "0.33.0"  # of Ollama, whose protocol this is; clients read it as semver
_FOREVER = datetime(2318, 1, 1, tzinfo=UTC)
_COMMON: dict[str, tuple[type, ...]] = {
    "model": (str,), "stream": (bool,), "options": (dict,), "keep_alive": (int, float, str),
    "think": (bool, str), "truncate": (bool,), "shift": (bool,), "logprobs": (bool,),
    "top_logprobs": (int,), "_debug_render_only": (bool,),
}  # fmt: skip
_GENERATE = _COMMON | {
    "prompt": (str,), "suffix": (str,), "system": (str,), "template": (str,), "context": (list,),
    "raw": (bool,), "images": (list,),
}  # fmt: skip
_CHAT = _COMMON | {"messages": (list,), "tools": (list,)}
_EMBED = {k: _COMMON[k] for k in ("model", "options", "keep_alive", "truncate")}
_EMBED |= {"prompt": (str,), "dimensions": (int,)}
_SCORE = _COMMON | {"prompt": (str,), "continuations": (list,)}
_TOKENIZE = _COMMON | {"texts": (list,), "ids": (bool,), "pieces": (bool,)}


def routes(library: Library, scheduler: Scheduler) -> list[Route]:
    """The routes of this file."""
    run = _Run(library, scheduler)
    return [
        Route("/api/generate", run.generate, methods=["POST"]),
        Route("/api/chat", run.chat, methods=["POST"]),
        Route("/api/embed", run.embed, methods=["POST"]),
        Route("/api/embeddings", run.embeddings, methods=["POST"]),
        Route("/api/score", run.score, methods=["POST"]),
        Route("/api/tokenize", run.tokenize, methods=["POST"]),
        Route("/api/ps", run.ps, methods=["GET"]),
        Route("/api/version", version, methods=["GET"]),
    ]


async def version(request: Request) -> Response:
    """What speaks here."""
    return JSONResponse(
        {
            "version": PROTOCOL_VERSION,
            "engine": "workbench-embedded",
            "engine_version": __version__,
        }
    )


class _Run:
    def __init__(self, library: Library, scheduler: Scheduler) -> None:
        self._library, self._scheduler = library, scheduler

    async def generate(self, request: Request) -> Response:
        body = await read_json(request, _GENERATE)
        raw = body.get("raw", False)
        if raw and any(body.get(name) for name in ("template", "system", "context")):
            raise InvalidRequest(
                "raw mode does not support template, system, or context; leave them out", 400
            )
        if not body.get("model"):
            raise ModelNotFound("model '' not found", 404)
        prompt = body.get("prompt", "")
        ask = self._ask(body, "generate")
        if not prompt:
            return await self._load(body, ask, "generate")
        asks.refuse_images(body.get("images"), body["model"])
        context = body.get("context", [])
        if not all(type(token) is int and token >= 0 for token in context):
            raise InvalidRequest("context must be a list of token ids", 400)
        texts = {name: body.get(name, "") for name in ("system", "template", "suffix")}
        ask = asks.with_prompt(ask, prompt, raw=raw, context=tuple(context), **texts)
        return await self._respond(request, body, ask, "generate")

    async def chat(self, request: Request) -> Response:
        body = await read_json(request, _CHAT)
        if not body.get("model"):
            raise InvalidRequest("model is required", 400)
        messages = asks.check_messages(body.get("messages", []), body["model"])
        ask = self._ask(body, "chat")
        if not messages:
            return await self._load(body, ask, "chat")
        ask = asks.with_messages(ask, messages, asks.check_tools(body.get("tools", []), ask.model))
        return await self._respond(request, body, ask, "chat")

    async def embed(self, request: Request) -> Response:
        body = await read_json(request, _EMBED)
        if not body.get("model"):
            raise ModelNotFound("model '' not found", 404)
        ask = self._ask(body, "embed")
        texts = asks.check_inputs(body.get("input"))
        result = await embed(
            self._scheduler, ask, texts,
            truncate=body.get("truncate", True), dimensions=body.get("dimensions", 0),
        )  # fmt: skip
        return JSONResponse({"model": body["model"], **result})

    async def embeddings(self, request: Request) -> Response:
        body = await read_json(request, _EMBED)
        if not body.get("model"):
            raise InvalidRequest("model is required", 400)
        ask = self._ask(body, "embed")
        texts = [body["prompt"]] if body.get("prompt") else []
        result = await embed(self._scheduler, ask, texts)
        return JSONResponse({"embedding": next(iter(result["embeddings"]), [])})

    async def score(self, request: Request) -> Response:
        """Ours: the log-likelihoods of given continuations of a prompt."""
        body = await read_json(request, _SCORE)
        texts = asks.check_texts(body, "continuations")
        ask = self._ask(body, "score")
        asks.require(ask.model, body["model"], "log-likelihoods")
        ask = replace(ask, prompt=body.get("prompt", ""))

        async def whole() -> AsyncGenerator[dict[str, Any], None]:
            yield {"model": body["model"], **await score(self._scheduler, ask, texts)}

        return ndjson(request, whole(), False)  # which ends the work when the client goes away

    async def tokenize(self, request: Request) -> Response:
        """Ours: texts as the model's own tokens."""
        body = await read_json(request, _TOKENIZE)
        texts = asks.check_texts(body, "texts")
        told = {name for name in ("ids", "pieces") if body.get(name)}
        found = await tokens(self._scheduler, self._ask(body, "tokenize"), texts, told)
        return JSONResponse({"model": body["model"], **found})

    async def ps(self, request: Request) -> Response:
        models = []
        for loaded in self._scheduler.running():
            model, end = loaded.model, loaded.expires_at
            moment = datetime.fromtimestamp(end, UTC) if end < _FOREVER.timestamp() else _FOREVER
            row = {
                "name": model.name.display(),
                "model": model.name.display(),
                "size": loaded.runner.resident_bytes,
                "size_vram": 0,
                "digest": model.digest,
                "details": model.details,
                "expires_at": moment.astimezone().isoformat(),
                "context_length": loaded.runner.settings.num_ctx,
                "slots": loaded.runner.settings.parallel,
                "kv_cache_type": loaded.runner.settings.cache_type,
            }
            models.append(row)
        return JSONResponse({"models": models})

    def _ask(self, body: Mapping[str, Any], kind: str) -> Ask:
        """The fields that all requests share, checked."""
        name = body["model"]
        try:
            model = self._library.find(name)
        except ModelNotFound:
            if kind != "embed":
                raise
            raise ModelNotFound(f'model "{name}" not found, try pulling it first', 404) from None
        return asks.make_ask(model, body)

    async def _load(self, body: Mapping[str, Any], ask: Ask, kind: Kind) -> Response:
        """The answer to a request without a prompt."""
        reason = "unload" if ask.keep_alive == 0 else "load"
        if reason == "unload":
            await self._scheduler.unload(ask.model.model_path)
        else:
            asks.require(ask.model, body["model"], kind)
            await self._scheduler.load(ask.model, ask.options, ask.keep_alive)
        words = _Words(body["model"], kind)
        return JSONResponse(words.whole([]) | {"done": True, "done_reason": reason})

    async def _respond(
        self, request: Request, body: Mapping[str, Any], ask: Ask, kind: Kind
    ) -> Response:
        asks.require(ask.model, body["model"], kind)
        words = _Words(body["model"], kind)
        if body.get("_debug_render_only"):
            info = {"rendered_template": await rendered(self._scheduler, ask)}
            return JSONResponse(words.whole([]) | {"_debug_info": info})
        batches = answer(self._scheduler, ask, context=kind == "generate" and not ask.raw)
        if body.get("stream", True):
            return BatchStream(batches, words.lines, words.error, "application/x-ndjson")

        async def whole() -> AsyncGenerator[dict[str, Any], None]:
            async with aclosing(batches):
                yield words.whole([item async for batch in batches for item in batch])

        return ndjson(request, whole(), False)


@dataclass(frozen=True, slots=True)
class _Words:
    """How an answer is written in Ollama's protocol."""

    model: str
    kind: Kind

    def lines(self, batch: Batch) -> bytes:
        """One line per piece. Plain text, which is nearly all, is put together by hand."""
        now = _now()
        chat = self.kind == "chat"
        start = f'{{"model":{json.dumps(self.model)},"created_at":"{now}",'
        start += '"message":{"role":"assistant","content":' if chat else '"response":'
        ending = '},"done":false}\n' if chat else ',"done":false}\n'
        parts = []
        for item in batch:
            if isinstance(item, Piece) and not (item.thinking or item.tool_calls or item.logprobs):
                parts.append(f"{start}{encode_basestring(item.text)}{ending}")
            else:
                last = isinstance(item, End)
                line = {**self.whole([item], now), "done": last}
                parts.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
        return "".join(parts).encode("utf-8", "replace")

    def error(self, message: str, status: int) -> bytes:
        """The last line of a stream that broke."""
        return json.dumps({"error": message}).encode() + b"\n"

    def whole(self, items: Batch, now: str = "") -> dict[str, Any]:
        """All items as one object."""
        pieces = [item for item in items if isinstance(item, Piece)]
        text = "".join(piece.text for piece in pieces)
        thinking = "".join(piece.thinking for piece in pieces)
        calls = [call for piece in pieces for call in piece.tool_calls]
        extra: dict[str, Any] = {"thinking": thinking} if thinking else {}
        result: dict[str, Any] = {"model": self.model, "created_at": now or _now()}
        if self.kind == "chat":
            extra |= {"tool_calls": calls} if calls else {}
            result["message"] = {"role": "assistant", "content": text, **extra}
        else:
            result |= {"response": text, **extra}
        logprobs = [entry for piece in pieces for entry in piece.logprobs]
        if logprobs:
            result["logprobs"] = logprobs
        result["done"] = False
        for end in (item for item in items if isinstance(item, End)):
            result |= {"done": True, "done_reason": end.reason}
            result |= {"context": list(end.context)} if end.context else {}
            result |= end.metrics()
        return result


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")

"""From an engine's JSON to our records, and back. Tolerant where servers differ.

Missing fields, nulls in place of lists and unknown fields are all met in the wild (protocol
reference, §13), so a field of the wrong type reads as if it were absent.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from workbench.engines._errors import parsed
from workbench.errors import EngineError, InvalidRequest, StreamBroken
from workbench.types import Chunk, Embeddings, Likelihood, Message, Metrics, Reply, ToolCall

T = TypeVar("T")
Image = str | bytes | Path  # base64 text, or the file's bytes, or where the file is


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and isfinite(value) else None


def table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def words(value: Any) -> tuple[str, ...]:
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else ()


def moment(value: Any) -> datetime | None:
    """An RFC 3339 time; digits after the microseconds are cut. None when it is not one."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None


_READERS = {
    "str": text,
    "str | None": lambda value: text(value) or None,
    "int": lambda value: whole(value) or 0,
    "int | None": whole,
    "Json": table,
    "datetime | None": moment,
    "tuple[str, ...]": words,
}


def record(kind: type[T], row: Mapping[str, Any]) -> T:
    """A record of `workbench.types` from the fields of a row that have its fields' names."""
    found = {
        field.name: _READERS[str(field.type)](row.get(field.name))
        for field in fields(kind)  # type: ignore[arg-type]
    }
    return kind(**found)


def model(kind: type[T], row: dict[str, Any], name: str = "") -> T:
    """A Model, RunningModel or ModelDetails, from a row or an answer of tags, ps or show."""
    details = table(row.get("details"))
    name = name or text(row.get("name")) or text(row.get("model"))
    quantization = details.get("quantization_level")
    return record(kind, {**details, **row, "name": name, "quantization": quantization, "raw": row})


def models(kind: type[T], answer: dict[str, Any]) -> list[T]:
    return [model(kind, row) for row in rows(answer.get("models"))]


def chunk(data: dict[str, Any]) -> Chunk:
    """A line of generate or of chat: they differ in where the text is."""
    part = data.get("message")
    if isinstance(part, dict):
        said, calls = part.get("content"), part.get("tool_calls")
    else:
        part, said, calls = data, data.get("response"), None
    done = data.get("done") is True
    return Chunk(
        text=text(said),
        thinking=text(part.get("thinking")),
        tool_calls=tuple(map(tool_call, rows(calls))) if calls else (),
        logprobs=tuple(rows(data["logprobs"])) if data.get("logprobs") else (),
        done=done,
        done_reason=text(data.get("done_reason")) or None,
        metrics=record(Metrics, data) if done else None,
        raw=data,
    )


def tool_call(row: dict[str, Any]) -> ToolCall:
    """A tool call; servers of the OpenAI protocol write the arguments as a JSON text."""
    function = table(row.get("function"))
    name, arguments = text(function.get("name")), function.get("arguments") or {}
    if isinstance(arguments, str):
        arguments = parsed(arguments)
    if not isinstance(arguments, dict):
        raise EngineError(
            f"The model called the tool {name!r} with arguments that are not a JSON object. "
            "Ask again, or choose a model that is better with tools."
        )
    return ToolCall(name=name, arguments=arguments, id=text(row.get("id")) or None)


def embeddings(data: dict[str, Any], expected: int) -> Embeddings:
    """Vectors of an embed answer. Raises EngineError when they are not `expected` in number."""
    try:
        vectors = tuple(tuple(map(float, vector)) for vector in data.get("embeddings") or ())
    except (TypeError, ValueError):
        raise EngineError("The engine answered vectors with no numbers; see its log.") from None
    if len(vectors) != expected:
        raise EngineError(
            f"The engine answered {len(vectors)} vectors to {expected} inputs. "
            "Look at its log, or try a newer version of it."
        )
    count, duration = whole(data.get("prompt_eval_count")), whole(data.get("total_duration"))
    return Embeddings(vectors, count or 0, duration or 0)


def likelihoods(data: dict[str, Any], texts: Sequence[str]) -> tuple[Likelihood, ...]:
    """Likelihoods of a score answer. Raises EngineError when they are not one for each text."""
    try:
        return tuple(
            Likelihood(text, float(row["logprob"]), len(each), row["greedy"] is True, each)
            for text, row in zip(texts, data["likelihoods"], strict=True)
            for each in [tuple(map(float, row["token_logprobs"]))]
        )
    except (KeyError, TypeError, ValueError):
        raise EngineError("The engine did not answer a likelihood per text; see its log.") from None


def collect(chunks: Iterable[Chunk]) -> Reply:
    """The whole answer. Raises StreamBroken when the last chunk is missing."""
    every = list(chunks)
    if not every or not every[-1].done:
        raise StreamBroken("The answer has no last chunk: it is incomplete. Ask again.")
    last = every[-1]
    return Reply(
        text="".join(each.text for each in every),
        thinking="".join(each.thinking for each in every),
        tool_calls=tuple(call for each in every for call in each.tool_calls),
        logprobs=tuple(row for each in every for row in each.logprobs),
        done_reason=last.done_reason,
        metrics=last.metrics or Metrics(),
        raw=last.raw,
    )


def turn(message: Message | Mapping[str, Any]) -> dict[str, Any]:
    """A turn of a chat as Ollama's protocol writes it. A mapping is taken as it is."""
    if isinstance(message, Message):
        body = {field.name: getattr(message, field.name) for field in fields(message)}
        body = {name: value for name, value in body.items() if value or name == "content"}
    else:
        body = dict(message)
    if body.get("images"):
        body["images"] = images(body["images"])
    if body.get("tool_calls"):
        body["tool_calls"] = [_call(call) for call in body["tool_calls"]]
    return body


def _call(call: ToolCall | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(call, ToolCall):
        return call
    function = {"name": call.name, "arguments": call.arguments}
    return {"function": function} if call.id is None else {"id": call.id, "function": function}


def images(given: Sequence[Image] | None) -> list[str] | None:
    """Plain base64. A data URI loses its prefix; a path's file is read."""
    return [_image(image) for image in given] if given else None


def _image(image: Image) -> str:
    if isinstance(image, Path):
        try:
            return base64.b64encode(image.read_bytes()).decode()
        except OSError as error:
            raise InvalidRequest(f"The image {image} cannot be read ({error.strerror}).") from None
    if isinstance(image, bytes):
        return base64.b64encode(image).decode()
    return image.partition(",")[2] if image.startswith("data:") else image

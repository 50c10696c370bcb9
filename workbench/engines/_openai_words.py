"""Our words in the OpenAI protocol's: addresses, options, messages, formats, vectors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import hypot
from typing import Any
from urllib.parse import urlsplit

from workbench.engines import _parse
from workbench.errors import InvalidRequest, SettingsError
from workbench.types import Embeddings, Message

_SAME = {"temperature", "top_p", "top_k", "min_p", "typical_p", "seed", "stop",
         "presence_penalty", "frequency_penalty", "repeat_penalty", "repeat_last_n"}  # fmt: skip
_IMAGE_TYPES = {"iVBOR": "png", "/9j/": "jpeg", "R0lG": "gif", "UklG": "webp"}


def base_url(url: str) -> str:
    """The address without its trailing slash and without the actions that people paste."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(f"The server's address must be an http(s) URL, not {url!r}.")
    if parts.username or parts.password:
        raise SettingsError("A server's address holds no password: pass api_key instead.")
    path = parts.path.rstrip("/")
    for suffix in ("/completions", "/chat", "/openai"):
        path = path.removesuffix(suffix)
    return f"{parts.scheme}://{parts.netloc}{path}"


def key_header(key: str, *, azure: bool) -> dict[str, str]:
    if not key.isascii() or not key.isprintable():
        raise SettingsError("The API key has characters that no key has. Copy it anew.")
    if not key:
        return {}
    return {"api-key": key} if azure else {"Authorization": f"Bearer {key}"}


def sampling(options: Mapping[str, Any] | None, *, hosted: bool) -> dict[str, Any]:
    """The options as fields of a request.

    OpenAI itself and Azure (`hosted`) call num_predict max_completion_tokens, the others
    max_tokens. Raises InvalidRequest for options that such a server sets when it starts.
    """
    fields = {name: value for name, value in (options or {}).items() if value is not None}
    limit = fields.pop("num_predict", -1)
    for name in fields:
        if name not in _SAME:
            raise InvalidRequest(
                f"The option {name!r} cannot be set over the OpenAI protocol. Leave it out, or "
                "set it where the server is started."
            )
    if isinstance(limit, int | float) and limit >= 0:
        fields["max_completion_tokens" if hosted else "max_tokens"] = int(limit)
    return fields


def response_format(format: Any) -> dict[str, Any] | None:
    if not format:
        return None
    if format == "json":
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": format}}


def effort(think: bool | str | None) -> str | None:
    """`think` as a reasoning effort: no is none, yes is medium."""
    if isinstance(think, bool):
        return "medium" if think else "none"
    return "high" if think == "max" else think


def message(turn: Message | Mapping[str, Any]) -> dict[str, Any]:
    """A turn as the OpenAI protocol writes it; a mapping may use either protocol's words."""
    body = _parse.turn(turn)
    images, name = body.pop("images", None), body.pop("tool_name", None)
    body.pop("thinking", None)
    if images:
        said = [{"type": "text", "text": body.get("content") or ""}]
        seen = [{"type": "image_url", "image_url": {"url": _data_uri(image)}} for image in images]
        body["content"] = [*said, *seen]
    if body.get("tool_calls"):
        body["tool_calls"] = [_call(row) for row in body["tool_calls"]]
    if body.get("role") == "tool" and name:
        body.setdefault("tool_call_id", f"call_{name}")
    return body


def _call(row: Mapping[str, Any]) -> dict[str, Any]:
    function = _parse.table(row.get("function"))
    name, arguments = function.get("name", ""), function.get("arguments")
    written = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, default=dict)
    given = {"name": name, "arguments": written}
    return {"id": row.get("id") or f"call_{name}", "type": "function", "function": given}


def _data_uri(image: str) -> str:
    kinds = (kind for start, kind in _IMAGE_TYPES.items() if image.startswith(start))
    return f"data:image/{next(kinds, 'png')};base64,{image}"


def embeddings(answer: dict[str, Any], expected: int) -> Embeddings:
    """Vectors in the order of their index, scaled to norm 1, which not all servers do."""
    found = sorted(_parse.rows(answer.get("data")), key=lambda row: row.get("index") or 0)
    vectors = [row.get("embedding") for row in found]
    count = _parse.table(answer.get("usage")).get("prompt_tokens")
    given = {"embeddings": vectors, "prompt_eval_count": count}
    plain = _parse.embeddings(given, expected)
    return Embeddings(tuple(_unit(each) for each in plain.vectors), plain.prompt_eval_count)


def _unit(vector: tuple[float, ...]) -> tuple[float, ...]:
    norm = hypot(*vector)
    return vector if not norm or abs(norm - 1) < 1e-3 else tuple(x / norm for x in vector)

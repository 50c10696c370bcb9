"""From what a server answers to one of our errors: by status, and by the words it uses.

Ollama's protocol has no error codes, and an error after the first byte of a stream has no
status either (protocol reference, §1), so the words must do. What matches nothing stays a plain
EngineError. The server's own sentence comes first, then what to do.
"""

from __future__ import annotations

import json
import re
from typing import Any

from workbench.errors import (
    EngineBusy,
    EngineError,
    InvalidRequest,
    ModelNotFound,
    NotEnoughMemory,
)

# In this order. Refusals that have a status need no words: every other 4xx is one.
_WORDS: tuple[tuple[type[EngineError], str], ...] = (
    (NotEnoughMemory, r"requires more (system )?memory|not enough memory|out of memory"),
    (EngineBusy, r"server busy|maximum pending requests|rate limit"),
    (ModelNotFound, r"model .*(not found|does not exist)|manifest: file does not exist"),
    (
        InvalidRequest,
        r"^invalid |is invalid$|must be |does not support|is not supported|only one adapter"
        r"|^unknown (type|parameter|quanti)|neither 'from'|not in gguf format|template error"
        r"|digest mismatch|no files provided|exceeds the context",
    ),
)
_ADVICE: dict[type[EngineError], str] = {
    NotEnoughMemory: "Choose a smaller model or quantisation, or lower num_ctx.",
    EngineBusy: "Try again in a moment.",
    ModelNotFound: "See what is installed with models(), or fetch it with pull().",
    EngineError: "The engine's log says more.",
}


def engine_error(error: Any, status: int | None = None) -> EngineError:
    """The error of the right class. Ollama's `error` is a text, OpenAI's has a `message`."""
    if isinstance(error, dict):
        error = error.get("message") or error
    message = error if isinstance(error, str) else json.dumps(error)
    kind = next((kind for kind, words in _WORDS if re.search(words, message, re.I)), EngineError)
    if status in {429, 503}:
        kind = EngineBusy
    elif kind is EngineError and status is not None and 400 <= status < 500:
        kind = InvalidRequest
    said = excerpt(message) or f"The engine answered with status {status} and no explanation"
    advice = _ADVICE.get(kind, "")
    if status in {401, 403}:
        advice = "Check the API key, and that this address may be used from here."
    return kind(f"{said.rstrip('. ')}. {advice}" if advice else said, status)


def error_of_response(status: int, body: bytes, url: str, location: str = "") -> EngineError:
    """The error for an answer whose status is not 2xx."""
    if 300 <= status < 400:
        return EngineError(
            f"{url} redirects to {excerpt(location) or 'elsewhere'}, and redirects are not "
            "followed. If you trust that address, use it directly.",
            status,
        )
    data = parsed(body)
    for key in ("error", "detail", "message"):
        if isinstance(data, dict) and data.get(key) is not None:
            return engine_error(data[key], status)
    said = excerpt(body.decode("utf-8", "replace"))
    if status in {404, 405}:
        return EngineError(
            f"{url} does not exist ({status} {said}). Is this the address of an engine?", status
        )
    return engine_error(said, status)


def parsed(data: bytes | str) -> Any:
    """What is written as JSON; None where it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def excerpt(text: str, limit: int = 400) -> str:
    """One line of printable text of at most `limit` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: limit * 2]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"

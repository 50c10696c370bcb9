"""The Python that does what a panel did: `code_for`, for a "show code" button.

Only what differs from the defaults is written, and every value is a literal that reads back as
what it was, so the code is nothing but the call. API keys are never written: the client takes
them from the environment.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from inspect import Signature, signature
from pathlib import PurePath
from pprint import pformat
from typing import Any

from workbench.engines import _parse
from workbench.engines._ollama import AsyncEngine
from workbench.engines._openai import AsyncOpenAIEngine
from workbench.engines._twins import Engine, OpenAIEngine
from workbench.errors import InvalidRequest
from workbench.settings import OLLAMA_DEFAULT_URL
from workbench.types import Message

WIDTH = 88  # characters of a line of code

_AROUND = {  # what to do with the answer; {} is the call
    "Reply": "reply = {}\nprint(reply.text)",
    "Generator[Chunk, None]": 'for chunk in {}:\n    print(chunk.text, end="", flush=True)',
    "Generator[Progress, None]": "for step in {}:\n    print(step.status, step.fraction)",
    "None": "{}",
}


def code_for(
    kind: str,
    /,
    *arguments: Any,
    engine: Engine | AsyncEngine | OpenAIEngine | AsyncOpenAIEngine | str | None = None,
    **keywords: Any,
) -> str:
    """Code that calls the method `kind` ("chat", "generate", "embed" …) of a plain engine.

    `engine` is the engine, or its URL; None stands for the one that `connect()` finds. Raises
    InvalidRequest for an unknown method or argument, and for a value with no literal.
    """
    remote = isinstance(engine, OpenAIEngine | AsyncOpenAIEngine)
    method = getattr(OpenAIEngine if remote else Engine, kind, None)
    if kind.startswith("_") or not callable(method):
        raise InvalidRequest(f"An engine has no method {kind!r}.")
    shown = signature(method)
    try:
        given = shown.bind(None, *arguments, **keywords).arguments
    except TypeError as error:
        raise InvalidRequest(f"{kind}(): {error}.") from None
    parts = [_argument(shown, name, value) for name, value in given.items() if name != "self"]
    call = _call(f"engine.{kind}", [part for part in parts if part])
    around = _AROUND.get(str(shown.return_annotation), "answer = {}")
    return f"{_beginning(engine)}\n{around.replace('{}', call, 1)}\n"


def _beginning(engine: Any) -> str:
    if isinstance(engine, OpenAIEngine | AsyncOpenAIEngine):
        made = repr(engine).removeprefix("Async")
        return f"from workbench.engines import OpenAIEngine\n\nengine = {made}"
    found = engine is None or (not isinstance(engine, str) and engine.kind == "embedded")
    url = engine if isinstance(engine, str) else getattr(engine, "url", "")
    where = "" if found or url == OLLAMA_DEFAULT_URL else repr(url)
    return f"import workbench\n\nengine = workbench.connect({where})"


def _argument(shown: Signature, name: str, value: Any) -> str:
    """The argument as code; empty when it is the default."""
    parameter = shown.parameters[name]
    if value == parameter.default:
        return ""
    written = pformat(_plain(value), width=WIDTH - 12, sort_dicts=False)
    try:
        ast.literal_eval(written)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise InvalidRequest(f"{name} cannot be written as code: {type(value).__name__}.") from None
    return written if parameter.kind is not parameter.KEYWORD_ONLY else f"{name}={written}"


def _plain(value: Any) -> Any:
    """The value of dicts, lists and scalars that the call takes in its place."""
    if isinstance(value, Message):
        value = _parse.turn(value)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    return value


def _call(name: str, parts: list[str]) -> str:
    line = f"{name}({', '.join(parts)})"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    lines = [f"    {part},".replace("\n", "\n    ") for part in parts]
    return "\n".join([f"{name}(", *lines, ")"])

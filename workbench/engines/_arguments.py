"""Arguments of the clients' methods: shared sets of keywords, and advice for unknown ones.

The options of a request (temperature, num_ctx …) go into `options`; people try them as
arguments first, by the names of other libraries too.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypedDict, TypeVar, get_type_hints

from workbench.engines._parse import Image, collect
from workbench.errors import InvalidRequest
from workbench.types import Chunk, Message, Reply

P = ParamSpec("P")
R = TypeVar("R")

Options = Mapping[str, Any]
Turn = Message | Mapping[str, Any]
Files = Mapping[str, Path] | Path | str


class Ask(TypedDict, total=False):
    """What every question may say; None means the engine's default.

    `format` is "json" or a JSON schema; `keep_alive` seconds or "10m", negative for ever.
    """

    format: Literal["json"] | Mapping[str, Any] | None
    options: Options | None
    think: bool | Literal["low", "medium", "high", "max"] | None
    logprobs: bool | None
    top_logprobs: int | None
    keep_alive: float | str | None


class Prompt(Ask, total=False):
    suffix: str | None
    system: str | None
    template: str | None
    raw: bool | None
    images: Sequence[Image] | None


class Chat(Ask, total=False):
    tools: Sequence[Mapping[str, Any]] | None


class Create(TypedDict, total=False):
    """`files` and `adapters`: a file, a folder, or paths by the name the engine shall see."""

    from_: str | None
    files: Files | None
    adapters: Files | None
    template: str | None
    system: str | None
    parameters: Options | None
    messages: Sequence[Turn] | None
    license: str | Sequence[str] | None
    quantize: str | None


_SYNONYMS = {"max_tokens": "num_predict", "max_new_tokens": "num_predict", "n_ctx": "num_ctx",
             "context_length": "num_ctx", "repetition_penalty": "repeat_penalty"}  # fmt: skip


def advised(method: Callable[P, R]) -> Callable[P, R]:
    """The method, which raises InvalidRequest with advice for a keyword that it does not know.

    Its signature shows the keywords one by one, for help(), completion and `code_for`.
    """
    shown = _spelled_out(method)
    known = [name for name in shown.parameters if name != "self"]

    @wraps(method)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        unknown = next((name for name in kwargs if name not in known), None)
        if unknown is not None:
            raise InvalidRequest(_advice(method.__name__, unknown, known))
        return method(*args, **kwargs)

    checked.__signature__ = shown  # type: ignore[attr-defined]
    return checked


def whole(
    stream: Callable[P, AsyncGenerator[Chunk, None]],
) -> Callable[P, Coroutine[Any, Any, Reply]]:
    """The method that streams, as one that waits for the whole answer."""

    async def gathered(*args: P.args, **kwargs: P.kwargs) -> Reply:
        return collect([chunk async for chunk in stream(*args, **kwargs)])

    name = stream.__name__.removeprefix("stream_")
    gathered.__name__, gathered.__doc__ = name, stream.__doc__
    shown = inspect.signature(stream).replace(return_annotation="Reply")
    gathered.__signature__ = shown  # type: ignore[attr-defined]
    return advised(gathered)


def _spelled_out(method: Callable[..., Any]) -> inspect.Signature:
    """The signature with `**more: Unpack[Keywords]` replaced by the keywords."""
    shown = inspect.signature(method)
    parameters = list(shown.parameters.values())
    if parameters and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
        keywords = get_type_hints(method)[parameters.pop().name].__args__[0]
        parameters += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in get_type_hints(keywords).items()
        ]
    return shown.replace(parameters=parameters)


def _advice(method: str, name: str, known: Sequence[str]) -> str:
    from workbench.protocol import OPTIONS

    option = name if name in OPTIONS else _SYNONYMS.get(name)
    if option and "options" in known:
        return f"{method}() takes {name!r} as an option: options={{{option!r}: …}}."
    if name == "stream":
        return f"{method}() has no argument 'stream': the methods stream_… do that."
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"It takes: {', '.join(known)}."
    return f"{method}() has no argument {name!r}. {hint}"

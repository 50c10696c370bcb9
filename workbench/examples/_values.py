"""Values of rows as texts and messages, whatever layout they have in the file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.examples._names import role_of

_HALVES = re.compile("[\ud800-\udfff]")
_SPEAKERS = re.compile(r"\n\n(Human|Assistant): ?")
# Of a message, beside its role and content.
_KEPT = ("tool_calls", "tool_call_id", "name", "thinking", "reasoning_content")


class Unusable(Exception):
    """Why a row cannot become an example: the finding's code and its sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def is_text(value: Any) -> bool:
    """A text, or a number, which can be written as one."""
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def text_of(value: Any, name: str) -> str:
    """The value as a text that UTF-8 can write. Raises Unusable for what is none."""
    if not is_text(value):
        kind = "missing" if value is None else "not a text"
        raise Unusable("format", f"The column {name!r} is {kind}.")
    text = str(value)
    if not text.isascii() and _HALVES.search(text):  # halves of characters, from JSON's escapes
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def filled(value: Any, name: str) -> str:
    """A text that has something in it."""
    text = text_of(value, name)
    if not text.strip():
        raise Unusable("empty", f"The column {name!r} is empty: the row is left out.")
    return text


def as_messages(value: Any) -> Sequence[Any] | None:
    """A list of messages, also one that a table holds as JSON; None for anything else."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, list) or not value:
        return None
    speaks = all(isinstance(one, Mapping) and ({"role", "from"} & one.keys()) for one in value)
    return value if speaks else None


def messages_of(value: Any, name: str) -> list[dict[str, Any]]:
    """Messages with role and content, the roles system, user, assistant and tool. Raises
    Unusable."""
    found = as_messages(value)
    if found is None:
        raise Unusable("format", f"The column {name!r} is no list of messages that say who speaks.")
    return [_message(one) for one in found]


def dialogue_of(value: Any, name: str) -> list[dict[str, Any]]:
    """Messages, also out of one text with "Human:" and "Assistant:" behind blank lines."""
    if not isinstance(value, str) or as_messages(value) is not None:
        return messages_of(value, name)
    start, *parts = _SPEAKERS.split("\n\n" + text_of(value, name).lstrip())
    if start.strip() or not parts:
        raise Unusable("format", f"The column {name!r} does not begin with “Human:”.")
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [{"role": role_of(who), "content": text.strip()} for who, text in pairs]


def _message(one: Mapping[str, Any]) -> dict[str, Any]:
    who = one.get("role", one.get("from"))
    role = role_of(who)
    if role is None:
        raise Unusable("role", f"Nobody knows the role {str(who)[:40]!r}.")
    content = one.get("content", one.get("value"))
    kept = {key: one[key] for key in _KEPT if one.get(key)}
    if content is None and "tool_calls" in kept:
        content = ""
    if isinstance(content, list):
        content = "".join(map(_part, content))
    return {"role": role, "content": text_of(content, "content"), **kept}


def _part(part: Any) -> str:
    if isinstance(part, Mapping) and part.get("type") in {"text", "input_text", "output_text"}:
        return text_of(part.get("text"), "text")
    raise Unusable("format", "A message has parts that are not text, such as a picture.")

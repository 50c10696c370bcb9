"""What can be wrong with one example: roles, empty texts, damage, markup, placeholders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from workbench.examples import ROLES, Example

_TOKENS = re.compile(
    r"<\|[A-Za-z_][\w ]{0,40}\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|\A<s>|</s>\s*\Z"
    r"|<fim_\w{3,9}>|^### (?:Instruction|Response):",
    re.M,
)
_PLACEHOLDER = re.compile(
    r"\blorem ipsum\b|\[(?:insert|your|add)\b[^\]\n]{0,60}\]|<(?:insert|your)\b[^>\n]{0,60}>"
    r"|\A\W*(?:todo|tbd|fixme|xxx+|placeholder|undefined|nan|null|n/a|\.\.\.|…)\W*\Z",
    re.I,
)
# Where UTF-8 was read as a western or a Cyrillic encoding there are such pairs; ftfy, which is
# slow, then decides.
_WESTERN = re.compile("[Â-ô][\x80-\xbfŒœŠšŸŽžƒˆ˜–—‘’‚“”„†‡•…‰‹›€™]")
_CYRILLIC = re.compile("(?:[РС][\xa0-\xbfЂ-џ]){3}")
_DAMAGE = re.compile("[\ufffd\ud800-\udfff\x00-\x08\x0e-\x1f\x7f]")


def texts_of(value: Any) -> Iterator[str]:
    """All texts in an example's fields, without the names of roles."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            if name != "role":
                yield from texts_of(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts_of(one)


def sides_of(example: Example) -> tuple[str, str]:
    """What is asked and what is answered, as two texts; a text has no answer.

    Several preferences for one prompt are no contradiction: they have no answer here either.
    System messages are not asked: they are the same for many.
    """
    fields = example.fields
    if example.form == "text":
        return str(fields["text"]), ""
    if example.form == "completion":
        return str(fields["prompt"]), str(fields["completion"])
    if example.form == "gap":
        return f"{fields['prefix']}\0{fields['suffix']}", str(fields["middle"])
    if example.form == "preference":
        return _joined(fields["prompt"]), ""
    messages = fields["messages"]
    last = len(messages) - 1
    while last > 0 and messages[last].get("role") != "assistant":
        last -= 1
    return _joined(messages[:last] or messages), _joined(messages[last:])


def _joined(value: Any) -> str:
    if isinstance(value, list):
        value = [one for one in value if one.get("role") != "system"]
    return "\n".join(texts_of(value))


def check(example: Example) -> Iterator[tuple[str, str]]:
    """(code, sentence) of each thing that is wrong. An example whose fields are not of its form
    has the code "format" and is not looked at further."""
    if wrong := _shape(example):
        yield "format", wrong
        return
    fields = example.fields
    if example.form == "conversation":
        yield from _roles(fields["messages"])
    else:
        for name in sorted(fields):
            if example.form == "gap" and name != "middle":
                continue
            if not any(map(str.strip, texts_of(fields[name]))):
                yield "empty", f"The {name} is empty."
    if example.form == "preference" and fields["chosen"] == fields["rejected"]:
        yield "same-pair", "The chosen and the rejected answer are the same."
    yield from _texts(example)


def _shape(example: Example) -> str:
    """Why the fields are not those of the form; "" where they are."""
    for name, value in example.fields.items():
        talks = name == "messages" or (example.form == "preference" and isinstance(value, list))
        if talks and not (
            isinstance(value, list)
            and value
            and all(isinstance(one, dict) and isinstance(one.get("content"), str) for one in value)
        ):
            return f"{name} is not a list of messages with role and content."
        if not talks and not isinstance(value, str):
            return f"{name} is not a text."
    return ""


def _roles(messages: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    roles = [one.get("role") for one in messages]
    if strange := [role for role in roles if role not in ROLES]:
        yield "unknown-role", f"Nobody knows the role {str(strange[0])[:40]!r}."
    if "system" in roles[1:]:
        yield "system-late", "A system message stands behind others; it belongs first."
    spoken = [role for role in roles if role != "system"]
    if spoken and spoken[0] != "user":
        yield "user-late", "The user does not speak first."
    for role in ("user", "assistant"):
        if any(pair == (role, role) for pair in pairwise(spoken)):
            yield "twice", f"The {role} speaks twice in a row."
    if "assistant" not in roles:
        yield "no-answer", "There is no answer of the assistant, so nothing is learnt."
    elif spoken[-1] != "assistant":
        yield "unanswered", "The last question has no answer, and is not learnt."
    for one in messages:
        if not one["content"].strip() and not one.get("tool_calls"):
            yield "empty", f"A message of the role {str(one.get('role'))[:40]} is empty."
            return


def _texts(example: Example) -> Iterator[tuple[str, str]]:
    """Damage and what does not belong into texts: each code once for an example."""
    from ftfy.badness import is_bad

    found: dict[str, str] = {}
    for text in texts_of(example.fields):
        if hit := _DAMAGE.search(text):
            what = f"U+{ord(hit[0]):04X}"
            found.setdefault("damage", f"{what} stands in a text: its encoding was damaged.")
        elif not text.isascii() and _suspect(text) and is_bad(text):
            found.setdefault("damage", "A text looks as if read in a wrong encoding (as in “Ã¼”).")
        marked = "<" in text or "[" in text
        if (marked or "### " in text) and (hit := _TOKENS.search(text)):
            found.setdefault("markup", f"{hit[0].strip()[:40]!r} stands in a text; it belongs to a "
                             "chat template.")  # fmt: skip
        if example.form in {"text", "gap"}:
            continue
        short = len(text) < 40
        if (marked or short or "orem" in text) and (hit := _PLACEHOLDER.search(text)):
            found.setdefault("placeholder", f"{hit[0].strip()[:40]!r} stands for a text that is "
                             "not there.")  # fmt: skip
    yield from found.items()


def _suspect(text: str) -> bool:
    return bool(_WESTERN.search(text) or ("Р" in text and _CYRILLIC.search(text)))

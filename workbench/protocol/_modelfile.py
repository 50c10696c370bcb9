"""Modelfiles: reading and writing the text that describes a model.

One instruction per line, keywords in any case. A value is the trimmed rest of the line, or
stands between `"` or triple quotes, may then span lines, and ends where a line ends with the
same quote; there are no escapes. `#` begins a comment only where an instruction could begin.
docs/modelfile.md tells users the same with examples.

A text that holds its own closing quote at the end of a line cannot be written down in this
grammar; `render` says so rather than write something that reads back differently.
"""

from __future__ import annotations

import codecs
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import InvalidRequest, ModelfileError
from workbench.protocol._options import DEPRECATED_OPTIONS, option_from_text
from workbench.types import Message

_ROLES = ("system", "user", "assistant")
_SINGLE = ("template", "system", "requires", "renderer", "parser", "draft")
_REPEATED = {"from": "from_", "adapter": "adapters", "license": "license"}
KEYWORDS = (*_REPEATED, *_SINGLE, "parameter", "message")
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"),
         (codecs.BOM_UTF16_BE, "utf-16-be"))  # fmt: skip
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Modelfile:
    """What a Modelfile says. Texts that it does not set are empty."""

    from_: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    template: str = ""
    system: str = ""
    license: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    requires: str = ""
    renderer: str = ""
    parser: str = ""
    draft: str = ""

    def render(self) -> str:
        """The text, which `parse_modelfile` reads back as the same record.

        Raises ModelfileError for a value that the grammar cannot express.
        """
        lines = [f"FROM {_quote(source)}" for source in self.from_]
        lines += [f"ADAPTER {_quote(adapter)}" for adapter in self.adapters]
        for keyword in _SINGLE:
            value = getattr(self, keyword)
            if value:
                lines.append(f"{keyword.upper()} {_quote(value)}")
        for name, value in self.parameters.items():
            for item in value if isinstance(value, list | tuple) else [value]:
                lines.append(f"PARAMETER {name} {_quote(_spell(item))}")
        lines += [f"LICENSE {_quote(text)}" for text in self.license]
        lines += [f"MESSAGE {turn.role} {_quote(turn.content)}" for turn in self.messages]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction as it stands: `label` is a PARAMETER's name or a MESSAGE's role, else ""."""

    keyword: str  # in small letters
    label: str
    value: str
    line: int  # where it begins, from 1
    end: int  # the last line of its value


def parse_modelfile(text: str | bytes) -> Modelfile:
    """Read a Modelfile; bytes may begin with a byte order mark (UTF-8 or UTF-16).

    Raises ModelfileError, which knows the line.
    """
    fields: dict[str, Any] = {"parameters": {}, "messages": ()}
    for one in read_instructions(text):
        _apply(fields, one.keyword, one.label, one.value, one.line)
    if not fields.get("from_"):
        raise ModelfileError("no FROM line")
    return Modelfile(**fields)


def read_instructions(text: str | bytes) -> Iterator[Instruction]:
    """The instructions in their order, with their lines; what they say is not looked at.

    Raises ModelfileError at the first that cannot be read.
    """
    lines = _decode(text).split("\n")
    number = 0
    while number < len(lines):
        line = lines[number].lstrip()  # a quoted value keeps the blanks at its line's end
        if not line or line.startswith("#"):
            number += 1
            continue
        start = number + 1
        keyword, rest = _keyword(line, start)
        label = ""
        if keyword in {"parameter", "message"}:
            label, rest = _label(keyword, rest, start)
        value, number = _value(lines, number, rest, f"{keyword} {label}".strip().upper())
        yield Instruction(keyword, label, value, start, number)


def _decode(source: str | bytes) -> str:
    if isinstance(source, bytes):
        mark, encoding = next((bom for bom in _BOMS if source.startswith(bom[0])), (b"", "utf-8"))
        body = source[len(mark) :]
        try:
            source = body.decode(encoding)
        except UnicodeDecodeError as error:
            line = body[: error.start].count(b"\n") + 1
            raise ModelfileError(f"the text is not valid {encoding.upper()}", line) from None
    text = source.removeprefix("\ufeff")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ModelfileError("the text holds a NUL character: is this a Modelfile?", line)
    return text


def _keyword(line: str, number: int) -> tuple[str, str]:
    word, rest = _cut(line)
    if word.lower() not in KEYWORDS:
        known = ", ".join(f'"{name}"' for name in KEYWORDS)
        raise ModelfileError(f"command must be one of {known}", number)
    return word.lower(), rest


def _cut(line: str) -> tuple[str, str]:
    """The first word and what follows the blanks after it."""
    parts = re.split(r"\s+", line, maxsplit=1)
    return parts[0], parts[1] if len(parts) > 1 else ""


def _label(keyword: str, rest: str, number: int) -> tuple[str, str]:
    """The name of a PARAMETER or the role of a MESSAGE, and what follows it."""
    label, rest = _cut(rest)
    if keyword == "message" and label not in _ROLES:
        raise ModelfileError('message role must be one of "system", "user", or "assistant"', number)
    if keyword == "parameter" and not re.fullmatch(r"[A-Za-z0-9_]{1,80}", label):
        raise ModelfileError("PARAMETER needs a name and a value", number)
    return label, rest


def _value(lines: list[str], index: int, rest: str, what: str) -> tuple[str, int]:
    """The value that begins with `rest` on line `index`, and the index of the next line."""
    first = index + 1
    if not rest and index + 1 < len(lines) and lines[index + 1].lstrip().startswith('"'):
        index += 1  # a quoted value may begin on the next line
        rest = lines[index].lstrip()
    if not rest:
        raise ModelfileError(f"{what} needs a value", first)
    mark = '"""' if rest.startswith('"""') else '"' if rest.startswith('"') else ""
    if not mark:
        return rest.rstrip(), index + 1
    pieces = [rest[len(mark) :]]
    while True:
        last = pieces[-1].rstrip()
        if last.endswith(mark):
            pieces[-1] = last[: -len(mark)]
            return "\n".join(pieces), index + 1
        index += 1
        if index == len(lines):
            raise ModelfileError(f"unexpected EOF: the quote after {what} is not closed", first)
        pieces.append(lines[index])


def _apply(fields: dict[str, Any], keyword: str, label: str, value: str, number: int) -> None:
    if keyword == "message":
        fields["messages"] += (Message(label, value),)  # type: ignore[arg-type]
    elif keyword in _REPEATED:
        name = _REPEATED[keyword]
        fields[name] = (*fields.get(name, ()), value)
    elif keyword != "parameter":
        fields[keyword] = value
    elif label in DEPRECATED_OPTIONS:
        _log.warning("parameter %s is deprecated and ignored", label)
    else:
        try:
            parsed = option_from_text(label, value)
        except InvalidRequest as error:
            raise ModelfileError(str(error), number) from None
        if label == "stop":
            fields["parameters"].setdefault("stop", []).append(parsed)
        else:
            fields["parameters"][label] = parsed


def _spell(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quote(text: str) -> str:
    for candidate in (text, f'"{text}"', f'"""{text}"""'):
        lines = candidate.split("\n")
        try:
            read, end = _value(lines, 0, lines[0].lstrip(), "value")
        except ModelfileError:
            continue
        if read == text and end == len(lines) and "\0" not in text:
            return candidate
    raise ModelfileError(
        "a value with a NUL, or with triple quotes at the end of a line, "
        "cannot be written in a Modelfile"
    )

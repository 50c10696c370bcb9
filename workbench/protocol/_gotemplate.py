"""Rendering Go's text/template as Ollama's templates use it (read by _goparse).

Kinder than Go where a missing field would fail: it is empty here. A field is looked up as
written, then in JSON's spelling (`.ToolCalls` finds "tool_calls"), so that values are the
request's own JSON, and a list or an object prints as that JSON, as Ollama's types do. Steps
and lengths are bounded: a template is foreign text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from workbench.protocol._goparse import LAZY, Expr, Node, Pipe, fail, parse_template

_MOST_STEPS, _LONGEST = 500_000, 64 * 1024 * 1024
_JINJA = re.compile(r"\{%|\{\{-?\s*(messages|bos_token|eos_token|raise_exception)\b")


def is_go_template(text: str) -> bool:
    """Ollama's kind of template, rather than the Jinja that GGUF files carry."""
    return _JINJA.search(text) is None


def render_template(template: str, values: Mapping[str, Any], *, cut: bool = False) -> str:
    """The text for `values`; with `cut`, nothing that stands after the first `.Response`.

    Raises InvalidRequest("template error: …").
    """
    read = parse_template(template)
    run = _Run(read.source, values, read.response_at if cut else None)
    run.nodes(read.nodes, values)
    return "".join(run.out)


class _Broken(Exception):
    """`break` or `continue` on its way to the loop."""


@dataclass
class _Run:
    source: str
    root: Any
    cut: int | None
    out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._variables: list[tuple[str, Any]] = [("$", self.root)]
        self._steps = self._length = self._at = 0

    def nodes(self, nodes: tuple[Node, ...], dot: Any) -> None:
        for node in nodes:
            self._at = node.at
            self._step()
            if self.cut is not None and node.at > self.cut:
                return
            if node.kind == "text":
                self._write(node.text)
            elif node.kind in {"break", "continue"}:
                raise _Broken(node.kind)
            else:
                self._run(node, dot)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS or self._length > _LONGEST:
            fail(self.source, self._at, "it renders too much")

    def _write(self, text: str) -> None:
        self.out.append(text)
        self._length += len(text)

    def _run(self, node: Node, dot: Any) -> None:
        assert node.pipe is not None
        mark = len(self._variables)
        value = self._pipe(node.pipe, dot, loop=node.kind == "range")
        if node.kind == "print":
            if not node.pipe.names:
                self._write(_text(value))
            return
        if node.kind == "range":
            self._range(node, value, dot)
        elif value:
            self.nodes(node.body, value if node.kind == "with" else dot)
        else:
            self.nodes(node.other, dot)
        del self._variables[mark:]

    def _range(self, node: Node, value: Any, dot: Any) -> None:
        assert node.pipe is not None
        items = _items(value)
        if items is None:
            fail(self.source, node.at, "range can't iterate over this value")
        mark, empty = len(self._variables), True
        for key, item in items:
            empty = False
            self._step()
            names = node.pipe.names
            pairs = zip(names, (key, item) if len(names) == 2 else (item,), strict=False)
            for name, bound in pairs:
                self._assign(name, bound, node.pipe.declares)
            try:
                self.nodes(node.body, item)
            except _Broken as jump:
                if jump.args == ("break",):
                    break
            finally:
                del self._variables[mark:]
        if empty:
            self.nodes(node.other, dot)

    def _assign(self, name: str, value: Any, declares: bool) -> None:
        if declares:
            self._variables.append((name, value))
            return
        for place in reversed(range(len(self._variables))):
            if self._variables[place][0] == name:
                self._variables[place] = (name, value)
                return
        fail(self.source, self._at, f'undefined variable "{name}"')

    def _pipe(self, pipe: Pipe, dot: Any, *, loop: bool = False) -> Any:
        value: Any = None
        for place, command in enumerate(pipe.commands):
            value = self._command(command, dot, [value] if place else [])
        if not loop:
            for name in pipe.names:
                self._assign(name, value, pipe.declares)
        return value

    def _command(self, command: tuple[Expr, ...], dot: Any, last: list[Any]) -> Any:
        head = command[0]
        if head.kind != "call":
            return self._value(head, dot)
        if head.value in LAZY:
            value: Any = None
            for argument in [*command[1:], *(Expr("value", item) for item in last)]:
                value = self._value(argument, dot)
                if bool(value) == (head.value == "or"):
                    break
            return value
        arguments = [self._value(argument, dot) for argument in command[1:]] + last
        if sum(len(argument) for argument in arguments if isinstance(argument, str)) > _LONGEST:
            fail(self.source, self._at, "it renders too much")
        try:
            return _FUNCTIONS[head.value](*arguments)
        except (TypeError, ValueError, LookupError, OverflowError) as error:
            fail(self.source, self._at, f"error calling {head.value}: {error}")

    def _value(self, expr: Expr, dot: Any) -> Any:
        if expr.kind == "variable":
            found = (bound for name, bound in reversed(self._variables) if name == expr.value)
            value = next(found, _MISSING)
            if value is _MISSING:
                fail(self.source, self._at, f'undefined variable "{expr.value}"')
        elif expr.kind == "pipe":
            value = self._pipe(expr.value, dot)
        elif expr.kind == "call":
            value = self._command((expr,), dot, [])
        else:
            value = dot if expr.kind == "dot" else expr.value
        for name in expr.names:
            value = _field(value, name)
        return value


_MISSING = object()


def _field(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping):
        return None
    if name in value:
        return value[name]
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return value.get(snake)


def _items(value: Any) -> Iterator[tuple[Any, Any]] | None:
    if isinstance(value, Mapping):
        return iter(sorted(value.items(), key=lambda item: str(item[0])))
    if isinstance(value, list | tuple):
        return iter(enumerate(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return ((number, number) for number in range(value))
    return iter(()) if value is None else None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(key, int) and not 0 <= key < len(value):
            raise ValueError(f"index out of range: {key}")
        else:
            value = value[key]
    return value


def _slice(value: Any, start: int = 0, end: int | None = None) -> Any:
    end = len(value) if end is None else end
    if not 0 <= start <= end <= len(value):
        raise ValueError(f"index out of range: {start}:{end}")
    return value[start:end]


def _printf(form: str, *values: Any) -> str:
    left = list(values)

    def one(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        value = left.pop(0)
        if match[2] == "q":
            return json.dumps(value, ensure_ascii=False)
        return match[0].replace("v", "s") % (_text(value) if match[2] in "sv" else value)

    return re.sub(r"%(-?\d{0,3}(?:\.\d{1,2})?)([sdvqfx%])", one, form)


def _same(one: Any, *others: Any) -> bool:
    if not others:
        raise ValueError("missing argument for comparison")
    return any(one == other or (not one and not other and None in (one, other)) for other in others)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "not": lambda value: not value,
    "eq": _same,
    "ne": lambda one, other: not _same(one, other),
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
    "len": lambda value: 0 if value is None else len(value),
    "index": _index,
    "slice": _slice,
    "json": lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    "print": lambda *values: "".join(map(_text, values)),
    "printf": _printf,
    "println": lambda *values: " ".join(map(_text, values)) + "\n",
    "currentDate": lambda: date.today().isoformat(),
    "yesterdayDate": lambda: (date.today() - timedelta(days=1)).isoformat(),
}

"""Reading Go's text/template as far as Ollama's templates use it; _gotemplate renders it.

Text, actions, pipelines, variables, if / range / with / else / end, break, continue, trimming
and comments. Left out: `define`, `template`, `block`, methods, `call`. Every error is an
InvalidRequest `template error: line N: …`; nesting is bounded, since a template is foreign
text. The grammar is that of the documentation of Go's text/template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from workbench.errors import InvalidRequest

DEEPEST = 50
LAZY = frozenset({"and", "or"})
FUNCTIONS = LAZY | {"not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index", "slice", "json"}
FUNCTIONS |= {"print", "printf", "println", "currentDate", "yesterdayDate"}
_TOKEN = re.compile(
    r'(?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)|(?P<number>[+-]?\d+(?:\.\d+)?)'
    r"|(?P<field>\.[A-Za-z_]\w*)|(?P<dot>\.)|(?P<variable>\$\w*)|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<sign>:=|[=|(),])"
)
_COMMENT = re.compile(r"/\*.*?\*/(\s+-)?\}\}", re.DOTALL)
_BLOCKS = ("if", "range", "with")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Expr:
    """kind is "value", "dot", "variable", "call" or "pipe"; `names` are fields taken from it."""

    kind: str
    value: Any = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pipe:
    commands: tuple[tuple[Expr, ...], ...]
    names: tuple[str, ...] = ()
    declares: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """kind is "text", "print", "break", "continue", "if", "range" or "with"."""

    kind: str
    at: int
    text: str = ""
    pipe: Pipe | None = None
    body: tuple[Node, ...] = ()
    other: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was read; `fields` are the names after a dot, `response_at` the first
    `.Response`."""

    source: str
    nodes: tuple[Node, ...]
    fields: frozenset[str]
    response_at: int | None


@lru_cache(maxsize=64)
def parse_template(source: str) -> Template:
    """Read a template. Raises InvalidRequest("template error: …")."""
    parser = _Parser(source)
    nodes, _ = parser.nodes(ends=())
    return Template(source, nodes, frozenset(parser.fields), parser.response_at)


def fail(source: str, at: int, message: str) -> NoReturn:
    line = source.count("\n", 0, at) + 1
    raise InvalidRequest(f"template error: line {line}: {message}", 400)


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.fields: set[str] = set()
        self.response_at: int | None = None
        self._pieces = self._split()
        self._depth = 0
        self._loops = 0

    def _split(self) -> Iterator[tuple[int, str | list[_Token]]]:
        """Texts (trimmed) and the tokens of actions, in order, each with its place."""
        at, trim = 0, False
        while True:
            start = self.source.find("{{", at)
            text = self.source[at : start if start >= 0 else len(self.source)]
            text = text.lstrip() if trim else text
            opening = 2
            if start >= 0 and re.match(r"\{\{-\s", self.source[start : start + 4]):
                text, opening = text.rstrip(), 3
            if text:
                yield at, text
            if start < 0:
                return
            inner = re.compile(r"\s*").match(self.source, start + opening)
            comment = _COMMENT.match(self.source, inner.end() if inner else 0)
            if comment:
                at, trim = comment.end(), bool(comment[1])
                continue
            tokens, at, trim = self._tokens(start, start + opening)
            yield start, tokens

    def _tokens(self, start: int, at: int) -> tuple[list[_Token], int, bool]:
        tokens: list[_Token] = []
        while True:
            spaced = at
            while self.source[at : at + 1].isspace():
                at += 1
            if self.source.startswith("}}", at):
                return tokens, at + 2, False
            if at > spaced and self.source.startswith("-}}", at):
                return tokens, at + 3, True
            match = _TOKEN.match(self.source, at)
            if match is None:
                found = self.source[at : at + 10]
                fail(self.source, start, f"unexpected {found!r}" if found else "unclosed action")
            tokens.append(_Token(str(match.lastgroup), match[0], at, match.end()))
            at = match.end()

    def nodes(self, ends: tuple[str, ...]) -> tuple[tuple[Node, ...], list[_Token]]:
        """Nodes up to one of the words in `ends`, and the tokens of that action."""
        found: list[Node] = []
        for at, piece in self._pieces:
            if isinstance(piece, str):
                found.append(Node("text", at, piece))
                continue
            self._at, self._rest = at, piece[::-1]
            word = piece[0].text if piece and piece[0].kind == "word" else ""
            if word in ends:
                return tuple(found), piece
            if word in _BLOCKS:
                self._rest.pop()
                found.append(self._block(word, at))
            elif word in {"break", "continue"} and len(piece) == 1 and self._loops:
                found.append(Node(word, at))
            elif word in {"else", "end", "break", "continue", "define", "template", "block"}:
                fail(self.source, at, f"unexpected or unsupported {{{{{word}}}}}")
            else:
                found.append(Node("print", at, pipe=self._whole_pipe()))
        if ends:
            fail(self.source, len(self.source), "unexpected EOF: an {{end}} is missing")
        return tuple(found), []

    def _block(self, kind: str, at: int) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            fail(self.source, at, "too deeply nested")
        pipe = self._whole_pipe()
        self._loops += kind == "range"
        body, end = self.nodes(("else", "end"))
        self._loops -= kind == "range"
        other: tuple[Node, ...] = ()
        if end[0].text == "else":
            if len(end) > 1 and end[1].text in {"if", "with"}:
                self._rest = end[:1:-1]
                other = (self._block(end[1].text, end[0].start),)
            else:
                other, end = self.nodes(("end",))
        self._depth -= 1
        return Node(kind, at, pipe=pipe, body=body, other=other)

    def _whole_pipe(self) -> Pipe:
        pipe = self._pipe()
        if self._rest:
            fail(self.source, self._at, f"unexpected {self._rest[-1].text!r}")
        return pipe

    def _pipe(self) -> Pipe:
        names, declares = self._assigned()
        commands: list[tuple[Expr, ...]] = []
        while True:
            command: list[Expr] = []
            while self._rest and self._rest[-1].text not in {"|", ")"}:
                command.append(self._operand())
            if not command:
                fail(self.source, self._at, "missing value")
            if command[0].kind != "call" and (commands or len(command) > 1):
                fail(self.source, self._at, "only a function takes arguments")
            commands.append(tuple(command))
            if not self._rest or self._rest[-1].text == ")":
                return Pipe(tuple(commands), names, declares)
            self._rest.pop()

    def _assigned(self) -> tuple[tuple[str, ...], bool]:
        """`$x :=`, `$x =` or `$i, $x :=` at the beginning of a pipeline."""
        texts = [token.text for token in self._rest[:-5:-1]]
        for count, width in ((1, 2), (2, 4)):
            names, signs = texts[:width:2], texts[1:width:2]
            separated = signs[:-1] == [","] * (count - 1)
            if len(signs) == count and separated and signs[-1] in {":=", "="}:
                if not all(name.startswith("$") and len(name) > 1 for name in names):
                    break
                del self._rest[-width:]
                return tuple(names), signs[-1] == ":="
        return (), False

    def _operand(self) -> Expr:
        token = self._rest.pop()
        names: list[str] = []
        if token.kind == "string":
            raw = token.text[0] == "`"
            expr = Expr("value", token.text[1:-1] if raw else self._unquote(token.text))
        elif token.kind == "number":
            expr = Expr("value", float(token.text) if "." in token.text else int(token.text))
        elif token.kind == "variable":
            expr = Expr("variable", token.text)
        elif token.kind == "word" and token.text in {"true", "false", "nil"}:
            expr = Expr("value", {"true": True, "false": False}.get(token.text))
        elif token.kind == "word" and token.text in FUNCTIONS:
            expr = Expr("call", token.text)
        elif token.kind == "word":
            fail(self.source, token.start, f'function "{token.text}" not defined')
        elif token.text == "(":
            expr, token = self._group(token)
        elif token.kind in {"dot", "field"}:
            expr = Expr("dot")
            names += [token.text[1:]] if token.kind == "field" else []
        else:
            fail(self.source, token.start, f"unexpected {token.text!r}")
        end = token.end
        while self._rest and self._rest[-1].kind == "field" and self._rest[-1].start == end:
            token = self._rest.pop()
            names.append(token.text[1:])
            end = token.end
        if "Response" in names and self.response_at is None:
            self.response_at = token.start
        self.fields.update(names)
        return Expr(expr.kind, expr.value, tuple(names))

    def _group(self, token: _Token) -> tuple[Expr, _Token]:
        self._depth += 1
        if self._depth > DEEPEST:
            fail(self.source, token.start, "too deeply nested")
        pipe = self._pipe()
        if not self._rest:
            fail(self.source, token.start, "unclosed parenthesis")
        self._depth -= 1
        return Expr("pipe", pipe), self._rest.pop()

    def _unquote(self, text: str) -> str:
        try:
            return str(json.loads(text, strict=False))
        except ValueError:
            fail(self.source, self._at, f"unknown escape in {text[:40]}")

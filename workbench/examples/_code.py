"""Examples out of Python sources, by their syntax trees.

| kind      | given                                | to learn                                |
|-----------|--------------------------------------|-----------------------------------------|
| docstring | a function's signature and docstring | its body                                |
| function  | a function without its docstring     | the docstring                           |
| gap       | what stands before and after a gap   | a block, statement, expression or line  |

Left out are files that do not parse, generated ones and (unless asked for) tests, functions whose
docstring or body says nothing, what is too long to be one example, and what came before. The same
documents, kinds and seed give the same examples; a file's gaps do not depend on other files.
Nothing of a source is run.
"""

from __future__ import annotations

import ast
import random
import re
import warnings
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate, islice
from textwrap import dedent
from typing import TYPE_CHECKING, Any, Literal, get_args

from workbench.errors import DataError
from workbench.examples._records import Example, Form
from workbench.texts import nearest

if TYPE_CHECKING:
    from workbench.gather import Document

CodeKind = Literal["docstring", "function", "gap"]
_CodeForm = Literal["completion", "conversation"]
_LONGEST = 1_000_000  # characters of a source
_BODY = (20, 6000)  # characters of a function's body, at least and at most
_WORDS = 4  # of a docstring that says something
_GAP = (4, 1200)  # characters of a gap
_AROUND = 3000  # characters before and after it
_LINES_A_GAP = 60  # a file of fewer lines has one gap
_MOST_GAPS = 8
_TEST = re.compile(r"(^|/)(tests?|testing)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$", re.I)
_GENERATED = re.compile(r"@generated|\bdo not (edit|modify)\b|\bgenerated (by|from)\b", re.I)
_LINE = re.compile(r"^[ \t]*([^#\s].*)$", re.M)
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def code_examples(
    documents: Iterable[Document],
    kinds: Sequence[str] = ("docstring",),
    *,
    seed: int = 0,
    limit: int | None = None,
    form: _CodeForm = "completion",
    tests: bool = False,
    counts: Counter[str] | None = None,
) -> Iterator[Example]:
    """Examples of the sources among the documents, file by file.

    "docstring" and "function" give completions, or conversations where `form` says so; "gap"
    gives gaps, and cannot be mixed with them, since a dataset has one form. `counts` is told what
    was read and what was left out. Raises DataError for kinds that are unknown or do not mix.
    """
    wanted = _checked(kinds, form)
    told: Counter[str] = Counter() if counts is None else counts
    return islice(_examples(documents, wanted, seed, form, tests, told), limit)


def _checked(kinds: Sequence[str], form: str) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys([kinds] if isinstance(kinds, str) else kinds))
    asked = [*((kind, get_args(CodeKind)) for kind in wanted), (form, get_args(_CodeForm))]
    for name, known in asked:
        if name not in known:
            raise DataError(f"Code gives no {name!r}.{nearest(name, known)}")
    if not wanted or ("gap" in wanted and len(wanted) > 1):
        raise DataError("Choose kinds of one form: gap, or docstring and function.")
    return wanted


def _examples(
    documents: Iterable[Document], kinds: Sequence[str], seed: int, form: Form, tests: bool,
    told: Counter[str],
) -> Iterator[Example]:  # fmt: skip
    seen: set[bytes] = set()  # 16 bytes for each function or gap
    for document in documents:
        if not (source := _parsed(document, tests, told)):
            continue
        told["files read"] += 1
        for kind in kinds:
            made = _gaps(source, seed) if kind == "gap" else _functions(source, kind, form, told)
            for example in made:
                key = blake2b(b"".join(example.canonical().split()), digest_size=16).digest()
                told["duplicates left out" if key in seen else f"examples: {kind}"] += 1
                if key not in seen:
                    yield example
                seen.add(key)


@dataclass(frozen=True, slots=True)
class _Source:
    document: Document
    text: str
    lines: list[str]
    starts: list[int]  # of each line, in characters
    tree: ast.Module

    def about(self, kind: str, line: int, name: str) -> dict[str, Any]:
        known = {"address": self.document.address, "line": line, "name": name, "kind": kind}
        return known | {"language": "python", "licence": self.document.licence}

    def place(self, line: int, column: int) -> int:
        """In characters, of a line counted from 1 and a column in bytes."""
        text = self.lines[line - 1]
        wide = not text.isascii()
        return self.starts[line - 1] + (len(text.encode()[:column].decode()) if wide else column)


def _parsed(document: Document, tests: bool, told: Counter[str]) -> _Source | None:
    """The source; None where it is left out, which is counted."""
    path = document.address.partition("#")[0]
    if document.language.lower() != "python" and not path.endswith(".py"):
        return None
    text = document.text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    generated = path.endswith("_pb2.py") or _GENERATED.search(text[:1000])
    reasons = {"too long": len(text) > _LONGEST, "generated": generated}
    reasons["tests"] = not tests and _TEST.search(path)
    reason = next((name for name, true in reasons.items() if true), "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in strings
            tree = ast.parse("" if reason else text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        reason = "do not parse"
    if reason:
        told[f"files left out: {reason}"] += 1
        return None
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    return _Source(document, text, lines, starts, tree)


# ---- functions and their docstrings


def _functions(source: _Source, kind: str, form: Form, told: Counter[str]) -> Iterator[Example]:
    for name, node in _named(source.tree):
        docstring = ast.get_docstring(node) or ""
        if len(docstring.split()) < _WORDS:
            told["functions left out: no useful docstring"] += 1
            continue
        if not (cut := _cut(source, node)):
            told["functions left out: empty, too long or oddly written"] += 1
            continue
        signature, quoted, body = cut
        if kind == "docstring":
            prompt, answer = signature + quoted, body
            asked = f"Write the body of this Python function.\n\n```python\n{prompt}```"
            reply = f"```python\n{prompt}{answer}```"
        else:
            code = f"```python\n{signature}{body}```"
            asked = f"Write the docstring of this Python function.\n\n{code}"
            prompt, answer, reply = f"{asked}\n\n", docstring, docstring
        fields: dict[str, Any] = {"prompt": prompt, "completion": answer}
        if form == "conversation":
            turns = ({"role": "user", "content": asked}, {"role": "assistant", "content": reply})
            fields = {"messages": list(turns)}
        yield Example(form, fields, source.about(kind, node.lineno, name))


def _named(tree: ast.Module) -> list[tuple[str, _Function]]:
    """All functions with their dotted names, by line."""
    found: list[tuple[str, _Function]] = []
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        name, node = waiting.pop()
        if isinstance(node, _Function | ast.ClassDef):
            name = f"{name}.{node.name}".lstrip(".")
        if isinstance(node, _Function):
            found.append((name, node))
        waiting += [(name, child) for child in ast.iter_child_nodes(node)]
    return sorted(found, key=lambda pair: (pair[1].lineno, pair[1].col_offset))


def _cut(source: _Source, node: _Function) -> tuple[str, str, str] | None:
    """Signature, docstring and body, each whole lines; None for what is no good example."""
    first, rest = node.body[0], node.body[1:]
    if not rest or all(isinstance(one, ast.Pass | ast.Raise) for one in rest):
        return None
    start = min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1
    begins, ends = first.lineno - 1 - start, (first.end_lineno or 0) - start
    whole = dedent("\n".join(source.lines[start : node.end_lineno]))
    lines = [f"{line}\n" for line in whole.split("\n")]
    signature, quoted, body = map("".join, (lines[:begins], lines[begins:ends], lines[ends:]))
    borders = node.lineno - 1 < first.lineno - 1 and rest[0].lineno > (first.end_lineno or 0)
    good = borders and not signature[:1].isspace()  # the docstring has lines of its own
    least, most = _BODY
    return (signature, quoted, body) if good and least <= len(body.strip()) <= most else None


# ---- gaps


def _gaps(source: _Source, seed: int) -> Iterator[Example]:
    """Some gaps of a file, by place: of each a way is drawn first, then where."""
    digest = blake2b(f"{seed}\0{source.text}".encode("utf-8", "replace"), digest_size=8).digest()
    draw = random.Random(int.from_bytes(digest))  # noqa: S311 (it is to be repeatable)
    ways = [sorted(way) for way in _ways(source) if way]
    many = min(_MOST_GAPS, 1 + len(source.lines) // _LINES_A_GAP)
    chosen = {draw.choice(draw.choice(ways)) for _ in range(many)} if ways else set()
    for start, end in sorted(chosen):
        low = bisect_left(source.starts, start - _AROUND)  # the first line that is whole
        high = bisect_left(source.starts, end + _AROUND) - 1
        before = source.text[min(source.starts[low], start) : start]
        after = source.text[end : max(source.starts[high], end)]
        line = source.text.count("\n", 0, start) + 1
        fields = {"prefix": before, "middle": source.text[start:end], "suffix": after}
        yield Example("gap", fields, source.about("gap", line, ""))


def _ways(source: _Source) -> tuple[set[tuple[int, int]], ...]:
    """Blocks, statements, expressions and lines that can be a gap."""
    nodes = list(ast.walk(source.tree))
    strings = (node for node in nodes if isinstance(node, ast.JoinedStr))
    inside = {id(part) for string in strings for part in ast.walk(string)}  # have wrong places
    statements = [node for node in nodes if isinstance(node, ast.stmt)]
    values = [node for node in nodes if isinstance(node, ast.expr) and id(node) not in inside]
    bodies: list[Any] = [getattr(x, name, ()) for x in statements for name in ("body", "orelse")]
    every = (
        {_span(source, body[0], body[-1]) for body in bodies if len(body) > 1},
        {_span(source, node, node) for node in statements},
        {_span(source, x, x) for x in values if not isinstance(x, ast.Constant | ast.Name)},
        {found.span(1) for found in _LINE.finditer(source.text)},
    )
    least, most = _GAP
    return tuple({(a, b) for a, b in way if least <= b - a <= most} for way in every)


def _span(source: _Source, first: Any, last: Any) -> tuple[int, int]:
    start = source.place(first.lineno, first.col_offset)
    return start, source.place(last.end_lineno, last.end_col_offset)

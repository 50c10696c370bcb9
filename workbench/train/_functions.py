"""Functions found in sources: the name, the call, the first sentence of the docstring, the code.

They are the answers from which chat turns are made (`_turns.py`). Only those of a size that fits
into a turn, without decorators, as they would stand in a file of their own.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from workbench.train._corpus import Source

_LINES = range(2, 33)
_CHARACTERS = range(60, 1100)


@dataclass(frozen=True, slots=True)
class Function:
    """One function. `docstring` is its first sentence, "" without one; `bare` lacks it."""

    name: str
    call: str  # name(arguments)
    docstring: str
    code: str
    bare: str  # the code without its docstring


def functions(sources: Iterable[Source]) -> Iterator[Function]:
    """The functions of `sources` that fit into a turn, each code once."""
    seen: set[str] = set()
    for source in sources:
        for function in _of(source):
            if function.code not in seen:
                seen.add(function.code)
                yield function


def _of(source: Source) -> Iterator[Function]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old escapes in old files
            tree = ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError):
        return
    lines = source.text.split("\n")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = _function(node, lines)
            if function is not None:
                yield function


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> Function | None:
    first, last = node.lineno - 1, node.end_lineno or node.lineno
    code = textwrap.dedent("\n".join(lines[first:last]))
    if last - first not in _LINES or len(code) not in _CHARACTERS or node.name.startswith("__"):
        return None
    if not code.startswith(("def ", "async def ")):  # after a decorator or a `;` on its line
        return None
    method = "self" in [argument.arg for argument in node.args.args]
    sentence, bare = _first_sentence(ast.get_docstring(node) or ""), code
    if method and not sentence:
        return None  # without its class and without a word it teaches nothing about asking
    if sentence and len(node.body) > 1:
        head = node.body[0]
        kept = lines[first : head.lineno - 1] + lines[head.end_lineno or head.lineno : last]
        bare = textwrap.dedent("\n".join(kept))
    return Function(node.name, f"{node.name}({_arguments(node)})", sentence, code, bare)


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The arguments' names as in a call; a method's `self` is nobody's to write."""
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    return ", ".join(name for name in names if name not in {"self", "cls"})


def _first_sentence(docstring: str) -> str:
    """The first sentence on one line without its full stop; "" when it says too little."""
    paragraph = " ".join(docstring.split("\n\n")[0].split())
    sentence = re.split(r"(?<=[a-z)\]'`])\. ", paragraph)[0].rstrip(".")
    return sentence if 12 <= len(sentence) <= 160 and " " in sentence else ""

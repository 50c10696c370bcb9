"""Functions found in sources: the name, the call, the first sentence of the docstring, the code.

They are the answers from which chat turns are made (`_turns.py`). Only those of a size that fits
into a turn, without decorators, as they would stand in a file of their own. Of a docstring the
first sentence is kept: the question repeats it, and a model that sees that in every turn soon
learns to take its answer's words from the question.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from workbench.starter._corpus import Source

_LINES = range(2, 31)
_CHARACTERS = range(50, 1000)


@dataclass(frozen=True, slots=True)
class Function:
    """One function. `docstring` is its first sentence, "" when there is none."""

    name: str
    call: str  # name(arguments)
    docstring: str
    code: str  # with the docstring cut to that sentence
    bare: str  # without it


def functions(sources: Iterable[Source]) -> Iterator[Function]:
    """The functions of `sources` that fit into a turn, each code once."""
    seen: set[str] = set()
    for source in sources:
        for function in _of(source):
            if function.bare not in seen:
                seen.add(function.bare)
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
    words = ast.get_docstring(node) or ""
    sentence = _first_sentence(words)
    method = "self" in [argument.arg for argument in node.args.args]
    if node.name.startswith("__") or (method and not sentence):
        return None  # without its class and without a word it teaches nothing about asking
    body = node.body[1:] if words else node.body
    if not body or (words and body[0].lineno == node.body[0].lineno):
        return None
    begin = node.body[0].lineno - 1
    head = lines[first:begin]
    rest = lines[(node.body[0].end_lineno or begin) if words else begin : last]
    bare = textwrap.dedent("\n".join([*head, *rest])).rstrip()
    if len(bare.split("\n")) not in _LINES or len(bare) not in _CHARACTERS:
        return None
    if not head or not bare.startswith(("def ", "async def ")):
        return None  # all on one line, or after a `;`
    documented = [*head, f'{" " * node.body[0].col_offset}"""{sentence}."""', *rest]
    code = textwrap.dedent("\n".join(documented)).rstrip() if sentence else bare
    return Function(node.name, f"{node.name}({_arguments(node)})", sentence, code, bare)


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The arguments' names as in a call; a method's `self` is nobody's to write."""
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    return ", ".join(name for name in names if name not in {"self", "cls"})


def _first_sentence(docstring: str) -> str:
    """The first sentence on one line without its full stop; "" when it says too little."""
    paragraph = " ".join(docstring.split("\n\n")[0].split())
    sentence = re.split(r"(?<=[a-z)\]'`])\. ", paragraph)[0].rstrip(".")
    plain = " " in sentence and not set(sentence) & set('\\"')
    return sentence if 12 <= len(sentence) <= 160 and plain else ""

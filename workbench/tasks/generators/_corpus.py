"""Python files of our own, with other names for every seed, and their lines.

A name that the corpus lists is exchanged for one of its alternatives throughout a file, unless the
alternative is there already; methods of Python itself (`.items()`) keep their names.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from workbench.tasks.generators._chance import Chance
from workbench.tasks.generators._fill import data

_NAME = re.compile(r"[A-Za-z_]\w*")
_DULL = re.compile(r"(def |class |import |from |@|else|try|finally|except|pass|break|continue|#)")


@dataclass(frozen=True, slots=True)
class File:
    """One file of the corpus under the names of a seed."""

    name: str
    code: str
    proof: str  # code that fails unless the file does what it should

    @property
    def lines(self) -> list[str]:
        return self.code.splitlines()

    @property
    def names(self) -> set[str]:
        return set(_NAME.findall(self.code))


@lru_cache(maxsize=1024)
def variables(file: File) -> frozenset[str]:
    """Names that are given a value somewhere, but for the shortest."""
    nodes = [node for node in ast.walk(ast.parse(file.code)) if isinstance(node, ast.Name)]
    return frozenset(
        node.id for node in nodes if isinstance(node.ctx, ast.Store) and len(node.id) > 2
    )


@lru_cache(maxsize=8)
def corpus(seed: int) -> tuple[File, ...]:
    """All files, as this seed names things in them."""
    return tuple(_renamed(piece, seed) for piece in data("corpus")["pieces"])


def _renamed(piece: dict[str, Any], seed: int) -> File:
    chance = Chance("corpus", seed, piece["file"])
    code, proof = piece["code"], f"{piece.get('prepare', '')}\nassert {piece['check']}\n"
    for name, others in data("corpus")["rename"].items():
        words = set(_NAME.findall(code + proof))
        if name not in words:
            continue
        new = chance.pick([name, *(other for other in others if other not in words)])
        # `.name(` is ours only if the file defines it
        ours = re.search(rf"def {name}\b", code) is not None
        mark = re.compile(rf"\b{name}\b" if ours else rf"(?<!\.)\b{name}\b|\b{name}\b(?!\()")
        code, proof = mark.sub(new, code), mark.sub(new, proof)
    return File(piece["file"], code, proof)


@lru_cache(maxsize=1024)
def telling_lines(file: File, after: int = 5) -> tuple[int, ...]:
    """Indices of lines that say something and whose like cannot stand in any other file.

    No definitions, no texts in quotes, no words such as `else`; `after` lines stand before them.
    """
    quoted: set[int] = set()  # of strings over several lines, or alone on one
    for node in ast.walk(ast.parse(file.code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            quoted.update(range(node.lineno - 1, node.end_lineno or 0))
    return tuple(
        index
        for index, line in enumerate(file.lines)
        if index >= after
        and index not in quoted
        and len(line.strip()) >= 10
        and not _DULL.match(line.strip())
    )


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def names_in(line: str) -> set[str]:
    return set(_NAME.findall(line))

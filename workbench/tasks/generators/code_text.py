"""Whole pieces of Python: to be read ("text"), or of which the beginning is given ("header").

Texts are files of our corpus and functions of our tasks, under the names and rules of the seed.
"""

from __future__ import annotations

import ast

from workbench.scorers import Sample
from workbench.tasks.generators import functions
from workbench.tasks.generators._chance import Chance, collect, deal
from workbench.tasks.generators._corpus import corpus

SHORTEST = 600  # characters of a text


def texts(seed: int) -> list[tuple[str, str]]:
    """Names and texts of 600 to about 1,500 characters."""
    found = [(file.name, file.code) for file in corpus(seed)]
    chance = Chance("code text", seed)
    joined = ""
    for family in chance.shuffled(functions.families()):
        joined += functions.member(family, chance)["code"].strip() + "\n\n\n"
        if len(joined.rstrip()) >= SHORTEST:
            found.append((f"functions_{len(found)}", joined.rstrip() + "\n"))
            joined = ""
    return chance.shuffled(found)


def make(seed: int, *, ask: str, count: int) -> list[Sample]:
    """`ask` is "text" (for perplexity) or "header" (a function to be continued)."""
    pieces = texts(seed)
    if ask == "header":
        pieces = [(name, head) for name, code in pieces for head in _headers(code)]
    chosen = deal(Chance("code", ask, seed), pieces, count)

    def draw(index: int, chance: Chance) -> Sample:
        name, code = chosen[index]
        label = f"{name}.{seed}.{index}"
        return Sample(
            label, "" if ask == "text" else code, code if ask == "text" else None, group=name
        )

    return collect(f"code {ask}", seed, min(count, len(pieces)), draw)


def _headers(code: str) -> list[str]:
    """The code up to and with each function's first line. Without a body it is not yet Python."""
    lines = code.splitlines()
    ends = [node.lineno for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef)]
    return ["\n".join(lines[:end]) + "\n" for end in ends if lines[end - 1].endswith(":")]

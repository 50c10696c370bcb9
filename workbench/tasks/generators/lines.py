"""A line of Python, to be recognised or put back.

"next": which of four lines comes next; the other three are from other files, as far indented and
about as long, two of them with names of this file. "gap": a line is missing, to be
filled in between what is before and behind it. "slip": which of two forms of a line is Python;
the other one has a slip of the pen, or a word of another language, or a name from elsewhere.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable

from workbench.scorers import Sample
from workbench.tasks.generators._chance import Chance, collect, deal
from workbench.tasks.generators._corpus import (
    File,
    corpus,
    indent,
    names_in,
    telling_lines,
    variables,
)
from workbench.tasks.generators._fill import data
from workbench.tasks.generators._options import question

SEEN = 24  # lines


def make(seed: int, *, ask: str, count: int = 100) -> list[Sample]:
    """`ask` is "next", "gap" or "slip"."""
    files = deal(Chance("lines", ask, seed), corpus(seed), count)
    place = deal(Chance("lines", ask, seed, "places"), range(4 if ask == "next" else 2), count)
    forms: dict[str, Callable[[str, File, int, int, Chance, int], Sample]] = {
        "next": _next, "gap": _gap, "slip": _slip
    }  # fmt: skip

    def draw(index: int, chance: Chance) -> Sample:
        file = files[index]
        at = chance.pick(telling_lines(file, 2 if ask == "gap" else 5))
        return forms[ask](f"{file.name}.{seed}.{index}", file, at, place[index], chance, seed)

    return collect(f"lines {ask}", seed, count, draw)


def _before(file: File, at: int) -> str:
    """The lines before this one, as many as a small model can see."""
    return "\n".join(file.lines[max(0, at - SEEN) : at]) + "\n"


def _next(name: str, file: File, at: int, place: int, chance: Chance, seed: int) -> Sample:
    line, known = file.lines[at], sorted(variables(file))
    wrong: list[str] = []
    for other in chance.shuffled(one for one in corpus(seed) if one.name != file.name):
        fit = [
            text
            for text in (other.lines[index] for index in telling_lines(other))
            if indent(text) == indent(line) and 0.6 <= len(text.strip()) / len(line.strip()) <= 1.6
        ]
        if not fit or len(wrong) == 3:
            continue
        text = chance.pick(fit)
        if wrong:  # two of three speak of this file's things
            for strange in sorted(names_in(text) & variables(other) - file.names):
                text = re.sub(rf"\b{strange}\b", chance.pick(known), text)
        wrong += [text] if text not in (line, *wrong) else []
    if len(wrong) < 3:
        return _next(name, file, chance.pick(telling_lines(file)), place, chance, seed)
    return question(name, _before(file, at), line, wrong, place, letters=False, group=file.name)


def _gap(name: str, file: File, at: int, place: int, chance: Chance, seed: int) -> Sample:
    line = file.lines[at]
    behind = "\n" + "\n".join(file.lines[at + 1 : at + 1 + SEEN // 2]) + "\n"
    before = _before(file, at) + line[: indent(line)]
    return Sample(name, before, line.strip(), suffix=behind, group=file.name)


def _slip(name: str, file: File, at: int, place: int, chance: Chance, seed: int) -> Sample:
    line = file.lines[at]
    slips = [line.replace(good, bad, 1) for good, bad in data("corpus")["slips"] if good in line]
    known = sorted(names_in(line) & names_in(_before(file, at)) - set(keyword.kwlist))
    strange = sorted({name for one in corpus(seed) for name in variables(one)} - file.names)
    if known:
        mark = rf"\b{chance.pick(known)}\b"
        slips += [re.sub(mark, chance.pick(strange), line)] * 2
    wrong = chance.pick(slips or [line + ";;"])
    return question(name, _before(file, at), line, [wrong], place, letters=False, group=file.name)

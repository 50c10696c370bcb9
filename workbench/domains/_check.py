"""A Modelfile checked as it is typed: all that is wrong with it, where, and what to do.

Reading goes on after a mistake, so that one glance shows them all. An `error` keeps the model from
being made, a `warning` makes it work in another way than one would think, a `note` is worth
knowing. With an engine it is also told what the base model does not allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from workbench.domains._base import Base, absent, base_of, is_file, is_name
from workbench.domains._files import LONGEST
from workbench.domains._findings import MOST, Finding, instructions
from workbench.domains._template import template_findings, unwritten
from workbench.domains._values import parameter_findings
from workbench.protocol import Instruction
from workbench.texts import nearest

if TYPE_CHECKING:
    from workbench.engines import Engine

_ONCE = ("template", "system", "requires", "renderer", "parser", "draft")
_LEFT_OUT = ("requires", "renderer", "parser", "draft")
_SUITE = re.compile(r"\s*#\s*suite\s*:\s*(\S+)\s*")
_A_TOKEN = 4  # characters of English, about
_DEFAULT_CONTEXT = 8192


def check(text: str, *, engine: Engine | None = None, base: str | None = None) -> list[Finding]:
    """All that is to be said of a Modelfile, in the order of its lines; empty when it is well.

    `base` takes the place of what FROM says. Raises EngineError when the engine does not answer.
    """
    if len(text) > LONGEST:
        words = f"This is longer than {LONGEST >> 10} kB, too much for a Modelfile."
        return [Finding(1, 1, "error", words, "Shorten it.")]
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    lines = text.split("\n")
    read, found = instructions(text)
    sources = [one for one in read if one.keyword == "from"]
    known, more = _base(sources, engine, base)
    found += more
    found += _parameters(lines, read, known)
    found += _texts(read)
    found += _suite(lines, read)
    return sorted(found, key=lambda one: (one.line, one.column))[:MOST]


def _base(
    sources: Sequence[Instruction], engine: Engine | None, base: str | None
) -> tuple[Base | None, list[Finding]]:
    """What is known of the base, and what is wrong with the FROM lines."""
    found: list[Finding] = []
    if not sources:
        words = "There is no FROM line, which names the model to build on."
        found.append(Finding(1, 1, "error", words, "Write for instance: FROM starter:latest"))
    for one in sources[1:]:
        words = "A second FROM line is only for files that belong together."
        found.append(Finding(one.line, 1, "warning", words, "Keep one of them."))
    name = base or (sources[0].value if sources else "")
    line = sources[0].line if sources else 1
    if not name:
        return None, found
    if is_file(name):
        words = "This names a file. A domain is built on an installed model."
        fix = "`workbench models create` makes a model of it, which can then be named here."
        return None, [*found, Finding(line, 1, "note", words, fix)]
    if not is_name(name):
        words = f"{name[:60]!r} cannot be a model's name."
        fix = "Use letters, digits, '-', '_' and '.', with a tag after ':'."
        return None, [*found, Finding(line, 1, "error", words, fix)]
    known = base_of(engine, name) if engine is not None else None
    if engine is not None and known is None:
        words, _, fix = absent(engine, name).partition(". ")
        found.append(Finding(line, 1, "error", f"{words}.", fix))
    elif known is not None and not known.chats:
        words = f"{known.name} writes no texts: it may be an embedding model."
        found.append(Finding(line, 1, "error", words, "Name a model that answers."))
    return known, found


def _parameters(
    lines: Sequence[str], read: Sequence[Instruction], known: Base | None
) -> Iterator[Finding]:
    given = [one for one in read if one.keyword == "parameter"]
    context, name = (known.context, known.name) if known else (None, "")
    yield from parameter_findings(lines, given, context, name)
    own = [one.value for one in read if one.keyword == "template"]
    template = own[-1] if own else known.template if known else ""
    yield from unwritten([one for one in given if one.label == "stop"], template)


def _texts(read: Sequence[Instruction]) -> Iterator[Finding]:
    """Templates, system texts, turns, adapters, and what is there twice."""
    last = {one.keyword: one for one in read}
    for one in read:
        if one.keyword in _ONCE and last[one.keyword] is not one:
            words = f"{one.keyword.upper()} is there again in line {last[one.keyword].line}."
            yield Finding(one.line, 1, "warning", words, "The last one counts: delete the other.")
        elif one.keyword in _LEFT_OUT:
            words = f"{one.keyword.upper()} is Ollama's own and left out here."
            yield Finding(one.line, 1, "note", words, "Nothing is to be done.")
        elif one.keyword == "adapter":
            words = "An ADAPTER is a file, which a domain cannot have."
            fix = "`workbench models create` makes a model with it, which can be named in FROM."
            yield Finding(one.line, 1, "note", words, fix)
    if "template" in last:
        yield from template_findings(last["template"], "system" in last)
    if "message" in last and last["message"].label == "user":
        words = "The last MESSAGE is the user's, so every conversation begins with two of them."
        yield Finding(last["message"].line, 1, "warning", words, "Add MESSAGE assistant …")
    if "system" in last:
        yield from _system(last["system"], read)


def _system(system: Instruction, read: Sequence[Instruction]) -> Iterator[Finding]:
    given = [one.value for one in read if (one.keyword, one.label) == ("parameter", "num_ctx")]
    context = int(given[-1]) if given and given[-1].isdecimal() else _DEFAULT_CONTEXT
    tokens = len(system.value) // _A_TOKEN
    if tokens > context // 2:
        words = f"The system text is about {tokens} of {context} tokens of context."
        fix = "Shorten it, or raise num_ctx; otherwise little room is left for the conversation."
        yield Finding(system.line, 1, "warning", words, fix)


def _suite(lines: Sequence[str], read: Sequence[Instruction]) -> Iterator[Finding]:
    from workbench.tasks import suites

    for number, line in enumerate(lines[: read[0].line - 1 if read else len(lines)], 1):
        match = _SUITE.fullmatch(line)
        if match and match[1] not in suites():
            words = f"There is no suite {match[1][:60]!r} to measure it with."
            yield Finding(number, 1, "warning", words, nearest(match[1], suites()).strip())

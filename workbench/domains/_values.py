"""The PARAMETER lines of a Modelfile: names, kinds, ranges, and what does not go together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from workbench.domains._findings import Finding
from workbench.errors import InvalidRequest
from workbench.protocol import DEPRECATED_OPTIONS, OPTIONS, Instruction, Option, option_from_text
from workbench.texts import nearest

_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}


def parameter_findings(
    lines: Sequence[str], given: Sequence[Instruction], context: int | None, base: str
) -> Iterator[Finding]:
    """What is wrong with the parameters `given`; `context` is what the base was trained for."""
    values: dict[str, tuple[Instruction, Any]] = {}
    stops: set[str] = set()
    for one in given:
        finding = _one(lines, one)
        if finding is not None:
            yield finding
            if finding.severity != "warning":
                continue
        if one.label == "stop":
            yield from _stop(one, stops)
            continue
        if one.label in values:
            before = values[one.label][0]
            yield Finding(
                before.line, 1, "warning",
                f"{one.label} is set again in line {one.line}, which is the one that counts.",
                "Delete one of the two lines.",
            )  # fmt: skip
        values[one.label] = (one, option_from_text(one.label, one.value))
    yield from _together(values, context, base)


def _one(lines: Sequence[str], one: Instruction) -> Finding | None:
    line = lines[one.line - 1]
    at_name = line.find(one.label, line.upper().find("PARAMETER") + 9) + 1
    at_value = max(1, line.find(one.value, at_name + len(one.label) - 1) + 1)
    if one.label in DEPRECATED_OPTIONS:
        words = f"{one.label} is of older versions and changes nothing any more."
        return Finding(one.line, at_name, "note", words, "Delete the line.")
    option = OPTIONS.get(one.label)
    if option is None:
        words = f"There is no parameter {one.label!r}."
        return Finding(one.line, at_name, "error", words, nearest(one.label, OPTIONS).strip())
    try:
        value = option_from_text(one.label, one.value)
    except InvalidRequest:
        words = f"{one.value[:40]!r} cannot be the value of {one.label}."
        return Finding(one.line, at_value, "error", words, _wanted(option))
    low, high = option.minimum, option.maximum
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and ((low is not None and value < low) or (high is not None and value > high)):
        words = f"{one.label} {one.value} is outside of what makes sense: {low:g} to {high:g}."
        return Finding(one.line, at_value, "warning", words, f"{option.meaning} {_wanted(option)}")
    return None


def _wanted(option: Option) -> str:
    if option.choices:
        return f"Write one of {', '.join(option.choices)}."
    kind = _KINDS.get(option.kind, "a text")
    if option.minimum is not None and option.maximum is not None:
        kind += f" from {option.minimum:g} to {option.maximum:g}"
    usual = "" if option.default is None else f"; {option.default} is the default"
    return f"Write {kind}{usual}."


def _stop(one: Instruction, seen: set[str]) -> Iterator[Finding]:
    if not one.value:
        words = "An empty text cannot stop an answer."
        yield Finding(one.line, 1, "error", words, "Write the text after which it ends.")
    elif one.value in seen:
        yield Finding(one.line, 1, "note", "This stop text is there twice.", "Delete one line.")
    if "\\n" in one.value or "\\t" in one.value:
        yield Finding(
            one.line, 1, "warning", "There are no escapes: \\n is a backslash and an n.",
            'Put the text between """ and break the line there.',
        )  # fmt: skip
    seen.add(one.value)


def _together(
    values: dict[str, tuple[Instruction, Any]], context: int | None, base: str
) -> Iterator[Finding]:
    window, length = values.get("num_ctx"), values.get("num_predict")
    if window and context and window[1] > context:
        yield Finding(
            window[0].line, 1, "warning",
            f"num_ctx {window[1]} is more than {base} was trained for: {context} tokens.",
            f"Write {context} or less; a model that is built gets {context}.",
        )  # fmt: skip
    if window and length and length[1] >= window[1]:
        yield Finding(
            length[0].line, 1, "warning",
            f"num_predict {length[1]} leaves no room for the question in a context of "
            f"{window[1]} tokens.",
            "Make num_predict smaller, a quarter of num_ctx for instance.",
        )  # fmt: skip

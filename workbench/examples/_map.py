"""From rows to examples: each form's fields out of a file's columns.

What a row says of itself (label, licence, tools, its own `about`) goes into `about`, with the file
and the line. A system prompt is kept: prompt and completion become a conversation where there is a
column for it. A row that cannot be used is a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.examples._findings import Finding, Findings
from workbench.examples._lines import Row
from workbench.examples._read import read_rows
from workbench.examples._recognise import Shape, given, recognise
from workbench.examples._records import Example, Form
from workbench.examples._values import (
    Unusable,
    as_messages,
    dialogue_of,
    filled,
    messages_of,
    text_of,
)

_PREVIEWED = 1000  # rows looked at for a preview


@dataclass(frozen=True, slots=True)
class Preview:
    """The first examples of a file and what is wrong in its first rows."""

    shape: Shape
    examples: tuple[Example, ...]
    findings: tuple[Finding, ...]


def shape_of(
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    form: str | None = None,
    *,
    format: str = "auto",
) -> Shape:
    """How the file's rows become examples: as recognised, or as said. Raises DataError where
    nothing fits, or for names that the file does not have."""
    path = Path(path).expanduser()
    return given(columns, form, recognise(path, format=format), path)


def to_examples(
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    form: str | None = None,
    *,
    format: str = "auto",
) -> Iterator[Example | Finding]:
    """The file's examples in order, and what cannot be one. Raises DataError as `shape_of`."""
    path = Path(path).expanduser()
    shape = shape_of(path, columns, form, format=format)
    for row in read_rows(path, format=shape.format):
        yield row if isinstance(row, Finding) else to_example(row, shape, path)


def form_of(shape: Shape) -> Form:
    """The form that the examples have."""
    if shape.form == "completion" and "system" in shape.columns:
        return "conversation"
    return shape.form or "text"


def to_example(row: Row, shape: Shape, path: Path) -> Example | Finding:
    """One row as an example, or why it is none."""
    values = {use: row.values.get(column) for use, column in shape.columns.items()}
    form = form_of(shape)
    try:
        fields = _MAKERS[form](values)
    except Unusable as error:
        severity = "warning" if error.code == "empty" else "error"
        return Finding(error.code, severity, str(error), str(path), row.line)  # type: ignore[arg-type]
    return Example(form, fields, _about(values, path, row.line))


def preview(
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    form: str | None = None,
    *,
    format: str = "auto",
    limit: int = 5,
) -> Preview:
    """The first examples and findings, for a person to look at. Raises DataError where the file
    cannot be read; where nothing fits, the shape's form is None and there are no examples."""
    path = Path(path).expanduser()
    shape = recognise(path, format=format)
    if columns or form or shape.form:
        shape = given(columns, form, shape, path)
    examples: list[Example] = []
    findings = Findings()
    for number, row in enumerate(read_rows(path, format=shape.format)):
        if number >= _PREVIEWED or len(examples) >= limit:
            break
        one = row if isinstance(row, Finding) or not shape.form else to_example(row, shape, path)
        if isinstance(one, Finding):
            findings.add(one)
        elif isinstance(one, Example):
            examples.append(one)
    return Preview(shape, tuple(examples), tuple(findings))


def _prompt(values: Mapping[str, Any]) -> str:
    """The instruction, and its input behind a blank line where there is one."""
    prompt = filled(values["prompt"], "prompt")
    more = values.get("input")
    more = "" if more is None else text_of(more, "input")
    return f"{prompt}\n\n{more}" if more.strip() else prompt


def _conversation(values: Mapping[str, Any]) -> dict[str, Any]:
    if "messages" in values:
        messages = messages_of(values["messages"], "messages")
    else:
        messages = _said(values["prompt"], "user", values) + _said(
            values["completion"], "assistant", {}
        )
    return {"messages": _system(values) + messages}


def _said(value: Any, role: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Messages as they are, or a text as the one message of this role."""
    if as_messages(value) is not None:
        return messages_of(value, role)
    text = _prompt(values) if "prompt" in values else filled(value, "completion")
    return [{"role": role, "content": text}]


def _system(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    system = values.get("system")
    text = "" if system is None else text_of(system, "system")
    return [{"role": "system", "content": text}] if text.strip() else []


def _preference(values: Mapping[str, Any]) -> dict[str, Any]:
    """Texts stay texts. Of two dialogues, the prompt is what both begin with."""
    chosen, rejected = values["chosen"], values["rejected"]
    system = _system(values)
    dialogues = "prompt" not in values or as_messages(chosen) is not None
    if not dialogues:
        texts = {"chosen": filled(chosen, "chosen"), "rejected": filled(rejected, "rejected")}
        if not system and as_messages(values["prompt"]) is None:
            return {"prompt": _prompt(values), **texts}
        answers = {key: [{"role": "assistant", "content": text}] for key, text in texts.items()}
        return {"prompt": system + _said(values["prompt"], "user", values), **answers}
    good, bad = dialogue_of(chosen, "chosen"), dialogue_of(rejected, "rejected")
    if "prompt" in values and good[0]["role"] == bad[0]["role"] == "assistant":
        prompt = _said(values["prompt"], "user", values)
        return {"prompt": system + prompt, "chosen": good, "rejected": bad}
    shared = 0
    while shared < min(len(good), len(bad)) - 1 and good[shared] == bad[shared]:
        shared += 1
    if not shared:
        raise Unusable("format", "The chosen and the rejected dialogue do not begin alike.")
    prompt = system + good[:shared]
    return {"prompt": prompt, "chosen": good[shared:], "rejected": bad[shared:]}


def _about(values: Mapping[str, Any], path: Path, line: int) -> dict[str, Any]:
    own = values.get("about")
    about = dict(own) if isinstance(own, Mapping) else {}
    for key in ("label", "licence", "tools"):
        if values.get(key) not in (None, ""):
            about[key] = values[key]
    return about | {"file": path.name, "line": line}


_MAKERS: Mapping[Form, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "text": lambda values: {"text": filled(values["text"], "text")},
    "conversation": _conversation,
    "completion": lambda values: {
        "prompt": _prompt(values), "completion": filled(values["completion"], "completion"),
    },
    "preference": _preference,
    "gap": lambda values: {
        "prefix": text_of(values["prefix"], "prefix"),
        "middle": filled(values["middle"], "middle"),
        "suffix": text_of(values["suffix"], "suffix"),
    },
}  # fmt: skip

"""Templates of a Modelfile: whether they can be read and render, and what they leave out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from workbench.domains._findings import Finding
from workbench.errors import InvalidRequest
from workbench.protocol import Instruction, compose, is_go_template, parse_template

EXAMPLE = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "First question?"},
    {"role": "assistant", "content": "First answer."},
    {"role": "user", "content": "Second question?"},
)
_LINE = re.compile(r"template error: line (\d+): (.*)", re.DOTALL)
_MARK = re.compile(r"<[^<>\s]{1,60}>|\[/?[A-Za-z_]{1,40}\]")
_GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")  # Hugging Face's own tag
_NO_QUESTION = "The template never writes what the user says."
_HOW = "Use {{ .Prompt }}, or {{ range .Messages }} with {{ .Content }} inside."


def template_findings(template: Instruction, has_system: bool) -> Iterator[Finding]:
    """What is wrong with one TEMPLATE; `has_system` where the Modelfile has a SYSTEM text."""
    if is_go_template(template.value):
        yield from _go(template, has_system)
    else:
        yield from _jinja(template)


def _go(template: Instruction, has_system: bool) -> Iterator[Finding]:
    try:
        fields = parse_template(template.value).fields
        written = compose(template.value, EXAMPLE)
    except InvalidRequest as error:
        match = _LINE.match(str(error))
        line = template.line + (int(match[1]) - 1 if match else 0)
        words = match[2] if match else str(error)
        yield Finding(
            min(line, template.end), 1, "error", f"The template cannot be read: {words[:200]}.",
            "Mend this place; docs/modelfile.md shows what templates know.",
        )  # fmt: skip
        return
    if EXAMPLE[-1]["content"] not in written:
        yield Finding(template.line, 1, "error", _NO_QUESTION, _HOW)
    if has_system and not {"System", "Messages"} & fields:
        yield Finding(
            template.line, 1, "warning", "The template never writes the system text.",
            "Put {{ .System }} where it belongs.",
        )  # fmt: skip


def _jinja(template: Instruction) -> Iterator[Finding]:
    from jinja2 import TemplateSyntaxError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    text = _GENERATION.sub("", template.value)
    try:  # read, never run: it is foreign code, and the engine renders it in a process of its own
        ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols"]).parse(text)
    except TemplateSyntaxError as error:
        line = min(template.line + error.lineno - 1, template.end)
        yield Finding(
            line, 1, "error", f"The template is no Jinja: {str(error.message)[:200]}",
            "Mend this place, or write it in Go's kind (docs/modelfile.md).",
        )  # fmt: skip
    except RecursionError:
        yield Finding(
            template.line, 1, "error", "The template is nested too deeply.", "Flatten it."
        )
    else:
        if "message" not in template.value:
            yield Finding(template.line, 1, "error", _NO_QUESTION, "Go through `messages`.")


def unwritten(stops: Sequence[Instruction], template: str) -> Iterator[Finding]:
    """Warnings for stop texts that look like a template's marks and are not among them."""
    for one in stops:
        if template and one.value not in template and _MARK.fullmatch(one.value):
            yield Finding(
                    one.line, 1, "warning",
                    f"The model's template never writes {one.value}, so it hardly ever comes.",
                    "Use a mark that ends a turn in the template, or leave the line out: the "
                    "model's own end of a turn stops it anyway.",
                )  # fmt: skip

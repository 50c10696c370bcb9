"""Templates of prompts: jinja2 in its sandbox, cut down to what a prompt needs.

A template may come with a file from somebody else. So it can put fields in, loop over lists,
choose with `if` and use the filters below; it cannot call, multiply or import, and neither chance
nor the clock is at hand: the same row always gives the same prompt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

_FILTERS = re.compile(
    "abs|capitalize|count|d|default|dictsort|first|float|int|items|join|last|length|list|lower|max|min|"
    "reverse|round|sort|string|sum|title|tojson|trim|truncate|unique|upper|wordcount"
)
_NODES = re.compile(
    "Template|Output|TemplateData|Name|Const|Getattr|Getitem|Slice|Filter|Test|Compare|Operand|And|Or|"
    "Not|CondExpr|Concat|Add|Sub|List|Tuple|Dict|Pair|For|If|Keyword|Neg"
)
_LONGEST = 4 << 20


class TemplateProblem(ValueError):
    """A template that cannot be used, or not with this row; the message says why."""


def is_template(text: str) -> bool:
    """Whether the text has jinja's marks; else it is the name of a field."""
    return "{{" in text or "{%" in text


@lru_cache(maxsize=256)
def compiled(text: str) -> Any:
    """The template, checked. Raises TemplateProblem."""
    from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    try:
        for node in [tree := environment.parse(text), *tree.find_all(nodes.Node)]:
            reason = ""
            if not _NODES.fullmatch(type(node).__name__):
                reason = f"{type(node).__name__.lower()} is not allowed in a prompt's template"
            elif isinstance(node, nodes.Filter) and not _FILTERS.fullmatch(node.name):
                reason = f"the filter {node.name} is not allowed in a prompt's template"
            elif isinstance(node, nodes.For) and any(node.find_all(nodes.For)):
                reason = "a loop inside a loop is not allowed in a prompt's template"
            if reason:
                raise TemplateProblem(f"line {node.lineno} of it: {reason}")
        return environment.from_string(text)
    except TemplateSyntaxError as error:
        raise TemplateProblem(f"line {error.lineno} of it: {error.message}") from None
    except (TemplateError, RecursionError) as error:
        raise TemplateProblem(str(error) or "it is nested too deeply") from None


def render(text: str, fields: Mapping[str, Any]) -> str:
    """The text with the fields put in. Raises TemplateProblem."""
    if text == "{{ prompt }}" and isinstance(fields.get("prompt"), str):
        return str(fields["prompt"])
    pieces: list[str] = []
    length = 0
    try:
        for piece in compiled(text).generate(dict(fields)):
            pieces.append(piece)
            length += len(piece)
            if length > _LONGEST:
                raise TemplateProblem("the text that the template makes is longer than 4 MB")
    except TemplateProblem:
        raise
    except Exception as error:  # undefined names, wrong types, whatever a filter raises
        raise TemplateProblem(str(error)[:300]) from None
    return "".join(pieces)

"""A domain's page as Markdown: what it is for, how it is measured, what it is made of."""

from __future__ import annotations

import re

from workbench.domains._shelf import Domain, find
from workbench.errors import TaskError
from workbench.protocol import OPTIONS, Modelfile, Option
from workbench.tasks import find_suite
from workbench.texts import for_markdown


def parameters() -> list[Option]:
    """What a PARAMETER line can set: name, kind, default, range, choices, meaning."""
    return list(OPTIONS.values())


def page(name: str) -> str:
    """The page of a domain. Raises ModelfileError for an unknown one."""
    domain = find(name)
    modelfile = domain.parsed
    parts = [
        f"# {for_markdown(domain.title)}",
        for_markdown(domain.about),
        _use(domain, modelfile),
        _examples(domain),
        _measured(domain),
        _set(modelfile),
        f"## What it is told\n\n{_fenced(modelfile.system)}" if modelfile.system else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _use(domain: Domain, modelfile: Modelfile) -> str:
    whose = "is yours" if domain.own else "ships with the workbench"
    base = for_markdown(", ".join(modelfile.from_))
    command = f"workbench models build --domain {domain.name}"
    commands = _fenced(f"{command}\n{command} --base MODEL --name mine")
    return f"This domain {whose}. It is built on {base} unless you name another.\n\n{commands}"


def _examples(domain: Domain) -> str:
    if not domain.asks:
        return ""
    return "## Questions to try\n\n" + "\n".join(f"- {for_markdown(ask)}" for ask in domain.asks)


def _measured(domain: Domain) -> str:
    if not domain.suite:
        return ""
    try:
        suite = find_suite(domain.suite)
    except TaskError as error:
        return f"## How it is measured\n\n{for_markdown(str(error))}"
    rows = [f"| {for_markdown(task.name)} | {for_markdown(task.title)} |" for task in suite.tasks]
    return "\n".join(
        [
            "## How it is measured",
            "",
            f"By the suite {for_markdown(suite.name)}: {for_markdown(suite.description)}",
            "",
            _fenced(f"workbench bench run MODEL --suite {suite.name}"),
            "",
            "| Task | |",
            "|---|---|",
            *rows,
        ]
    )


def _set(modelfile: Modelfile) -> str:
    if not modelfile.parameters:
        return ""
    rows = []
    for name, value in modelfile.parameters.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        rows.append(f"| {for_markdown(name)} | {for_markdown(shown)} | {OPTIONS[name].meaning} |")
    return "\n".join(["## Settings", "", "| Name | Value | Meaning |", "|---|---|---|", *rows])


def _fenced(text: str) -> str:
    """A block that nothing in the text can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.strip()}\n{fence}"

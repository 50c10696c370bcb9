"""`workbench models build`: a domain's Modelfile checked, shown as a model reads it, built."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.cli._errors import FAILED, NotFound
from workbench.cli._options import engine_option, open_engine
from workbench.cli._output import emit, json_option, neutralise, note, size_text, write
from workbench.cli._progress import Steps

if TYPE_CHECKING:
    from workbench.domains import Domain
    from workbench.engines import Engine

_COLOURS = {"error": "red", "warning": "yellow", "note": None}


@click.command("build")
@click.option(
    "-d", "--domain", metavar="NAME", help="A domain: health, legal, finance …, or yours."
)
@click.option("-f", "--file", type=Path, help="A Modelfile; - reads stdin.")
@click.option("--name", help="What the model is called before its domain (default: as the base).")
@click.option("--base", metavar="MODEL", help="An installed model, instead of what FROM says.")
@click.option("--replace", is_flag=True, help="Take the place of a model of that name.")
@click.option("--check", "checks", is_flag=True, help="Only say what is wrong with the Modelfile.")
@click.option("--preview", is_flag=True, help="Only show what the model would read.")
@click.option("--ask", metavar="TEXT", help="The question of the preview.")
@engine_option
@json_option
@click.pass_context
def build(
    context: click.Context, domain: str | None, file: Path | None, name: str | None,
    base: str | None, replace: bool, checks: bool, preview: bool, ask: str | None,
    url: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Make a model for a domain: health on llama3.2:3b becomes llama3.2-health:3b.

    It is asked something before it gets its name. With --check the exit code is 1 when a mistake
    keeps it from being made.
    """
    if (domain is None) == (file is None):
        raise click.UsageError(f"Name a domain with -d ({_known()}) or a Modelfile with -f.")
    text = _found(domain).modelfile if domain is not None else _text(file or Path())
    if checks:
        context.exit(_check(text, str(file or f"Modelfile.{domain}"), url, base, as_json))
    source = _found(domain) if domain is not None else _read(file or Path(), text)
    with open_engine(url) as engine:
        if preview:
            _preview(engine, source, ask, base, as_json)
        else:
            _build(engine, source, name, base, replace, as_json)


def _known() -> str:
    from workbench.domains import domains

    return ", ".join(one.name for one in domains())


def _found(name: str) -> Domain:
    from workbench.domains import domains, find, problems

    if name not in {one.name for one in domains()} and not problems():
        raise NotFound(f"There is no domain {name!r}. There are: {_known()}.")
    return find(name)


def _text(file: Path) -> str:
    from workbench.domains import read_text

    if str(file) == "-":
        return sys.stdin.read()
    if not file.is_file():
        raise NotFound(f"There is no Modelfile {file}. Name one with -f.")
    return read_text(file)


def _read(file: Path, text: str) -> Domain | str:
    from workbench.domains import read

    return text if str(file) == "-" else read(file)


def _check(text: str, file: str, url: str | None, base: str | None, as_json: bool) -> int:
    from workbench.domains import check
    from workbench.engines import connect
    from workbench.errors import EngineUnreachable

    try:
        with connect(url, start=False) as engine:
            found = check(text, engine=engine, base=base)
    except EngineUnreachable:
        note("No engine runs, so the base was not looked at.")
        found = check(text, base=base)
    if as_json:
        emit(found)
    for one in [] if as_json else found:
        kind = click.style(one.severity, fg=_COLOURS[one.severity])
        click.echo(f"{neutralise(file)}:{one.line}:{one.column}: {kind}: {neutralise(one.message)}")
        if one.fix:
            click.echo(f"    {neutralise(one.fix)}")
    if not found and not as_json:
        click.echo("Nothing is wrong with it.")
    return FAILED if any(one.severity == "error" for one in found) else 0


def _preview(
    engine: Engine, source: Domain | str, ask: str | None, base: str | None, as_json: bool
) -> None:
    from workbench.domains import preview

    prompt = preview(source, [ask] if ask else None, engine, base=base)
    if as_json:
        emit({"prompt": prompt})
    else:
        write(prompt + "\n" * (not prompt.endswith("\n")))


def _build(
    engine: Engine, source: Domain | str, name: str | None, base: str | None, replace: bool,
    as_json: bool,
) -> None:  # fmt: skip
    from workbench.domains import build as build_model
    from workbench.domains import target

    called = target(source, name, base)
    steps = build_model(engine, source, name, base=base, replace=replace)
    if as_json:
        for step in steps:
            emit(step)
        return
    with Steps() as shown:
        for step in steps:
            size = f"{size_text(step.completed)} of {size_text(step.total)}" if step.total else ""
            shown.show(step.digest or "" if step.total else "", step.status, step.fraction, size)
    click.echo(neutralise(f"Try it: workbench chat {called}"))

"""`workbench models`: what is installed, what it is, what is loaded; pull, create, copy, remove."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli._models_build import build
from workbench.cli._options import engine_option, open_engine
from workbench.cli._output import age_text, emit, facts, json_option, neutralise, size_text, table
from workbench.cli._progress import Steps

if TYPE_CHECKING:
    from workbench.types import ModelDetails, Progress


@click.group()
def models() -> None:
    """List, show, pull, create, build, copy and remove models."""


models.add_command(build)


@models.command("list")
@engine_option
@json_option
def list_models(url: str | None, as_json: bool) -> None:
    """List the installed models, the newest first."""
    with open_engine(url) as engine:
        found = engine.models()
    if as_json:
        emit(found)
        return
    rows = [
        (item.name, size_text(item.size), item.parameter_size, item.quantization,
         ", ".join(item.capabilities), age_text(item.modified_at))
        for item in found
    ]  # fmt: skip
    table(("NAME", "SIZE", "PARAMETERS", "QUANTISATION", "CAN", "MODIFIED"), rows)
    if not found:
        click.echo(
            "No models yet. `workbench starter` makes one, `workbench models pull` gets one."
        )


@models.command("ps")
@engine_option
@json_option
def running(url: str | None, as_json: bool) -> None:
    """List the models that are loaded, with the memory they hold."""
    with open_engine(url) as engine:
        found = engine.running()
    if as_json:
        emit(found)
        return
    rows = [
        (item.name, size_text(item.size), size_text(item.size_vram), item.context_length or "?",
         age_text(item.expires_at))
        for item in found
    ]  # fmt: skip
    table(("NAME", "MEMORY", "ON GPU", "CONTEXT", "UNLOADED"), rows)


@models.command()
@click.argument("name")
@click.option(
    "--part",
    type=click.Choice(["modelfile", "template", "system", "parameters", "license"]),
    help="Print only this text, as it is.",
)
@engine_option
@json_option
def show(name: str, part: str | None, url: str | None, as_json: bool) -> None:
    """Show what a model is and how it is set up."""
    with open_engine(url) as engine:
        details = engine.show(name)
    if as_json:
        emit(getattr(details, part) if part else details)
    elif part:
        click.echo(neutralise(str(getattr(details, part))))
    else:
        _print_details(name, details)


def _print_details(name: str, details: ModelDetails) -> None:
    info = details.model_info
    architecture = info.get("general.architecture")
    click.echo(neutralise(name))
    facts(
        (
            ("architecture", architecture or details.family),
            ("parameters", details.parameter_size),
            ("quantisation", details.quantization),
            ("context", f"{details.context_length} tokens" if details.context_length else None),
            ("embedding", info.get(f"{architecture}.embedding_length")),
            ("can", ", ".join(details.capabilities)),
        )
    )
    for part in ("parameters", "system", "template", "license"):
        lines = neutralise(getattr(details, part).strip()).splitlines()
        if lines:
            click.echo("\n" + "\n  ".join([part.capitalize(), *lines[:12]]))
        if len(lines) > 12:
            click.echo(f"  … {len(lines) - 12} more lines: --part {part}")


@models.command()
@click.argument("name")
@click.option("--insecure", is_flag=True, help="Allow a registry without a valid certificate.")
@engine_option
@json_option
def pull(name: str, insecure: bool, url: str | None, as_json: bool) -> None:
    """Get a model from a registry (llama3.2:1b) or a hub (hf.co/org/repo:Q4_K_M)."""
    with open_engine(url) as engine:
        _follow(engine.pull(name, insecure=insecure), as_json, f"{name} is installed.")


@models.command()
@click.argument("name")
@click.option("-f", "--file", default="Modelfile", type=Path, help="The Modelfile; - reads stdin.")
@click.option("-q", "--quantize", metavar="KIND", help="Quantise on the way, e.g. Q4_K_M.")
@engine_option
@json_option
def create(name: str, file: Path, quantize: str | None, url: str | None, as_json: bool) -> None:
    """Make a model from a Modelfile; files that it names are uploaded."""
    from workbench.cli._create import arguments, read_modelfile

    wanted = arguments(*read_modelfile(file))
    with open_engine(url) as engine:
        steps = engine.create(name, quantize=quantize, **wanted)
        _follow(steps, as_json, f"{name} is made. Try it: workbench generate {name} Hello")


@models.command()
@click.argument("source")
@click.argument("destination")
@engine_option
@json_option
def copy(source: str, destination: str, url: str | None, as_json: bool) -> None:
    """Give a model a second name; it takes no space."""
    with open_engine(url) as engine:
        engine.copy(source, destination)
    _done(as_json, f"{destination} is a copy of {source}.", source=source, destination=destination)


@models.command()
@click.argument("names", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@engine_option
@json_option
def rm(names: tuple[str, ...], yes: bool, url: str | None, as_json: bool) -> None:
    """Remove models."""
    if not yes:
        question = f"Remove {neutralise(', '.join(names))}?"
        click.confirm(question, abort=True, err=True)
    with open_engine(url) as engine:
        for name in names:
            engine.delete(name)
            _done(as_json, f"{name} is removed.", removed=name)


def _done(as_json: bool, text: str, **record: Any) -> None:
    if as_json:
        emit(record)
    else:
        click.echo(neutralise(text))


def _follow(steps: Iterable[Progress], as_json: bool, end: str) -> None:
    """Show the steps of long work: one JSON object per line, or bars and a last line."""
    if as_json:
        for step in steps:
            emit(step)
        return
    with Steps() as shown:
        for step in steps:
            size = f"{size_text(step.completed)} of {size_text(step.total)}" if step.total else ""
            part = step.digest or step.status if step.total else ""  # has a bar of its own
            shown.show(part, step.status, step.fraction, size)
    click.echo(neutralise(end))

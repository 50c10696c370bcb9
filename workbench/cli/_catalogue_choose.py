"""`workbench catalogue recommend | compare`: which model suits a task, and what sets some apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.cli import _catalogue_options as options
from workbench.cli._options import engine_option
from workbench.cli._output import emit, json_option, neutralise, plain

if TYPE_CHECKING:
    from workbench.advice import Recommendation

SIZES = ("tiny", "small", "medium", "large", "huge")


@click.command()
@click.argument("task")
@click.option("--size", type=click.Choice(SIZES), help="Only models of this size.")
@click.option("--installed", is_flag=True, help="Only those in the engine.")
@click.option("--limit", type=click.IntRange(1, 100), default=5, show_default=True, help="At most.")
@options.machine_option
@options.folder_option
@engine_option
@json_option
def recommend(
    task: str,
    size: str | None,
    installed: bool,
    limit: int,
    machine: str,
    folders: Sequence[Path],
    url: str | None,
    as_json: bool,
) -> None:
    """Recommend models for a task, with reasons.

    TASK is such as code_generation, chat, summarisation, translation, reasoning, embedding, vision.
    """
    from workbench import advice as room
    from workbench.machines import find_profile

    profile = find_profile(machine)
    room.find_task(task)  # a word that cannot be is told before the cards are gathered
    found = room.recommend(
        options.open_catalogue(url, folders),
        task,
        profile,
        preferred_size=size,
        limit=limit,
        installed_only=installed,
    )
    if as_json:
        emit(found.as_dict())
        return
    click.echo(neutralise(f"{found.title}, on {profile.title}"))
    for place, one in enumerate(found.recommendations, 1):
        _print_one(place, one)
    if found.why_not:
        click.echo(neutralise(found.why_not))
        for text in found.what_would:
            click.echo(neutralise(f"- {text}"))


def _print_one(place: int, one: Recommendation) -> None:
    title = f"\n{place}. {one.model_name}  {one.quantisation or ''}"
    click.echo(neutralise(f"{title}  (confidence {one.confidence_score:.0%})"))
    for reason in one.reasons:
        source = f" [{reason.source}]" if reason.source else ""
        click.echo(neutralise(f"   - {reason.text}{source}"))
    for text in one.trade_offs:
        click.echo(neutralise(f"   - but: {text}"))
    if one.alternatives:
        names = ", ".join(f"{other.model_name} ({other.reason})" for other in one.alternatives)
        click.echo(neutralise(f"   or: {names}"))
    if not one.card.installed:
        click.echo(neutralise(f"   get it: workbench models pull {one.pull}"))


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "csv", "markdown", "html"]),
    default="table",
    show_default=True,
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file.")
@options.machine_option
@options.load_options
@options.folder_option
@engine_option
@json_option
def compare(
    names: Sequence[str],
    kind: str,
    output: Path | None,
    machine: str,
    folders: Sequence[Path],
    url: str | None,
    as_json: bool,
    **loaded: float | int | str | None,
) -> None:
    """Put models side by side: facts, fit, speed, results under the same metric and setting."""
    from workbench import advice as room
    from workbench.machines import find_profile

    profile = find_profile(machine)
    load = options.load_of(**loaded)
    found = room.compare(options.open_catalogue(url, folders), names, profile, load)
    if as_json:
        emit(plain(found.as_dict()))
        return
    text = {"csv": found.csv, "html": found.html}.get(kind, found.markdown)()
    if output is not None:
        output.write_text(text, encoding="utf-8")
        click.echo(neutralise(f"{output} is written."))
    else:
        click.echo(neutralise(text))
    for advice in found.recommendations if kind == "table" else ():
        click.echo(neutralise(f"- {advice}"))

"""`workbench catalogue fit | calibrate | errors`: what a model takes, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.cli import _catalogue_options as options
from workbench.cli._options import engine_option
from workbench.cli._output import emit, facts, json_option, neutralise, plain, size_text, table

if TYPE_CHECKING:
    from workbench.cards import Card
    from workbench.fit import Estimate, Fit


@click.command()
@click.argument("name")
@click.option("--quantisation", help="Ask about this one instead of the card's, such as Q8_0.")
@click.option("--live", is_flag=True, help="Read the model's header from its registry or hub.")
@options.machine_option
@options.load_options
@options.folder_option
@engine_option
@json_option
def fit(
    name: str,
    quantisation: str | None,
    live: bool,
    machine: str,
    folders: Sequence[Path],
    url: str | None,
    as_json: bool,
    **loaded: float | int | str | None,
) -> None:
    """Say whether a model fits, how fast it would be, and what takes the memory.

    NAME is a card's name, an installed model, a GGUF file or a Hugging Face folder.
    """
    from workbench import fit as room
    from workbench import machines
    from workbench.catalogue import network_for
    from workbench.errors import FitError

    profile = machines.find_profile(machine)
    load = options.load_of(**loaded)
    card = _card(name, live, folders, url)
    network = network_for(card, quantisation)
    if network is None:
        raise FitError(
            f"The card of {card.name} lacks the facts that memory follows from. "
            "Ask about a file of it, or with --live to read its header from the registry."
        )
    found = room.fit(network, load, profile)
    # where the layers lie decides how fast it is
    found = replace(found, speed=machines.profile_speed(network, found.load, profile))
    largest = room.largest_context(network, load, profile)
    best = room.best_quantisation(network, load, profile)
    if as_json:
        emit(
            {
                "name": card.name,
                "quantisation": network.quantisation,
                "machine": profile,
                **plain(found),
                "largest_context": largest,
                "best_quantisation": best,
            }
        )
        return
    click.echo(neutralise(f"{card.name}, {network.quantisation}, on {profile.title}"))
    _print_fit(found, largest, best)


def _card(name: str, live: bool, folders: Sequence[Path], url: str | None) -> Card:
    """The card of a file, a folder, a live source or the catalogue."""
    if live:
        from workbench.cards import remote_card

        return remote_card(name)
    path = Path(name).expanduser()
    if path.suffix == ".gguf" or path.is_dir():
        from workbench.cards import on_disk
        from workbench.cli._errors import NotFound

        cards, problems = on_disk([path])
        if not cards:
            raise NotFound(" ".join(problems) or f"There is no model at {path}.")
        return cards[0]
    return options.open_catalogue(url, folders).get(name)


def _print_fit(found: Fit, largest: int | None, best: str | None) -> None:
    speed, memory = found.speed, found.memory
    facts(
        (
            ("fits", found.verdict),
            ("main memory", interval(memory.ram if memory else None, size_text)),
            ("on the GPU", interval(memory.gpu if memory else None, size_text)),
            ("left", size_text(found.headroom) if found.headroom is not None else None),
            ("reads", interval(speed.prompt if speed else None, rate_text)),
            ("writes", interval(speed.generation if speed else None, rate_text)),
            ("largest context", f"{largest} tokens" if largest else "none fits"),
            ("best quantisation", best or "none fits"),
        )
    )
    if speed is None:
        click.echo("  speed: not calibrated; `workbench catalogue calibrate` takes about 40 s")
    if memory is not None:
        click.echo("\nWhat takes the memory")
        rows = [(part.name, size_text(part.bytes), part.where) for part in memory.parts]
        table(("PART", "SIZE", "WHERE"), rows)
    for text in (*found.reasons, *found.warnings):
        click.echo(neutralise(f"- {text}"))


def rate_text(speed: float | None) -> str:
    """ "12.3 tokens/s"."""
    return "?" if speed is None else f"{speed:.3g} tokens/s"


def interval(estimate: Estimate | None, text: Callable[[float | None], str]) -> str | None:
    """ "614 MB (590 MB to 650 MB; formula)"."""
    if estimate is None:
        return None
    low, high = text(estimate.low), text(estimate.high)
    return f"{text(estimate.value)} ({low} to {high}; {estimate.basis})"


@click.command()
@click.option("--detach", is_flag=True, help="Submit the job and return at once.")
@json_option
def calibrate(detach: bool, as_json: bool) -> None:
    """Measure this machine for some seconds, so that speeds can be predicted."""
    from workbench.cli._jobs import follow
    from workbench.jobs import submit

    job = submit("workbench.machines:calibrate", title="Calibrate this machine", kind="calibrate")
    if detach:
        text = f"Submitted. Follow it: workbench jobs watch {job.id}"
        emit(job) if as_json else click.echo(text)
        return
    follow(job, as_json)
    if not as_json:
        click.echo("Calibrated. See: workbench hardware")


@click.command("errors")
@json_option
def errors(as_json: bool) -> None:
    """Show how far predictions were from what was measured on this machine."""
    from workbench import fit as room

    found = room.errors()
    if as_json:
        emit(found)
        return
    rows = [
        (row.quantity, row.backend, row.architecture, row.count, _share(row.median),
         _share(row.bias, "+"), _share(row.p95))
        for row in found
    ]  # fmt: skip
    table(
        ("WHAT", "BACKEND", "ARCHITECTURE", "COUNT", "MEDIAN ERROR", "WITH SIGN", "95 % BELOW"),
        rows,
    )
    if not found:
        click.echo("Nothing was measured yet. Load a model and ask it something.")


def _share(value: float | None, sign: str = "") -> str:
    """A share as a percentage; a question mark where nothing could be compared."""
    return "?" if value is None else f"{value:{sign}.1%}"

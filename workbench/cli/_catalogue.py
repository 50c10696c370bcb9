"""`workbench catalogue`: which models exist, fit and suit; each answer with its source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli import _catalogue_options as options
from workbench.cli._catalogue_choose import compare, recommend
from workbench.cli._catalogue_fit import calibrate, errors, fit
from workbench.cli._options import engine_option
from workbench.cli._output import emit, facts, json_option, neutralise, note, size_text, table

if TYPE_CHECKING:
    from workbench.cards import Card
    from workbench.catalogue import Hit


@click.group()
def catalogue() -> None:
    """Search, price, recommend and compare models."""


for _command in (fit, recommend, compare, calibrate, errors):
    catalogue.add_command(_command)


@catalogue.command()
@click.argument("words", nargs=-1)
@click.option("--category", help="Such as code, vision, embedding.")
@click.option("--size", "size_class", help="tiny, small, medium, large or huge.")
@click.option("--min-parameters", type=options.Amount(), help="Such as 1.5B.")
@click.option("--max-parameters", type=options.Amount(), help="Such as 8B.")
@click.option("--license", help="A part of its name, such as apache.")
@click.option("--min-context", type=options.Amount(), help="Tokens, such as 32k.")
@click.option("--quantisation", help="One that can be had, such as Q4_K_M.")
@click.option("--capability", help="Such as tools, vision, insert, thinking.")
@click.option("--publisher", help="A part of the name.")
@click.option("--family", help="A part of the name.")
@click.option("--installed", is_flag=True, help="Only those in the engine.")
@click.option("--fits", is_flag=True, help="Only those that fit the machine.")
@click.option("--max-memory", type=options.Amount(), help="Bytes when loaded, such as 8GB.")
@click.option("--min-performance", type=click.FloatRange(0, 1), help="Score from 0 to 1.")
@click.option("--sort", default="relevance", show_default=True, help="name, parameters, memory, …")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most.")
@click.option("--live", is_flag=True, help="Ask the Hugging Face Hub as well.")
@options.machine_option
@options.load_options
@options.folder_option
@engine_option
@json_option
def search(
    words: Sequence[str],
    machine: str,
    limit: int,
    live: bool,
    folders: Sequence[Path],
    url: str | None,
    as_json: bool,
    context: float | None,
    slots: int | None,
    cache_type: str | None,
    batch: int | None,
    gpu_layers: int | None,
    **wanted: Any,
) -> None:
    """Search by words and filters: workbench catalogue search code model that fits in 8 GB."""
    from workbench.catalogue import Filters
    from workbench.machines import find_profile

    text = " ".join(words)
    load = options.load_of(
        context=context, slots=slots, cache_type=cache_type, batch=batch, gpu_layers=gpu_layers
    )
    filters = Filters(text=text, **wanted)
    filters.check()
    profile = find_profile(machine)
    found = options.open_catalogue(url, folders, _live(text) if live else ())
    results = found.search(filters, profile=profile, load=load, limit=limit)
    if as_json:
        emit(
            {
                "query": text,
                "filters": results.filters,
                "understood": results.understood,
                "results": [hit_record(hit) for hit in results.hits],
                "count": results.count,
            }
        )
        return
    if results.understood:
        note(
            "Understood: "
            + "; ".join(f"{one.words!r} as {one.meaning}" for one in results.understood)
        )
    print_hits(results.hits)
    if results.count > limit:
        click.echo(f"{results.count - limit} more: --limit {results.count}")
    if not results.count:
        click.echo("No model passes all filters. Leave one out, or use fewer words.")


def _live(text: str) -> Sequence[Card]:
    """What the Hub says; when it does not answer, a note and the rest of the catalogue."""
    from workbench.cards import hub_search

    found = hub_search(text)
    for problem in found.problems:
        note(problem)
    return found.cards


def hit_record(hit: Hit) -> dict[str, Any]:
    """A hit in LIB-2's words: name, category, size, performance_score, relevance_score."""
    from workbench.catalogue import performance_score

    score = performance_score(hit.card)
    return {
        "name": hit.card.name,
        "category": hit.card.categories[0] if hit.card.categories else None,
        "size": hit.card.size_class,
        "performance_score": score.value if score else None,
        "relevance_score": round(hit.relevance, 4),
        "parameters": hit.card.parameters,
        "context": hit.card.context,
        "license": hit.card.license,
        "capabilities": hit.card.capabilities,
        "installed": hit.card.installed,
        "price": hit.price,
    }


def print_hits(hits: Iterable[Hit]) -> None:
    """The hits as a table; what nobody knows is a question mark."""
    rows = []
    for hit in hits:
        card, price = hit.card, hit.price
        rows.append(
            (
                card.name,
                count_text(card.parameters),
                count_text(card.context),
                size_text(price.memory if price else None),
                price.verdict if price else "?",
                speed_text(price.speed if price else None),
                ", ".join(card.categories[:3]),
                card.installed or "",
            )
        )
    table(("NAME", "PARAMETERS", "CONTEXT", "NEEDS", "FITS", "TOKENS/S", "FOR", "INSTALLED"), rows)


@catalogue.command()
@click.argument("name")
@options.folder_option
@engine_option
@json_option
def show(name: str, folders: Sequence[Path], url: str | None, as_json: bool) -> None:
    """Show a model's card: every fact with its source, and what nobody tells."""
    card = options.open_catalogue(url, folders).get(name)
    if as_json:
        emit(card)
        return
    click.echo(neutralise(card.name))
    facts(
        (
            ("publisher", known(card.publisher)),
            ("for", known(", ".join(card.categories))),
            ("can", known(", ".join(card.capabilities))),
            ("parameters", known(count_text(card.parameters))),
            ("active", count_text(card.active_parameters) if card.active_parameters else None),
            ("context", f"{known(card.context)} tokens"),
            ("architecture", known(card.architecture and card.architecture.name)),
            ("quantisation", known(card.quantisation)),
            ("download", size_text(card.download)),
            ("licence", known(card.license)),
            ("released", known(card.released)),
            ("weights", card.hf_repo),
            ("installed", card.installed or "no"),
        )
    )
    _print_lists(card)


def _print_lists(card: Card) -> None:
    if card.variants:
        click.echo("\nQuantisations")
        table(
            ("NAME", "KIND", "SIZE"),
            [(one.name, one.quantisation, size_text(one.bytes)) for one in card.variants],
        )
    if card.scores:
        click.echo("\nPublished results: only those of one metric and setting compare")
        rows = [(one.metric, one.value, one.setting, one.source) for one in card.scores]
        table(("METRIC", "VALUE", "SETTING", "SOURCE"), rows)
    if card.sources:
        click.echo("\nSources")
        facts(tuple(card.sources.items()))


def known(value: object) -> object:
    """The fact, or the words that say it is missing."""
    return "not known" if value in (None, "", "?", ()) else value


def count_text(number: float | None) -> str:
    """8030261248 → "8.03 B"; tokens and parameters alike."""
    if number is None:
        return "?"
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def speed_text(speed: float | None) -> str:
    """Tokens per second; a question mark before a calibration."""
    return "?" if speed is None else f"{speed:.3g}"

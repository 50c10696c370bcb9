"""`workbench data show`: what there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from workbench.cli import _output as out
from workbench.cli._options import engine_option

if TYPE_CHECKING:
    from workbench.data import Dataset
    from workbench.gather import Collection


@click.command()
@click.argument("name", required=False)
@click.option("--skipped", is_flag=True, help="What was not gathered, and why.")
@click.option("--report", is_flag=True, help="What was dropped when it was made, and why.")
@click.option("--examples", "count", type=click.IntRange(1), help="Print so many examples.")
@click.option(
    "--model", default="", help="Count and render by this model's tokenizer and template."
)
@engine_option
@out.json_option
def show(
    name: str | None,
    skipped: bool,
    report: bool,
    count: int | None,
    model: str,
    url: str | None,
    as_json: bool,
) -> None:
    """List collections and datasets, or show one of them."""
    from workbench import data as room
    from workbench import gather

    every = gather.collections()
    for text in gather.problems():
        out.note(text)
    collection = next((one for one in every if one.name == name), None)
    if name is None:
        _show_all(every, room.datasets(), as_json)
    elif skipped:
        _show_skipped(gather.find_collection(name).name, as_json)
    elif collection is not None and not any(one.name == name for one in room.datasets()):
        _show_collection(collection, as_json)
    elif report:
        _show_report(room.find(name), as_json)
    elif count:
        _show_examples(room.find(name), count, model, url, as_json)
    else:
        _show_dataset(room.find(name), model, url, as_json)


def show_datasets(found: Iterable[Dataset]) -> None:
    """A line for each."""
    out.table(
        ("DATASET", "FORM", "EXAMPLES", "CHARACTERS", "MADE", "WHEN"),
        [
            (d.label, d.form, ", ".join(f"{n:,} {split}" for split, n in d.splits.items()),
             f"{d.characters:,}", d.recipe.get("kind", ""), f"{d.created_at:%Y-%m-%d %H:%M}")
            for d in found
        ],
    )  # fmt: skip


def _show_all(
    collections: Sequence[Collection], datasets: Sequence[Dataset], as_json: bool
) -> None:
    if as_json:
        out.emit({"collections": collections, "datasets": datasets})
        return
    if collections:
        out.table(
            ("COLLECTION", "SOURCES", "DOCUMENTS", "CHARACTERS"),
            [(c.name, len(c.sources), f"{c.documents:,}", f"{c.characters:,}")
             for c in collections],
        )  # fmt: skip
        click.echo()
    if datasets:
        show_datasets(datasets)
    if not collections and not datasets:
        click.echo("Nothing was gathered yet. Begin with: workbench data add NAME FOLDER")


def _show_collection(found: Collection, as_json: bool) -> None:
    if as_json:
        out.emit(found)
        return
    out.table(
        ("SOURCE", "ADDRESS", "DOCUMENTS", "CHARACTERS", "NOT TAKEN", "LICENCE", "WHEN"),
        [(s.source, s.address, f"{s.documents:,}", f"{s.characters:,}", s.skipped, s.licence,
          f"{s.at:%Y-%m-%d %H:%M}") for s in found.sources],
    )  # fmt: skip


def _show_skipped(name: str, as_json: bool) -> None:
    from workbench import gather

    rows = list(gather.skipped(name))
    if as_json:
        out.emit(rows)
    else:
        out.table(("ADDRESS", "WHY IT WAS NOT TAKEN"), [(one.address, one.reason) for one in rows])


def _show_dataset(found: Dataset, model: str, url: str | None, as_json: bool) -> None:
    from workbench import data as room

    wrong = room.verify(found)
    with room.reader(model, url) as read:
        figures = room.statistics(found, read.tokens)
    versions = room.history(found.name)
    if as_json:
        out.emit({"dataset": found, "problems": wrong, "statistics": figures.to_json(),
                  "versions": [one.label for one in versions]})  # fmt: skip
        return
    show_datasets([found])
    click.echo(f"\nSHA-256 {found.digest}")
    about = f" ± {figures.error:,}" if figures.error else "" if figures.exact else ", an estimate"
    learnt = f" {figures.learnt:.0%} of what is read is learnt." if figures.learnt else ""
    spread = figures.quantiles
    click.echo(
        f"{figures.tokens:,} tokens{about}; an example has {spread['50']:,} (median), the longest "
        f"{spread['100']:,}.{learnt}"
    )
    for text in wrong:
        out.note(text)
    if len(versions) > 1:
        click.echo(f"Versions: {', '.join(one.label for one in versions)}")
    out.note(f"What was dropped and why: workbench data show {found.name} --report")


def _show_report(found: Dataset, as_json: bool) -> None:
    if as_json:
        out.emit({"recipe": found.recipe, "report": found.report})
        return
    if found.recipe.get("kind") != "clean":
        out.table(("", ""), [(key, value) for key, value in found.report.items()])
        return
    from workbench.refine import Report

    report = Report.of_json(found.report)
    out.table(
        ("STEP", "DOCUMENTS IN", "OUT", "CHANGED", "CHARACTERS OUT", "DROPPED, AND WHY"),
        [(s.name, f"{s.documents_in:,}", f"{s.documents_out:,}", f"{s.changed:,}",
          f"{s.characters_out:,}", "; ".join(f"{n:,} {why}" for why, n in s.dropped.items()))
         for s in report.steps],
    )  # fmt: skip
    rows = [(why, address, like) for step in report.steps
            for why, some in step.examples.items() for address, like in some]  # fmt: skip
    if rows:
        click.echo()
        out.table(("FOR EXAMPLE", "DROPPED", "WHAT IT IS LIKE"), rows)
    found_here = [*report.secrets, *report.personal]
    if found_here:
        click.echo()
        out.table(("FOUND", "TIMES", "DOCUMENTS", "THE FIRST"),
                  [(f.kind, f"{f.count:,}", f"{f.documents:,}", f.addresses[0])
                   for f in found_here])  # fmt: skip
    for one in report.contamination:
        some = ", ".join(one.samples)
        out.note(f"Samples of the task {one.task} stand in documents: {some[:300]}.")


def _show_examples(found: Dataset, count: int, model: str, url: str | None, as_json: bool) -> None:
    from workbench import data as room

    some = list(islice(room.examples(found), count))
    if as_json:
        out.emit([example.row() for example in some])
        return
    with room.reader(model, url) as read:
        for example in some:
            if model:
                out.write(read.render(example).text + "\n")
            else:
                print_fields(example.fields)
            click.echo()


def print_fields(fields: Any) -> None:
    """An example as it is."""
    for name, value in fields.items():
        if isinstance(value, list):
            for message in value:
                click.echo(out.neutralise(f"{message.get('role')}: {message.get('content')}"))
        else:
            click.echo(out.neutralise(f"{name}: {value}"))

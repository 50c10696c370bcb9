"""`workbench data preview`, `validate`, `diff`, `export`, `rm`: what can be done with datasets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from workbench.cli import _output as out
from workbench.cli._data_show import print_fields
from workbench.cli._options import engine_option

_MARKS = {"error": "BAD", "warning": "warning", "note": "note"}


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--count", type=click.IntRange(1), default=3, show_default=True)
@out.json_option
def preview(path: Path, count: int, as_json: bool) -> None:
    """Say what a file's examples look like, before it is imported."""
    from workbench import examples as room

    found = room.preview(path, limit=count)
    shape = found.shape
    if as_json:
        out.emit({"shape": shape.to_json(), "examples": [one.row() for one in found.examples],
                  "findings": found.findings})  # fmt: skip
        return
    if shape.form:
        uses = ", ".join(f"{use} from {column!r}" for use, column in shape.columns.items())
        words = f"{shape.style}: {shape.form}, {shape.sure:.0%} sure. {uses}."
    else:
        words = shape.why
    click.echo(out.neutralise(words))
    for example in found.examples:
        click.echo()
        print_fields(example.fields)
    for finding in found.findings:
        out.note(f"{finding.message} ({finding.count}, lines {_lines(finding)})")


@click.command()
@click.argument("name")
@click.option("--model", default="", help="Whose tokenizer counts, and whose context limits.")
@click.option("--context", "context_length", type=click.IntRange(1), help="Tokens.")
@engine_option
@out.json_option
def validate(
    name: str, model: str, context_length: int | None, url: str | None, as_json: bool
) -> None:
    """Check a dataset, or a file with examples. Ends with 1 where it is refused."""
    from workbench import data as room

    source = Path(name) if Path(name).is_file() else room.find(name)
    with room.reader(model, url) as read:
        limit = context_length or read.context_length
        found = room.validate(source, context_length=limit, count=read.count)
    if as_json:
        out.emit(found.to_json())
    else:
        rows = [
            (_MARKS[f.severity], f.code, f"{f.count:,}", _lines(f), f.message)
            for f in found.findings
        ]
        if rows:
            out.table(("", "WHAT", "HOW OFTEN", "LINES", "IN WORDS"), rows)
            click.echo()
        parts = [(p.name, f"{p.weight:g}", f"{p.value:.2f}", p.why) for p in found.parts]
        out.table(("PART OF THE QUALITY", "WEIGHT", "VALUE", "WHY"), parts)
        verdict = {"ok": "It can be used.", "warnings": "It can be used, with the warnings above.",
                   "refused": "It is refused: mend the errors above first."}  # fmt: skip
        click.echo(f"\nQuality {found.score:.2f}. {verdict[found.verdict]}")
    if found.verdict == "refused":
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("first")
@click.argument("second")
@out.json_option
def diff(first: str, second: str, as_json: bool) -> None:
    """Say what differs between two datasets: examples, splits, recipes."""
    from workbench import data as room

    found = room.diff(room.find(first), room.find(second))
    if as_json:
        out.emit(found.to_json())
    else:
        click.echo(out.neutralise(found.text()))


@click.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--split", "which", help="Only this one.")
@out.json_option
def export(name: str, file: Path, which: str | None, as_json: bool) -> None:
    """Write a dataset's examples to a JSON-lines file, as trainers read them."""
    import json

    from workbench import data as room

    found, count = room.find(name), 0
    with file.open("w", encoding="utf-8", newline="\n") as written:
        for example in room.examples(found, which):
            written.write(json.dumps(example.fields, ensure_ascii=False) + "\n")
            count += 1
    if as_json:
        out.emit({"dataset": found.label, "file": file, "examples": count})
    else:
        click.echo(out.neutralise(f"{count:,} examples of {found.label} are in {file}."))


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME …")
@click.option("--collection", is_flag=True, help="Remove collections instead of datasets.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@out.json_option
def rm(names: Sequence[str], collection: bool, yes: bool, as_json: bool) -> None:
    """Remove versions of datasets, or collections. This cannot be undone."""
    from workbench import data as room
    from workbench import gather

    found: list[Any] = [gather.find_collection(n) if collection else room.find(n) for n in names]
    labels = [one.name if collection else one.label for one in found]
    if not yes:
        click.confirm(out.neutralise(f"Remove {', '.join(labels)} for good?"), abort=True)
    for label in labels:
        if collection:
            gather.remove_collection(label)
        else:
            room.remove(label)
    if as_json:
        out.emit({"removed": labels})
    else:
        click.echo(f"{len(labels)} removed.")


def _lines(finding: Any) -> str:
    shown = ", ".join(map(str, finding.lines[:5]))
    return f"{shown} …" if len(finding.lines) > 5 else shown

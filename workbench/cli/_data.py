"""`workbench data`: gather documents, make datasets of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import click

from workbench.cli import _output as out
from workbench.cli._data_check import diff, export, preview, rm, validate
from workbench.cli._data_show import show, show_datasets


@click.group()
def data() -> None:
    """Gather documents, clean them into datasets, check, split and compare those."""


for _command in (show, preview, validate, diff, export, rm):
    data.add_command(_command)

_detach = click.option("--detach", is_flag=True, help="Do not wait for the job.")
_include = click.option("--include", multiple=True, metavar="GLOB", help="Only these.")
_exclude = click.option("--exclude", multiple=True, metavar="GLOB", help="Not these.")
_private = click.option("--allow-private", is_flag=True,
                        help="Also addresses of this machine and its own network.")  # fmt: skip
_name = click.option("--name", help="Of the dataset.")


@data.command()
@click.argument("collection")
@click.argument("paths", nargs=-1, required=True, metavar="PATH …")
@_include
@_exclude
@_detach
@out.json_option
def add(collection: str, paths: Sequence[str], detach: bool, as_json: bool, **options: Any) -> None:
    """Gather files and folders: text, Markdown, HTML, PDF, DOCX, CSV, notebooks, source code."""
    for path in paths:
        _gather(collection, "files", path, options, detach, as_json)


@data.command()
@click.argument("collection")
@click.argument("url")
@click.option("--depth", type=click.IntRange(0), help="Links away from the first page.")
@click.option("--pages", type=click.IntRange(1), help="At most so many.")
@click.option("--delay", type=click.FloatRange(0), help="Seconds between two requests.")
@click.option("--beneath/--whole-site", default=None, help="Only beneath the first page's folder.")
@_include
@_exclude
@_private
@_detach
@out.json_option
def crawl(collection: str, url: str, detach: bool, as_json: bool, **options: Any) -> None:
    """Gather a site's pages, as its robots.txt allows and slowly."""
    _gather(collection, "web", url, options, detach, as_json)


@data.command()
@click.argument("collection")
@click.argument("repository")
@click.option("--ref", help="A branch, tag or commit instead of the newest.")
@click.option("--language", "languages", multiple=True, help="Such as python; can be repeated.")
@_include
@_exclude
@_private
@_detach
@out.json_option
def git(collection: str, repository: str, detach: bool, as_json: bool, **options: Any) -> None:
    """Gather a Git repository, by its address or from this disk."""
    _gather(collection, "git", repository, options, detach, as_json)


@data.command()
@click.argument("collection")
@click.argument("address")
@click.option("--language", "languages", multiple=True, help="Such as en; the first there is.")
@_detach
@out.json_option
def transcript(collection: str, address: str, detach: bool, as_json: bool, **options: Any) -> None:
    """Gather a video's transcript: a YouTube address, a .vtt, .srt or .json file, a folder."""
    _gather(collection, "transcript", address, options, detach, as_json)


@data.command()
@click.argument("collections", nargs=-1, required=True, metavar="COLLECTION …")
@_name
@click.option("--rule", "rules", multiple=True, metavar="KEY=VALUE",
              help="Such as near=0.9, personal=keep, languages=en,de.")  # fmt: skip
@click.option("--against", multiple=True, metavar="DATASET", help="Drop what is in it already.")
@_detach
@out.json_option
def clean(
    collections: Sequence[str],
    name: str | None,
    rules: Sequence[str],
    against: Sequence[str],
    detach: bool,
    as_json: bool,
) -> None:
    """Make one clean dataset of collections: no doubles, no secrets, no benchmark's questions."""
    from workbench.refine import rules_of

    given = rules_of(_rules(rules)).to_json()
    arguments = {"rules": given, "against": [*against]}
    _make("clean", name or collections[0], {"collections": [*collections], **arguments}, detach,
          as_json)  # fmt: skip


@data.command()
@click.option("--from", "collections", multiple=True, metavar="COLLECTION")
@click.option("--dataset", default="", help="A cleaned dataset instead of collections.")
@click.option("--kind", "kinds", multiple=True, default=("docstring",), show_default=True,
              help="docstring (writes code), function (writes docstrings) or gap.")  # fmt: skip
@click.option("--name", required=True, help="Of the dataset.")
@click.option("--limit", type=click.IntRange(1), help="At most so many examples.")
@click.option("--seed", type=int, default=0, show_default=True)
@_detach
@out.json_option
def code(name: str, detach: bool, as_json: bool, **arguments: Any) -> None:
    """Make examples out of Python sources."""
    if not (arguments["collections"] or arguments["dataset"]):
        raise click.UsageError("Say --from COLLECTION or --dataset DATASET.")
    _make("code", name, arguments, detach, as_json)


@data.command("import")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, resolve_path=True))
@_name
@click.option("--form", help="Instead of what is recognised: text, conversation, completion, "
              "preference or gap.")  # fmt: skip
@click.option("--column", "columns", multiple=True, metavar="FIELD=COLUMN",
              help="Such as prompt=question; can be repeated.")  # fmt: skip
@_detach
@out.json_option
def import_(
    path: str,
    name: str | None,
    form: str | None,
    columns: Sequence[str],
    detach: bool,
    as_json: bool,
) -> None:
    """Make a dataset of a file with examples (jsonl, json, csv, txt)."""
    from pathlib import Path

    mapped = dict(_pair(text, "--column") for text in columns) or None
    named = name or Path(path).stem.lower()
    _make("import", named, {"path": path, "columns": mapped, "form": form}, detach, as_json)


@data.command()
@click.argument("dataset")
@click.option("--validation", type=click.FloatRange(0, 1, max_open=True), default=0.1,
              show_default=True, help="This share.")  # fmt: skip
@click.option("--test", type=click.FloatRange(0, 1, max_open=True), default=0.0,
              show_default=True)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--by", default="", metavar="KEY",
              help="Keep examples with the same one together, such as address.")  # fmt: skip
@click.option("--stratify", default="", metavar="KEY", help="The same shares of each.")
@_name
@_detach
@out.json_option
def split(dataset: str, name: str | None, detach: bool, as_json: bool, **how: Any) -> None:
    """Divide a dataset into train, validation and test, the same way each time."""
    from workbench import data as room

    found = room.find(dataset)
    _make("split", name or found.name, {"dataset": found.label, **how}, detach, as_json)


@data.command()
@click.argument("dataset")
@_detach
@out.json_option
def remake(dataset: str, detach: bool, as_json: bool) -> None:
    """Make a dataset again from its recipe."""
    from workbench import data as room

    _follow(room.remake(dataset), detach, as_json)


def _gather(
    collection: str,
    source: str,
    address: str,
    options: Mapping[str, Any],
    detach: bool,
    as_json: bool,
) -> None:
    from workbench import gather as room
    from workbench.cli._jobs import follow, told

    given = {k: v for k, v in options.items() if v not in (None, (), "", False)}
    job = room.submit_gather(collection, source, address, **given)
    if detach:
        told(job, as_json)
        return
    job = follow(job, as_json)
    if not as_json:
        got = job.result
        left = f", {got['skipped']:,} not taken" if got["skipped"] else ""
        licence = f", licence {got['licence']}" if got["licence"] else ""
        words = f"{got['documents']:,} documents, {got['characters']:,} characters{left}{licence}."
        click.echo(out.neutralise(words))
        if got["skipped"]:
            out.note(f"Why: workbench data show {collection} --skipped")


def _make(step: str, name: str, arguments: Mapping[str, Any], detach: bool, as_json: bool) -> None:
    from workbench import data as room

    _follow(room.submit_make(step, name, **arguments), detach, as_json)


def _follow(job: Any, detach: bool, as_json: bool) -> None:
    from workbench import data as room
    from workbench.cli._jobs import follow, told

    if detach:
        told(job, as_json)
        return
    job = follow(job, as_json)
    if not as_json:
        show_datasets([room.find(job.result["label"])])


def _rules(pairs: Sequence[str]) -> dict[str, Any]:
    """Rules as they are typed: what each is by default says how its text is read."""
    from workbench.refine import Rules

    usual, found = Rules().to_json(), {}
    for name, text in (_pair(one, "--rule") for one in pairs):
        value: Any = text
        if isinstance(usual.get(name), bool):
            value = {"true": True, "yes": True, "false": False, "no": False}.get(text, text)
        elif isinstance(usual.get(name), list):
            value = [part.strip() for part in text.split(",") if part.strip()]
        elif isinstance(usual.get(name), float):
            with suppress(ValueError):
                value = float(text)
        found[name] = value
    return found


def _pair(text: str, option: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise click.UsageError(f"{option} is written key=value, not {text!r}.")
    return key.strip(), value.strip()

"""`workbench train list`, `show`, `compare`, `lineage`, `bases`, `presets`: what there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from workbench.cli import _output as out

if TYPE_CHECKING:
    from workbench.lineage import Training

run_argument = click.argument("run", metavar="RUN")


@click.command("list")
@click.option("--recipe", type=click.Choice(["base", "finetune", "preferences"]))
@click.option("--dataset", help="Only those that learnt from it.")
@out.json_option
def list_trainings(recipe: str | None, dataset: str | None, as_json: bool) -> None:
    """List trainings, the newest first."""
    from workbench import data
    from workbench import lineage as room

    digest = data.find(dataset).digest if dataset else ""
    found = room.trainings(recipe=recipe or "", dataset=digest)
    if as_json:
        out.emit([facts(one) for one in found])
        return
    rows = [
        (one.id, _state(one), one.recipe, one.name, one.data, one.base,
         _number(one.measured.get("validation_loss") or one.measured.get("train_loss")),
         out.age_text(one.created_at))
        for one in found
    ]  # fmt: skip
    out.table(("ID", "STATE", "RECIPE", "MODEL", "DATASET", "BASE", "LOSS", "BEGUN"), rows)


@click.command()
@run_argument
@out.json_option
def show(run: str, as_json: bool) -> None:
    """Show one training: its settings, price, figures, files and card."""
    from workbench import lineage as room

    found = room.find(run)
    if as_json:
        out.emit(facts(found))
        return
    show_training(found)


@click.command()
@run_argument
@click.argument("other", required=False)
@click.option("--again", is_flag=True, help="Measure anew instead of showing the card.")
@out.json_option
def compare(run: str, other: str | None, again: bool, as_json: bool) -> None:
    """Say what was gained and forgotten, against the base model or another training."""
    from workbench import lineage as room
    from workbench import train
    from workbench.cli._jobs import follow

    found = room.find(run)
    card = None if other or again else found.card
    if card is None:
        job = train.compare_again(found, room.find(other) if other else None)
        card = follow(job, as_json).result
        if as_json:
            return
    if as_json:
        out.emit(card)
    else:
        show_card(card)


@click.command()
@run_argument
@out.json_option
def lineage(run: str, as_json: bool) -> None:
    """Show the way from documents to the model, by hash."""
    from workbench import lineage as room

    drawn = room.graph(run)
    if as_json:
        out.emit(drawn.to_json())
        return
    names = {node.id: f"{node.kind} {node.label}" for node in drawn.nodes}
    rows = [
        (node.kind, node.label, node.digest.removeprefix("sha256:")[:12], node.detail,
         ", ".join(names[edge.source] for edge in drawn.edges if edge.target == node.id))
        for node in drawn.nodes
    ]  # fmt: skip
    out.table(("WHAT", "NAME", "DIGEST", "DETAIL", "MADE OF"), rows)


@click.command()
@out.json_option
def bases(as_json: bool) -> None:
    """List the models here that a training can begin with."""
    from workbench import bases as room

    found = room.bases()
    if as_json:
        out.emit([one.to_json() for one in found])
        return
    if not found:
        out.note("There is none yet. Make one: workbench starter, or workbench train base")
    rows = [
        (one.name, one.architecture, f"{one.parameters / 1e6:,.1f} M", f"{one.context:,}", one.note)
        for one in found
    ]
    out.table(("MODEL", "TYPE", "PARAMETERS", "CONTEXT", "WHERE FROM"), rows)


@click.command()
@out.json_option
def presets(as_json: bool) -> None:
    """List the presets of finetune and preferences."""
    from workbench import learn as room

    found = room.presets()
    if as_json:
        out.emit(found)
        return
    rows = [
        (name, ", ".join(f"{k}={v}" for k, v in one.items() if k != "about"), one.get("about", ""))
        for name, one in found.items()
    ]
    out.table(("PRESET", "SETTINGS", "FOR"), rows)


def facts(run: Training) -> dict[str, Any]:
    """A training with how far it is, for programs."""
    from workbench.train import job_of

    job = job_of(run)
    more = {"state": job.state, "fraction": job.fraction, "message": job.message,
            "error": job.error} if job else {"state": None}  # fmt: skip
    return {**out.plain(run), **more, "folder": str(run.folder)}


def show_training(run: Training) -> None:
    """One training for people."""
    from workbench.train import job_of

    job = job_of(run)
    price, measured = dict(run.price or {}), dict(run.measured)
    click.echo(out.neutralise(f"{run.name}: {run.recipe}"))
    out.facts(
        (
            ("id", run.id), ("state", _state(run)), ("doing", job.message if job else ""),
            ("error", job.error if job else ""), ("job", run.job), ("dataset", run.data),
            ("base", run.base),
            ("time", _beside(out.duration_text, price.get("seconds"), measured.get("seconds"))),
            ("memory", _beside(out.size_text, price.get("memory"),
                               measured.get("peak_memory_bytes"))),
            ("train loss", _number(measured.get("train_loss"))),
            ("validation loss", _number(measured.get("validation_loss"))),
            ("tokens/s", _number(measured.get("tokens_per_second"))),
            ("digest", run.digest), ("begun", out.age_text(run.created_at)),
            ("ended", out.age_text(run.ended_at)), ("folder", run.folder),
        )
    )  # fmt: skip
    if run.settings:
        click.echo()
        rows = [(k, _setting(v)) for k, v in run.settings.items() if v not in (None, "")]
        out.table(("SETTING", "VALUE"), rows)
    export = dict(run.export or {})
    show_parity(export)
    if run.card:
        click.echo()
        show_card(run.card)


def show_parity(export: Mapping[str, Any]) -> None:
    """The files and what the gate says of each."""
    files = export.get("files") or {}
    checked = {row["kind"]: row for row in (export.get("parity") or {}).get("rows", ())}
    rows = []
    for kind in {**files, **checked}:
        row, file = checked.get(kind, {}), files.get(kind, {})
        passed = {True: "passed", False: "REFUSED"}.get(row.get("ok"), "")
        told = (passed, _share(row.get("top1")), _number(row.get("kl")), file.get("path") or "")
        rows.append((kind, out.size_text(file.get("bytes")), *told))
    if rows:
        click.echo()
        out.table(("FILE", "SIZE", "PARITY", "SAME TOKEN", "KL", "PATH"), rows)
    for kind, row in checked.items():
        if row.get("why"):
            out.note(f"{kind}: {row['why']}")


def show_card(card: Mapping[str, Any]) -> None:
    """What was gained, what was forgotten."""
    for words in card.get("words", ()):
        click.echo(out.neutralise(str(words)))
    rows = [
        (one["set"], one["n"], _loss(one["tuned"]), _loss(one["base"]), one["unit"],
         one["better"], one["worse"], one["same"])
        for key in ("target", "control") if (one := card.get(key))
    ]  # fmt: skip
    if rows:
        click.echo()
        out.table(("SET", "N", "LOSS", "BASE'S", "UNIT", "BETTER", "WORSE", "SAME"), rows)
    flips = [flip for key in ("target", "control") for flip in _flips(card.get(key))]
    if flips:
        click.echo()
        out.table(("SET", "EXAMPLE", "", "LOSS", "BASE'S", "BEGINS"), flips)
    for remark in card.get("notes", ()):
        out.note(str(remark))


def _flips(one: Mapping[str, Any] | None) -> Iterable[tuple[Any, ...]]:
    for flip in (one or {}).get("flips", ()):
        yield (one["set"], flip["number"], flip["verdict"], _number(flip["tuned"]),  # type: ignore[index]
               _number(flip["base"]), flip["text"][:60])  # fmt: skip


def _state(run: Training) -> str:
    from workbench.train import job_of

    job = job_of(run)
    if job is None:
        return "?"
    done = f" {job.fraction:.0%}" if job.state == "running" and job.fraction is not None else ""
    return f"{job.state}{done}"


def _setting(value: Any) -> str:
    """A setting as `--set` takes it."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _beside(write: Any, predicted: Any, measured: Any) -> str:
    parts = [write(measured)] if measured else []
    parts += [f"expected {write(predicted)}"] if predicted else []
    return ", ".join(parts)


def _loss(one: Mapping[str, Any] | None) -> str:
    if not one or one["value"] is None:
        return ""
    return f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"


def _share(value: Any) -> str:
    return "" if value is None else f"{value:.1%}"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else ""

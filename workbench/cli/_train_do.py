"""`workbench train stop`, `pause`, `resume`, `export`, `deploy`, `feedback`, `rm`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli import _output as out
from workbench.cli._train_show import facts, run_argument, show_parity

if TYPE_CHECKING:
    from workbench.jobs import Job
    from workbench.lineage import Training

_detach = click.option("--detach", is_flag=True, help="Do not wait for the job.")
_deployed = (
    click.option("--name", default="", help="Of the model in the engine, if another one."),
    click.option("--system", default="", help="What the model is told about its part."),
    click.option("--replace", is_flag=True, help="Replace a model that has this name."),
    click.option("--as-adapter", is_flag=True, help="As an adapter beside its base model."),
    click.option("--force", is_flag=True, help="Also where the parity gate refuses."),
    _detach,
    out.json_option,
)


def _deployable(function: Any) -> Any:
    for option in reversed(_deployed):
        function = option(function)
    return function


@click.command()
@run_argument
@out.json_option
def stop(run: str, as_json: bool) -> None:
    """End a training now and keep what it learnt: it is exported and deployed."""
    from workbench import train as room

    found = room.stop(run)
    _said(found, as_json, f"{found.id} ends, and is exported. Follow it: "
          f"workbench jobs watch {found.job}")  # fmt: skip


@click.command()
@run_argument
@out.json_option
def pause(run: str, as_json: bool) -> None:
    """Stop a training with a checkpoint, to go on later."""
    from workbench import train as room

    found = room.pause(run)
    _said(found, as_json, f"{found.id} is pausing. Go on: workbench train resume {found.id}")


@click.command()
@run_argument
@_detach
@out.json_option
def resume(run: str, detach: bool, as_json: bool) -> None:
    """Go on with a training that was paused, killed or failed, from its last checkpoint."""
    from workbench import train as room
    from workbench.jobs import get

    found = room.resume(run)
    job = _followed(get(found.job), detach, as_json)
    if job is not None and not as_json:
        for words in job.result["words"]:
            click.echo(out.neutralise(words))
        click.echo(out.neutralise(f"{found.name} is made (training {found.id})."))


@click.command()
@run_argument
@click.option("--kind", "kinds", multiple=True, help="Of GGUF file, such as Q4_K_M; repeatable.")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="A folder.")
@click.option("--deploy", is_flag=True, help="Put the first kind into the engine.")
@_deployable
def export(run: str, kinds: Sequence[str], output: Path | None, deploy: bool, detach: bool,
           as_json: bool, **given: Any) -> None:  # fmt: skip
    """Write GGUF files of what was trained, checked against its weights."""
    from workbench import train as room

    job = room.export_again(run, kinds=kinds, folder=output, deploy=deploy, **given)
    done = _followed(job, detach, as_json)
    if done is not None and not as_json:
        show_parity(done.result["export"])
        for path in done.result["copies"]:
            click.echo(out.neutralise(f"{path} is written."))


@click.command()
@run_argument
@click.option("--kind", default="", help="Of GGUF file; else the one there is.")
@_deployable
def deploy(run: str, kind: str, detach: bool, as_json: bool, **given: Any) -> None:
    """Put what was trained into the engine in use."""
    from workbench import train as room

    done = _followed(room.deploy(run, kind=kind, **given), detach, as_json)
    if done is not None and not as_json:
        name = done.result["name"]
        click.echo(out.neutralise(f"{name} is in the engine: workbench chat {name}"))


@click.command()
@click.option("--name", default="", help="Of the dataset to make; without one it is counted only.")
@click.option("--form", type=click.Choice(["preference", "conversation"]), default="preference",
              show_default=True, help="Pairs, or the good answers alone.")  # fmt: skip
@click.option("--voter", default="user", show_default=True, help="A judging model; all: everybody.")
@click.option("--records", type=click.Path(path_type=Path, dir_okay=False),
              help="A file with accepted and rejected answers.")  # fmt: skip
@out.json_option
def feedback(name: str, form: Any, voter: str, records: Path | None, as_json: bool) -> None:
    """Make a dataset of votes and of accepted and rejected answers."""
    from workbench import recipes as room
    from workbench.cli._data_show import show_datasets

    who = None if voter == "all" else voter
    if not name:
        found = room.feedback(voter=who, records=records)
        out.emit(found.to_json()) if as_json else click.echo(out.neutralise(found.sentence))
        return
    made = room.make_feedback(name, form, voter=who, records=records)
    if as_json:
        out.emit(made)
    else:
        show_datasets([made])


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN …")
@click.option("--yes", is_flag=True, help="Do not ask.")
@out.json_option
def rm(runs: Sequence[str], yes: bool, as_json: bool) -> None:
    """Remove trainings with their weights and files; their models in the engine stay."""
    from workbench import lineage
    from workbench import train as room

    found = [lineage.find(run) for run in runs]
    if not yes:
        names = ", ".join(f"{run.id} ({run.name})" for run in found)
        click.confirm(out.neutralise(f"Remove {names} with all files?"), abort=True)
    for run in found:
        room.remove(run)
    if as_json:
        out.emit({"removed": [run.id for run in found]})
    else:
        click.echo(f"{len(found)} removed.")


def _said(run: Training, as_json: bool, words: str) -> None:
    if as_json:
        out.emit(facts(run))
    else:
        click.echo(out.neutralise(words))


def _followed(job: Job, detach: bool, as_json: bool) -> Job | None:
    """The job when it has ended; None where nobody waits."""
    from workbench.cli._jobs import follow, told

    if not detach:
        return follow(job, as_json)
    told(job, as_json)
    return None

"""`workbench starter`: a small Llama, trained from scratch on this machine while you watch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from workbench.cli._jobs import figures, follow
from workbench.cli._output import emit, json_option, neutralise
from workbench.cli._progress import Steps

if TYPE_CHECKING:
    from workbench.jobs import Report

TARGET = "workbench.train:build_starter"


@click.command()
@click.option("--minutes", default=3.0, show_default=True, type=click.FloatRange(min=0.01))
@click.option("--name", default="starter", show_default=True, help="The model's name.")
@click.option("--foreground", is_flag=True, help="Train in this process; Ctrl-C ends it.")
@click.option("--detach", is_flag=True, help="Submit the job and return at once.")
@json_option
def starter(minutes: float, name: str, foreground: bool, detach: bool, as_json: bool) -> None:
    """Train the starter model on this machine."""
    from workbench.protocol import ModelName

    ModelName.parse(name)  # a name that cannot be is told before minutes of training
    arguments: dict[str, Any] = {"minutes": minutes, "name": name}
    if foreground:
        _train_here(arguments, as_json)
    else:
        from workbench.jobs import submit

        job = submit(TARGET, arguments, title=f"Train {name}", kind="starter")
        if detach:
            text = f"Submitted. Follow it: workbench jobs watch {job.id}"
            emit(job) if as_json else click.echo(text)
            return
        follow(job, as_json)
    if not as_json:
        click.echo(neutralise(f"{name} is ready. Try it: workbench generate {name} 'def main('"))


def _train_here(arguments: dict[str, Any], as_json: bool) -> None:
    """The job's function, called by us; its checkpoints go to a folder of their own."""
    from workbench.jobs import JobContext
    from workbench.settings import home
    from workbench.train import build_starter

    folder = home() / "starter-foreground"
    folder.mkdir(exist_ok=True, mode=0o700)
    with Steps() as shown:

        def report(step: Report) -> None:
            if as_json:
                emit(step)
            else:
                shown.show("", step.message, step.fraction, figures(step.metrics))

        result = build_starter(JobContext("foreground", folder, report=report), **arguments)
    if as_json:
        emit({"done": True, "result": result})

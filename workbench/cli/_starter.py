"""`workbench starter`: a small Llama, trained from scratch on this machine while you watch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from workbench.cli._jobs import figures, follow
from workbench.cli._output import emit, json_option, neutralise
from workbench.cli._progress import Steps

if TYPE_CHECKING:
    from workbench.jobs import Report


@click.command()
@click.option("--minutes", default=3.0, show_default=True, type=click.FloatRange(min=0.01))
@click.option("--name", help="The model's name (default: starter, or all-minilm).")
@click.option("--embedding", is_flag=True, help="Install the embedding model instead.")
@click.option("--replace", is_flag=True, help="Make it anew when there is one of that name.")
@click.option("--foreground", is_flag=True, help="Work in this process; Ctrl-C ends it.")
@click.option("--detach", is_flag=True, help="Submit the job and return at once.")
@json_option
def starter(
    minutes: float,
    name: str | None,
    embedding: bool,
    replace: bool,
    foreground: bool,
    detach: bool,
    as_json: bool,
) -> None:
    """Train the starter model on this machine.

    It needs no network, and neither does --embedding.
    """
    from workbench.protocol import ModelName

    name = name or ("all-minilm" if embedding else "starter")
    ModelName.parse(name)  # a name that cannot be is told before minutes of training
    target = "install_minilm" if embedding else "build_starter"
    arguments: dict[str, Any] = {"name": name, "replace": replace}
    if not embedding:
        arguments["minutes"] = minutes
    if foreground:
        _work_here(target, arguments, as_json)
    else:
        from workbench.jobs import submit

        title = f"{'Install' if embedding else 'Train'} {name}"
        job = submit(f"workbench.starter:{target}", arguments, title=title, kind="starter")
        if detach:
            text = f"Submitted. Follow it: workbench jobs watch {job.id}"
            emit(job) if as_json else click.echo(text)
            return
        follow(job, as_json)
    if not as_json:
        click.echo(neutralise(f"{name} is ready: workbench models show {name}"))


def _work_here(target: str, arguments: dict[str, Any], as_json: bool) -> None:
    """The job's function, called by us; its checkpoints go to a folder of their own."""
    from workbench import train
    from workbench.jobs import JobContext
    from workbench.settings import home

    folder = home() / "foreground"
    folder.mkdir(exist_ok=True, mode=0o700)
    with Steps() as shown:

        def report(step: Report) -> None:
            if as_json:
                emit(step)
            else:
                shown.show("", step.message, step.fraction, figures(step.metrics))

        result = getattr(train, target)(JobContext("here", folder, report=report), **arguments)
    if as_json:
        emit({"done": True, "result": result})

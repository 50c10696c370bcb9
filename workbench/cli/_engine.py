"""`workbench engine`: the embedded engine as a program, and which engine is in use."""

from __future__ import annotations

import os
import sys

import click

from workbench.cli._errors import UNREACHABLE
from workbench.cli._output import emit, facts, json_option, plain
from workbench.errors import EngineUnreachable


@click.group()
def engine() -> None:
    """Serve, start, stop and look at the embedded engine."""


@engine.command()
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes any free one.")
def serve(port: int | None) -> None:
    """Run the embedded engine here, until Ctrl-C."""
    command = [sys.executable, "-m", "workbench.embedded"]
    if port is not None:
        command += ["--port", str(port)]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606 (signals and the exit code are the engine's)


@engine.command()
@json_option
def start(as_json: bool) -> None:
    """Start the embedded engine in the background, or find the one that runs."""
    from workbench.engines import start_engine

    url = start_engine()
    emit({"url": url}) if as_json else click.echo(f"The engine answers at {url}")


@engine.command()
@json_option
def stop(as_json: bool) -> None:
    """Stop the embedded engine; loaded models are unloaded."""
    from workbench.engines import stop_engine

    stopped = stop_engine()
    if as_json:
        emit({"stopped": stopped})
    else:
        click.echo("The engine is stopped." if stopped else "No embedded engine was running.")


@engine.command()
@json_option
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Say which engine is in use, and how the embedded one is. Exits with 4 without any."""
    from workbench.engines import connect, engine_status

    embedded = engine_status()
    in_use = {}
    try:
        with connect(start=False) as found:
            in_use = {"url": found.url, "kind": found.kind, "version": found.version()}
    except EngineUnreachable:
        pass
    if as_json:
        emit({"in_use": in_use or None, "embedded": embedded})
    elif not in_use:
        click.echo("No engine answers. Start one: workbench engine start")
    else:
        click.echo(f"In use: {in_use['kind']} at {in_use['url']}")
        facts([("version", in_use["version"])])
        if embedded is not None:
            click.echo("Embedded engine")
            facts(plain(embedded).items())
    if not in_use:
        context.exit(UNREACHABLE)

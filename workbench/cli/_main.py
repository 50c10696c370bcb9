"""The table of commands and the one place where errors become exit codes.

A command's module is imported when the command is called; the help of the table below is kept
equal to the commands' own by a test.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import click

from workbench import __version__
from workbench.cli._errors import report
from workbench.cli._output import tolerate_any_text

COMMANDS: Mapping[str, tuple[str, str]] = {
    "start": ("_start:start", "Open the dashboards, with an engine and a model behind them."),
    "lab": ("_start:lab", "Open the same notebooks in JupyterLab."),
    "doctor": ("_doctor:doctor", "Check this installation and say what to do."),
    "hardware": ("_hardware:hardware", "Show what this machine is."),
    "engine": ("_engine:engine", "Serve, start, stop and look at the embedded engine."),
    "models": ("_models:models", "List, show, pull, create, build, copy and remove models."),
    "catalogue": ("_catalogue:catalogue", "Search, price, recommend and compare models."),
    "bench": ("_bench:bench", "Measure models on suites, compare them, and say how sure it is."),
    "data": (
        "_data:data",
        "Gather documents, clean them into datasets, check, split and compare those.",
    ),
    "train": (
        "_train:train",
        "Train models, from nothing or further, and put them into the engine.",
    ),
    "tune": (
        "_tune:tune",
        "Search better settings of a model, and confirm them on questions it never saw.",
    ),
    "versions": (
        "_versions:versions",
        "Make releases of models, take them into use, compare them, have them elsewhere.",
    ),
    "storage": (
        "_storage:storage",
        "See what takes the disk, prune it into a trash, bring it back from there.",
    ),
    "generate": ("_generate:generate", "Complete a prompt."),
    "chat": ("_chat:chat", "Talk with a model."),
    "starter": ("_starter:starter", "Train the starter model on this machine."),
    "jobs": ("_jobs:jobs", "Watch, cancel and resume long work."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, and listed without it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(f"workbench.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 no engine, 5 busy or out "
    "of memory, 130 interrupted.",
)
@click.version_option(__version__, prog_name="workbench")
def workbench() -> None:
    """Find, measure, teach and use local language models, on this machine."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    tolerate_any_text()
    try:
        code = workbench.main(arguments, prog_name="workbench", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        return report(error)
    return code if isinstance(code, int) else 0


def main() -> None:
    """The entry point of the `workbench` command."""
    sys.exit(run())

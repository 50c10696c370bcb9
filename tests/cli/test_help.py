"""Help is quick because nothing is imported for it, and says what the commands say."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from workbench.cli._main import COMMANDS, workbench

HEAVY = {"httpx", "sqlalchemy", "torch", "rich", "psutil", "workbench.engines", "workbench.jobs",
         "workbench.panels", "asyncio", "voila"}  # fmt: skip


def imported(*arguments: str) -> set[str]:
    """The modules that one command line imports, from `python -X importtime`."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "workbench.cli", *arguments],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("models", "--help"), ("jobs", "watch", "--help"),
     ("generate", "--help"), ("starter", "--help"), ("engine", "--help"), ("doctor", "--help")],
    ids=" ".join,
)  # fmt: skip
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    modules = imported(*arguments)
    assert "click" in modules
    assert not modules & HEAVY


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    command = workbench.get_command(click.Context(workbench), name)
    assert command is not None
    assert command.get_short_help_str(200) == COMMANDS[name][1]
    assert command.name == name


def walk(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        return [path]
    context = click.Context(command)
    found = [path] if path else []
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        found += walk(inner, (*path, name))
    return found


@pytest.mark.parametrize("path", walk(workbench), ids=" ".join)
def test_every_command_has_help_and_json(path: tuple[str, ...]) -> None:
    command: click.Command = workbench
    context = click.Context(workbench)
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(context, name) or pytest.fail(name)
    assert command.help
    options = {option for parameter in command.params for option in parameter.opts}
    without = {("engine", "serve")}  # it becomes the engine, whose log is its output
    assert isinstance(command, click.Group) or path in without or "--json" in options

"""How far long work is: bars on a terminal, a line now and then elsewhere; always on stderr."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Self

import click

from workbench.cli._output import cell

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Steps:
    """Shows steps of work while it is entered. `bars` is None where nobody sees them move."""

    def __init__(self) -> None:
        moving = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._bars = _bars() if moving else None
        self._tasks: dict[str, TaskID] = {}
        self._told: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> Self:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def show(self, key: str, text: str, fraction: float | None = None, figures: str = "") -> None:
        """`key` tells parallel parts apart; `fraction` is None when it is unknown."""
        text, figures = cell(text), cell(figures)
        if self._bars:
            if key not in self._tasks:
                self._tasks[key] = self._bars.add_task(text, figures=figures)
            known = {"total": None} if fraction is None else {"total": 1.0, "completed": fraction}
            self._bars.update(self._tasks[key], description=text, figures=figures, **known)
            return
        tenth = -1 if fraction is None else int(fraction * 10)
        if self._told.get(key) != (text, tenth):
            self._told[key] = (text, tenth)
            share = "" if fraction is None else f" {fraction:4.0%}"
            click.echo(f"{text}{share}  {figures}".rstrip(), err=True)


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        Remaining(compact=True),
        console=Console(stderr=True),
    )

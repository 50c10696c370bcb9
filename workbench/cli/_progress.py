"""How far long work is: bars on a terminal, a line now and then elsewhere; always on stderr."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import click

from workbench.cli._output import cell

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Reporter(Protocol):
    """Takes steps of work. `key` tells parallel parts apart; `fraction` is None if unknown."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def step(self, key: str, text: str, fraction: float | None = None, note: str = "") -> None:
        """`text` says what is done, `note` a figure beside it (a speed, a loss)."""


class Lines:
    """One line when the text changes, and one for each tenth of the way."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def step(self, key: str, text: str, fraction: float | None = None, note: str = "") -> None:
        tenth = -1 if fraction is None else int(fraction * 10)
        if self._told.get(key) == (text, tenth):
            return
        self._told[key] = (text, tenth)
        share = "" if fraction is None else f" {fraction:4.0%}"
        click.echo(f"{cell(text)}{share}{'  ' + cell(note) if note else ''}", err=True)


class Bars:
    """A live bar for each part of the work, drawn by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self._progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            Remaining(compact=True),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def step(self, key: str, text: str, fraction: float | None = None, note: str = "") -> None:
        text, note = cell(text), cell(note)
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(text, total=None, note=note)
        total = None if fraction is None else 1.0
        self._progress.update(
            self._tasks[key], description=text, total=total, completed=fraction or 0.0, note=note
        )


def reporter() -> Reporter:
    """Bars where somebody sees them move, lines elsewhere."""
    moving = sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}
    return Bars() if moving else Lines()

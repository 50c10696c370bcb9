"""Exit codes, and how an error is told: one sentence on stderr, a traceback only for DEBUG=1.

0    done                          4    no engine answers, or the connection broke
1    it failed, or a check failed  5    the engine is busy, or there is not enough memory
2    wrong usage                   130  interrupted (Ctrl-C)
3    no such model, job or file    141  the reader of our output went away (`| head`)
"""

from __future__ import annotations

import os
import sys
import traceback

import click

from workbench.cli._output import neutralise
from workbench.errors import (
    EngineBusy,
    EngineUnreachable,
    ModelNotFound,
    NotEnoughMemory,
    StreamBroken,
    WorkbenchError,
)
from workbench.settings import env

FAILED, USAGE, NOT_FOUND, UNREACHABLE, BUSY = 1, 2, 3, 4, 5
INTERRUPTED, BROKEN_PIPE = 130, 141


class NotFound(WorkbenchError):
    """The job or file that the command line names does not exist."""


def exit_code(error: BaseException) -> int:
    """The exit code that stands for `error`."""
    match error:
        case ModelNotFound() | NotFound() | FileNotFoundError():
            return NOT_FOUND
        case EngineUnreachable() | StreamBroken():
            return UNREACHABLE
        case EngineBusy() | NotEnoughMemory():
            return BUSY
        case KeyboardInterrupt() | EOFError() | click.Abort():
            return INTERRUPTED
        case BrokenPipeError():
            return BROKEN_PIPE
        case click.ClickException():
            return error.exit_code
    return FAILED


def report(error: BaseException) -> int:
    """Tell the person what went wrong on stderr and return the exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    code = exit_code(error)
    if code == BROKEN_PIPE:
        _swallow_output()
    elif code == INTERRUPTED:
        click.echo("", err=True)
    elif isinstance(error, click.ClickException):
        error.show()
    elif isinstance(error, WorkbenchError | OSError):
        click.echo(f"Error: {neutralise(str(error))}", err=True)
        if env("DEBUG").lower() in {"1", "true", "yes", "on"}:
            traceback.print_exception(error)
    else:
        traceback.print_exception(error)
        click.echo("This is a fault of the workbench: please report the lines above.", err=True)
    return code


def _swallow_output() -> None:
    """Point stdout at nothing, so that the interpreter's last flush is quiet."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, sys.stdout.fileno())
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 (for the process's last moment)
    finally:
        os.close(nothing)

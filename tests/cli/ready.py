"""`workbench` in processes that begin with its libraries imported.

Most of a short command's time goes into imports; there are hundreds of commands here. A server
process imports what is not ours once and forks for each command, which then has its own process,
streams, folder and environment, and imports all of our code itself.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["alembic.command", "click", "httpx", "jinja2", "numpy", "psutil", "sqlalchemy.orm", "yaml"]
)


def run_command(
    arguments: Sequence[str],
    folder: Path,
    *,
    input: str = "",
    timeout: float = 60,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """The finished command. `folder` is an empty one, for its streams."""
    streams = [folder / name for name in ("in", "out", "err")]
    for path in streams:
        path.write_text("", "utf-8")
    streams[0].write_text(input, "utf-8")
    process = _FORKS.Process(
        target=_command, args=([*arguments], dict(os.environ), cwd or Path.cwd(), streams)
    )
    process.start()
    process.join(timeout)
    out, err = (path.read_text("utf-8", errors="replace") for path in streams[1:])
    if process.exitcode is None:
        process.kill()
        process.join()
        raise subprocess.TimeoutExpired(["workbench", *arguments], timeout, out, err)
    return subprocess.CompletedProcess(["workbench", *arguments], process.exitcode, out, err)


def _command(
    arguments: list[str], environment: Mapping[str, str], cwd: Path, streams: list[Path]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for number, (path, mode) in enumerate(zip(streams, "raa", strict=True)):
        with path.open(mode) as file:
            os.dup2(file.fileno(), number)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
        for number, mode in enumerate("rww")
    )
    sys.argv = ["workbench", *arguments]
    from workbench.cli import main

    main()

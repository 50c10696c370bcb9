"""A process that has all imported and forks for each order: run an update, or go back.

    {"do": "run", "update": "3f2a…", "at": 17}    →    {"statements": 17, "code": -9}

At the statement to the store with this number (commits count as one) the child kills itself with
SIGKILL; with "after", seconds, it is killed from outside. Else it comes to its end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any


class Updater:
    """The process as seen from a test."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Updater:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=60)

    def order(self, do: str, **more: Any) -> dict[str, Any]:
        """What came of it: how many statements, and the exit code (-9: killed)."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told


def _serve() -> None:
    """Import all, read what ships, and have the tables: a fork has it at once."""
    import jsonschema.validators  # type: ignore[import-untyped]  # noqa: F401
    import scipy.stats  # noqa: F401

    import workbench.bench
    import workbench.engines
    import workbench.lineage  # noqa: F401
    from workbench import cards, tasks, versions

    cards.shipped()
    tasks.suites()
    versions.updates()
    for line in sys.stdin:
        print(json.dumps(_forked(json.loads(line))), flush=True)


def _forked(order: dict[str, Any]) -> dict[str, Any]:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        code = 1
        try:
            _do(order, write)
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    if "after" in order:
        time.sleep(order["after"])
        os.kill(child, signal.SIGKILL)
    with os.fdopen(read, "rb") as statements:
        count = len(statements.read())
    return {"statements": count, "code": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}


def _do(order: dict[str, Any], write: int) -> None:
    from sqlalchemy import event

    from workbench import store, versions
    from workbench.jobs import JobContext
    from workbench.settings import home

    count = 0

    def hook(*_: Any) -> None:
        nonlocal count
        if count == order.get("at"):
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        os.write(write, b".")

    for name in ("before_cursor_execute", "commit"):
        event.listen(store.engine(), name, hook)
    if order["do"] == "rollback":
        versions.rollback()
        return
    folder: Path = home() / "here" / order["update"]
    folder.mkdir(parents=True, exist_ok=True)
    versions.run_update(JobContext("", folder), order["update"])


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    _serve()

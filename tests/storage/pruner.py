"""A process that has all imported and forks for each order: prune, undo, empty, recover.

    {"do": "prune", "names": ["*"], "step": 17}    →    {"steps": 17, "code": -9}

At the step with this number (something is about to be made, renamed or removed; the first one is
about the trash) the child kills itself with SIGKILL; without a number, or where there are fewer
steps, it comes to its end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

_STEPS = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.utime", "os.link"}


class Pruner:
    """The process as seen from a test."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Pruner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=60)

    def order(self, do: str, **more: Any) -> dict[str, Any]:
        """What came of it: how many steps, and the exit code (-9: killed)."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told


def _serve() -> None:
    from workbench import storage

    storage.survey()  # with it all is imported, and the tables are there
    for line in sys.stdin:
        print(json.dumps(_forked(json.loads(line))), flush=True)


def _forked(order: dict[str, Any]) -> dict[str, Any]:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            _do(order, write)
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as steps:
        count = len(steps.read())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"steps": count, "code": code}


def _do(order: dict[str, Any], write: int) -> None:
    from workbench import storage

    planned, count = None, 0
    if order["do"] == "prune":
        planned = storage.plan(names=order["names"])

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        begun = count or any("/trash" in str(one) for one in arguments)
        if begun and (writes or event in _STEPS):
            if count == order.get("step"):
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
            os.write(write, b".")

    sys.addaudithook(hook)
    if planned is not None:
        storage.prune(planned)
    elif order["do"] == "undo":
        storage.undo()
    elif order["do"] == "empty":
        storage.empty(older_than=0)
    else:
        storage.trash()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    _serve()

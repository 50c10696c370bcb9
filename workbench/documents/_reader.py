"""Keeps a process (`_child.py`) that reads hostile files, and starts another when it dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from workbench.documents._decode import Unreadable

SECONDS, MEMORY = 60, 2 << 30


class Reader:
    """Texts of PDF, DOCX and HTML files. Close it after use (it is a context manager).

    `seconds` bound each file, `memory` (bytes) the process. `pulse` is called while it waits and
    may raise to stop.
    """

    def __init__(
        self,
        pulse: Callable[[], None] = lambda: None,
        *,
        seconds: int = SECONDS,
        memory: int = MEMORY,
    ) -> None:
        self._pulse, self._seconds, self._memory = pulse, seconds, memory
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def read(self, kind: str, data: bytes) -> dict[str, Any]:
        """`text`, `title` and `more` of a "pdf", "docx" or "page" (this as UTF-8).

        Raises Unreadable with the reason where it has no text.
        """
        try:
            pipe = self._begin()
            pipe.send_bytes(kind.encode())
            pipe.send_bytes(data)
            answer: dict[str, Any] = json.loads(self._wait(pipe))
        except (EOFError, OSError):
            raise Unreadable(self._cause()) from None
        except BaseException:  # cancelled: it must not answer the next question with this
            self.close()
            raise
        if "error" in answer:
            raise Unreadable(answer["error"])
        return answer

    def close(self) -> None:
        """End the process."""
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._pipe = self._process = None

    def _begin(self) -> Connection:
        if self._process is not None and self._pipe is not None:
            return self._pipe
        ours, theirs = Pipe()
        program = str(Path(__file__).with_name("_child.py"))
        numbers = map(str, (theirs.fileno(), self._memory, self._seconds))
        kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-P", program, *numbers],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),), env={**kept, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        theirs.close()
        self._pipe = ours
        return ours

    def _wait(self, pipe: Connection) -> bytes:
        end = time.monotonic() + self._seconds
        while not pipe.poll(0.2):
            self._pulse()
            if time.monotonic() > end:
                raise EOFError
        return pipe.recv_bytes()

    def _cause(self) -> str:
        """Why there is no answer, in words; the process is ended."""
        code = None
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(1)
        self.close()
        if code in {None, -signal.SIGXCPU}:
            return f"takes longer than {self._seconds} seconds to read: it may be built to hang"
        return "made the program that reads it break down: it may be damaged or hostile"

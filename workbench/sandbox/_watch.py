"""Waits for a process while reading what it writes, within bounds of time, output and disk."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import IO

from workbench.sandbox._folder import is_full
from workbench.sandbox._levels import DISK
from workbench.sandbox._outcome import Status

KEPT = 256 * 1024  # bytes of each stream
FLOOD = 64 * 2**20  # bytes after which a program is ended: nobody will read them
TICK = 0.1  # seconds between two looks at the folder

Cause = tuple[Status, str]


class Stream:
    """The two ends of what was written to a pipe."""

    def __init__(self) -> None:
        self.kept, self.left_out = bytearray(), 0

    def add(self, data: bytes, most: int = 2 * KEPT) -> None:
        """Takes what was read; what lies between the two ends goes when they hold `most`."""
        self.kept += data
        if len(self.kept) > most:
            self.left_out += len(self.kept) - KEPT
            del self.kept[KEPT // 2 : -(KEPT // 2)]

    def text(self) -> str:
        """The two ends as text; between them how much is missing."""
        self.add(b"", KEPT)
        parts = [bytes(self.kept)]
        if self.left_out:
            middle = KEPT // 2
            gap = f"\n[... {self.left_out} bytes left out ...]\n".encode()
            parts = [bytes(self.kept[:middle]), gap, bytes(self.kept[middle:])]
        return b"".join(parts).decode("utf-8", "replace")


def watch(
    process: subprocess.Popen[bytes], seconds: float, folder: str | None
) -> tuple[str, str, Cause | None]:
    """Standard output and error, and why the process has to be ended; None when it has ended."""
    streams = Stream(), Stream()
    deadline, flood, looked = time.monotonic() + seconds, 0, 0.0
    with selectors.DefaultSelector() as selector:
        for pipe, stream in zip((process.stdout, process.stderr), streams, strict=True):
            assert pipe
            selector.register(pipe, selectors.EVENT_READ, stream)
        cause: Cause | None = None
        while cause is None:
            now = time.monotonic()
            if not selector.get_map() and _ended(process, min(TICK, max(deadline - now, 0.0))):
                break
            flood += _read(selector, min(TICK, deadline - now)) if selector.get_map() else 0
            if now >= deadline:
                cause = "timeout", f"It was ended after {seconds:.3g} s."
            elif flood > FLOOD:
                cause = "killed", f"It was ended: it wrote more than {FLOOD >> 20} MB of output."
            elif folder and now > looked + TICK:
                looked = now
                if is_full(folder, DISK):
                    cause = "killed", "It was ended: it filled its folder."
    return streams[0].text(), streams[1].text(), cause


def _read(selector: selectors.BaseSelector, seconds: float) -> int:
    """Reads what is there within some seconds; says how many bytes."""
    count = 0
    for key, _ in selector.select(max(seconds, 0.0)):
        pipe: IO[bytes] = key.fileobj  # type: ignore[assignment]
        data = os.read(pipe.fileno(), 65536)
        if not data:
            selector.unregister(pipe)
        key.data.add(data)
        count += len(data)
    return count


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.returncode is not None


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process with all of its group, and waits for it.

    In the group are both halves of bubblewrap and the program. Elsewhere than on Linux, what the
    program started is ended after it, too.
    """
    if process.poll() is None or sys.platform != "linux":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()

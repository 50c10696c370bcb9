"""What came of a program: how it ended, what it wrote, how long it took."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Literal

Status = Literal["done", "failed", "timeout", "memory", "killed"]
LAST_SIGNAL = 64  # Linux has 64; a shell writes "ended by signal n" as exit code 128 + n
CPU_USED_UP = 128 + getattr(signal, "SIGXCPU", 24)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one program.

    `status` is "done" (exit code 0), "failed" (an exception or another exit code), "timeout",
    "memory" (an uncaught MemoryError) or "killed" (by a signal, or by us for what it wrote).
    `returncode` is 128 + n after signal n, as a shell has it. Of `stdout` and `stderr` the two
    ends are kept. `seconds` is wall-clock time with the start of the interpreter; `protection`
    the level that was in force. `words` says it all in a sentence.
    """

    status: Status
    returncode: int
    stdout: str
    stderr: str
    seconds: float
    protection: str
    words: str = ""


def status_of(returncode: int, stderr: str) -> tuple[Status, str]:
    """How a program that we did not end has ended, and the same in words."""
    if returncode == 0:
        return "done", "It ended by itself."
    if returncode == CPU_USED_UP:
        return "timeout", "It was ended because it used up its processor time."
    last_line = stderr.rstrip().rpartition("\n")[2]
    if returncode == 1 and last_line.startswith("MemoryError"):
        return "memory", "It needed more memory than it may have."
    if 128 < returncode <= 128 + LAST_SIGNAL:
        return "killed", f"It was ended by signal {returncode - 128}."
    return "failed", f"It ended with exit code {returncode}."

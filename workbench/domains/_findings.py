"""What a check says of a Modelfile, and a reading of it that goes on after a mistake."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from workbench.errors import ModelfileError
from workbench.protocol import KEYWORDS, Instruction, read_instructions
from workbench.texts import nearest

Severity = Literal["error", "warning", "note"]
MOST = 50  # findings of one text; after so many, mending comes first


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a Modelfile. `line` and `column` count from 1; `fix` says what to do."""

    line: int
    column: int
    severity: Severity
    message: str
    fix: str = ""


def instructions(text: str) -> tuple[list[Instruction], list[Finding]]:
    """The instructions that can be read, and an error for each place that cannot."""
    lines = text.split("\n")
    found: list[Finding] = []
    read: list[Instruction] = []
    while len(found) < MOST:
        read = []
        try:
            for one in read_instructions("\n".join(lines)):
                read.append(one)
        except ModelfileError as error:
            at = (error.line or 1) - 1
            found.append(_unread(error, at, lines[at]))
            if "unexpected EOF" in str(error):  # its quote takes all that follows
                return read, found
            end = _last(lines, at)
            lines[at : end + 1] = ["#"] * (end + 1 - at)
        else:
            break
    return read, found


def _unread(error: ModelfileError, at: int, line: str) -> Finding:
    message = re.sub(r"^\(line \d+\): ", "", str(error))
    column = len(line) - len(line.lstrip()) + 1
    word = line.split()[0] if line.split() else ""
    if message.startswith("command must"):
        shown = [name.upper() for name in KEYWORDS]
        message = f"{word[:40]!r} is no instruction."
        fix = nearest(word.upper(), shown).strip()
        return Finding(at + 1, column, "error", message, fix)
    return Finding(at + 1, column, "error", f"{message[:1].upper()}{message[1:]}.", _fix(message))


def _fix(message: str) -> str:
    for sign, fix in {
        "unexpected EOF": 'Close it with the same quote (" or """) at the end of a line.',
        "needs a value": "Write the value after it, on the same line.",
        "role must": "Write MESSAGE user …, MESSAGE assistant … or MESSAGE system …",
        "a name and a value": "Write it as: PARAMETER temperature 0.7",
        "NUL": "Delete that character; a Modelfile is a text.",
    }.items():
        if sign in message:
            return fix
    return ""


def _last(lines: list[str], at: int) -> int:
    """The last line of what cannot be read: of a quoted text, the one that closes it."""
    if lines[at].count('"""') == 1:
        for number in range(at + 1, len(lines)):
            if lines[number].rstrip().endswith('"""'):
                return number
    return at

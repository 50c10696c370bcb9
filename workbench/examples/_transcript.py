"""Conversations in plain text: "User: …", "Assistant: …", a turn a paragraph or a line.

A new conversation begins behind a line of dashes (---), at a "System:" that is not the first turn,
and, where the file has whole exchanges without blank lines in them, at a "User:" behind a blank
line. Lines without a speaker belong to the turn above them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from workbench.examples._findings import Finding
from workbench.examples._lines import MOST_LINE, Row, encoding_of, read_lines
from workbench.examples._names import role_of

_SPEAKER = re.compile(r"[*_]{0,2}([A-Za-z]{1,12})(?: ?[*_]{0,2}:[*_]{0,2})(?:[ \t]+|$)", re.M)
_BREAK = re.compile(r"\s*([-=*#_])(?:\s*\1){2,}\s*")


def speaker_of(text: str) -> tuple[str, int] | None:
    """The role that speaks from this line on and where its words begin; None for other lines."""
    found = _SPEAKER.match(text)
    role = role_of(found[1]) if found else None
    return (role, found.end()) if found and role else None


def is_transcript(head: str) -> bool:
    """Whether the text begins with a speaker, and both sides speak in it."""
    lines = head.lstrip().splitlines()
    roles = {found[0] for line in lines if (found := speaker_of(line))}
    return bool(lines and speaker_of(lines[0]) and {"user", "assistant"} <= roles)


def read_transcript(path: Path) -> Iterator[Row | Finding]:
    """A row {"messages": …} for each conversation."""
    blocks = _has_blocks(path)
    turns: list[tuple[str, list[str]]] = []
    start, size, blank = 1, 0, False
    for line in read_lines(path):
        if isinstance(line, Finding):
            yield line
            continue
        spoken = speaker_of(line.text)
        begins = spoken and turns and (
            spoken[0] == "system" or (blocks and blank and spoken[0] == "user")
        )  # fmt: skip
        if begins or _BREAK.fullmatch(line.text):
            yield from _conversation(path, start, size, turns)
            turns, size = [], 0
        blank = not line.text.strip()
        if _BREAK.fullmatch(line.text):
            continue
        size += len(line.text)
        if spoken:
            start = start if turns else line.number
            turns.append((spoken[0], [line.text[spoken[1] :]]))
        elif turns and size <= MOST_LINE:
            turns[-1][1].append(line.text)
        elif not blank and not turns:
            reason = "Nobody speaks here: a conversation begins with “User:”."
            yield Finding("format", "error", reason, str(path), line.number)
    yield from _conversation(path, start, size, turns)


def _conversation(
    path: Path, start: int, size: int, turns: list[tuple[str, list[str]]]
) -> Iterator[Row | Finding]:
    if size > MOST_LINE:
        reason = "The conversation is longer than 16 million characters."
        yield Finding("too-large", "error", reason, str(path), start)
    elif turns:
        messages = [{"role": role, "content": "".join(texts).strip()} for role, texts in turns]
        yield Row(start, {"messages": messages})


def _has_blocks(path: Path) -> bool:
    """Whether an answer follows its question without a blank line between them."""
    with path.open(encoding=encoding_of(path), errors="replace") as file:
        head = file.read(64 << 10)
    for block in re.split(r"\n\s*\n", head):
        roles = [found[0] for line in block.splitlines() if (found := speaker_of(line))]
        if "user" in roles and "assistant" in roles:
            return True
    return False

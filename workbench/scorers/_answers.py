"""What scorers take out of an answer: the part that is meant, its code blocks, its words.

An answer may be anything: a megabyte, unclosed fences, halves of characters. All of this is
linear in its length.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from workbench.scorers._records import Verdict

LONGEST = 1_000_000  # characters that are scored; what is behind them is not looked at
_THINKING = ("think", "thinking")
_FENCE = re.compile(r"([ \t]{0,8})(`{3,}|~{3,})[ \t]*([^`]*)")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WORD = re.compile(r"\w+")


def meant(answer: str) -> str:
    """The answer without the thinking before it, in whole characters, at most LONGEST of them.

    `<think>…</think>` (or `thinking`) at the beginning is cut off, as often as it comes; without
    its end, all is thinking and nothing was answered. An end without a beginning, which a
    template may have written into the prompt, cuts off all before it. Tags further on stay.
    """
    whole = text = answer.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    for tag in _THINKING:
        start, end = f"<{tag}>", f"</{tag}>"
        if end in text and start not in text[: text.index(end)]:
            text = text.partition(end)[2]
        while text.lstrip().startswith(start):
            text = text.partition(end)[2]
    return (text if text is whole else text.lstrip("\r\n"))[:LONGEST]


class Block(NamedTuple):
    """A fenced block of Markdown; `language` is the word behind the fence, in lower case."""

    language: str
    text: str


def blocks(text: str) -> list[Block]:
    """The fenced blocks, in order; one that is not closed goes on to the end.

    As in CommonMark, the fence's own indentation is taken off the lines inside.
    """
    found: list[Block] = []
    fence, indent, language, lines = "", 0, "", list[str]()
    for line in text.split("\n"):
        match = _FENCE.fullmatch(line.rstrip("\r"))
        if not fence and match:
            indent, fence, language = len(match[1]), match[2], match[3].partition(" ")[0].lower()
        elif fence and match and match[2].startswith(fence) and not match[3].strip():
            found.append(Block(language, "\n".join(lines)))
            fence, lines = "", []
        elif fence:
            lines.append(line[:indent].lstrip(" \t") + line[indent:])
    return [*found, Block(language, "\n".join(lines))] if fence else found


def accepted(target: Any) -> list[str]:
    """The texts that are right: a list holds several, anything else is one."""
    if target is None:
        return []
    return [str(one) for one in target] if isinstance(target, list | tuple) else [str(target)]


def choice_index(target: Any, choices: Sequence[str]) -> int | None:
    """Which choice is meant: a whole number is its index, a text the choice itself or its letter.

    A text of digits that is no choice is an index, as CSV has no numbers. None: none is meant.
    """
    if isinstance(target, int) and not isinstance(target, bool) and 0 <= target < len(choices):
        return target
    text = str(target).strip()
    if text in choices:
        return choices.index(text)
    if len(text) == 1 and text.upper() in LETTERS[: len(choices)]:
        return LETTERS.index(text.upper())
    if text.isascii() and text.isdigit() and len(text) < 4 and int(text) < len(choices):
        return int(text)
    return None


def words(text: str) -> list[str]:
    """Words in one case, without punctuation."""
    return _WORD.findall(text.casefold())


def cosine(a: Sequence[float], b: Sequence[float]) -> float | None:
    """How much two vectors point the same way, -1 to 1; None where that means nothing."""
    if len(a) != len(b) or not a:
        return None
    sizes = math.hypot(*a) * math.hypot(*b)
    value = math.fsum(x * y for x, y in zip(a, b, strict=True)) / sizes if sizes else math.nan
    return value if math.isfinite(value) else None


def right(condition: bool, detail: str = "") -> Verdict:
    """A verdict of 1 or 0."""
    return Verdict(float(condition), detail)


def unknown(reason: str) -> Verdict:
    """A verdict that could not be reached."""
    return Verdict(None, reason)


def shown(text: Any) -> str:
    """A few characters of a text, in quotes, for a verdict's detail."""
    whole = text if isinstance(text, str) else str(text)[:200]
    return repr(whole if len(whole) <= 60 else f"{whole[:57]}…")

"""Which characters of a rendered conversation are learnt: the answers, each with its end.

A template is a program, so its text has no marks of what came from where. Three ways are tried:

- `{% generation %}` marks, where the template has them;
- beginnings: the text up to a turn, rendered alone, is the beginning of the whole. The answer is
  what is between "asked for it" and "answered";
- the skeleton, for templates that write an earlier turn differently than the last one (reasoning
  is left out): the conversation rendered with placeholders in place of its contents shows the
  text between them, and the whole is walked along it.

What no way finds is not learnt, and said. A turn of the user can never be learnt by mistake: both
ways know where it begins and ends, and neither searches for a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os.path import commonprefix
from typing import Any

from workbench.errors import DataError

Turn = Mapping[str, Any]
Span = tuple[int, int]  # from … up to, in characters
Write = Callable[[Sequence[Turn], bool], str]  # turns, and whether the answer is asked for

_MANY = 64  # answers; in longer conversations rendering every beginning would take too long
_MARK = re.compile(r"\s*(<[^<>\s]{1,40}>|\[[^\[\]\s]{1,40}\])")
_HOLE = re.compile("\ue000([0-9]+)\ue001")


@dataclass(slots=True)
class Mask:
    """What was found: spans in order, and what to tell a person."""

    spans: list[Span] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def mask_of(write: Write, turns: Sequence[Turn], whole: str) -> Mask:
    """The learnt spans of `whole`, which is the turns as `write` writes them."""
    mask = Mask()
    answers = [i for i, turn in enumerate(turns) if turn["role"] == "assistant"]
    skeleton: dict[int, Span] | None = None
    rewritten = []
    for i in answers:
        span = _between(write, turns, whole, i, mask) if len(answers) <= _MANY else None
        if span is None:
            skeleton = _along(write, turns, whole) if skeleton is None else skeleton
            span = skeleton.get(i)
            rewritten += [i + 1] if i and len(answers) <= _MANY else []
        if span is None:
            mask.notes.append(
                f"Turn {i + 1} cannot be found in what the template writes: not learnt."
            )
        else:
            mask.spans.append(_trimmed(whole, span, turns[i], mask))
    if rewritten:
        mask.notes.append(
            f"The template writes turn {', '.join(map(str, rewritten))} differently once more "
            "turns follow: what is left of it there is learnt."
        )
    return mask


def _between(write: Write, turns: Sequence[Turn], whole: str, i: int, mask: Mask) -> Span | None:
    """From where the answer is asked for to where it has been given."""
    if not i:
        return None  # few templates write no turn at all
    try:
        given = write(turns[: i + 1], False).rstrip() if i + 1 < len(turns) else whole
        asked, before = write(turns[:i], True), write(turns[:i], False)
    except DataError:  # templates may want the roles in a certain order
        return None
    if not whole.startswith(given) or not whole.startswith(before.rstrip()):
        return None
    start = shared(asked, whole)
    if start < len(asked):
        content = turns[i]["content"].strip()
        at = whole.rfind(content, len(before), len(given)) if content else -1
        start = min(start, at) if at >= 0 else start
        if (mark := whole.rfind("<", len(before), start)) > whole.rfind(">", len(before), start):
            start = mark  # "<call>" and "<think>" begin alike
        if opening := asked[start:].strip():
            mask.notes.append(
                f"When the model is asked, the template begins its answer with {opening!r}, with "
                "which the answers here do not begin: it would learn another beginning."
            )
    return (start, len(given)) if len(before.rstrip()) <= start < len(given) else None


def _along(write: Write, turns: Sequence[Turn], whole: str) -> dict[int, Span]:
    """Each answer's place, as far as the whole follows the skeleton."""
    holes = [{**turn, "content": f"\ue000{i}\ue001"} for i, turn in enumerate(turns)]
    found: dict[int, Span] = {}
    try:
        parts = _HOLE.split(write(holes, False))  # text, number, text, number, …, text
        ending = end_of_turn(write)[1]
    except DataError:
        return found
    numbers = [int(number) for number in parts[1::2]]
    if not whole.startswith(parts[0]) or not set(numbers) <= set(range(len(turns))):
        return found
    at = len(parts[0])
    for number, after in zip(numbers, parts[2::2], strict=True):
        content = turns[number]["content"]
        ways = {content, content.strip(), content.rpartition("</think>")[2].strip()}
        follows = [way for way in ways if whole.startswith(way + after, at)]
        if not follows:
            return found
        until = at + len(max(follows, key=len))
        if turns[number]["role"] == "assistant":
            gap = len(after) - len(after.lstrip())
            ends = bool(ending) and after.startswith(ending, gap)
            found[number] = (at, until + (gap + len(ending) if ends else 0))
        at = until + len(after)
    return found


def _trimmed(whole: str, span: Span, turn: Turn, mask: Mask) -> Span:
    """Without the line break that follows the end of a turn: a model stops before it."""
    text = whole[slice(*span)]
    if turn["content"].strip() and text.rstrip().endswith(turn["content"].strip()):
        mask.notes.append(
            "The template puts nothing at an answer's end: a model does not learn to stop."
        )
        return span
    return span[0], span[0] + len(text.rstrip())


def shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    return len(commonprefix([one, other]))  # noqa: RUF071 (characters are meant)


def end_of_turn(write: Write) -> tuple[str, str]:
    """What stands between an answer and the next question, and what of it is the answer's end.

    The question's beginning stands before the first one as well; where something ends there, too,
    the end is the first mark.
    """
    roles = ("user", "assistant", "user")
    turns = [{"role": role, "content": f"\ue000{i}\ue001"} for i, role in enumerate(roles)]
    parts = _HOLE.split(write(turns, True))
    if parts[1::2] != ["0", "1", "2"]:
        return "", ""
    first, between = parts[0], parts[4]
    ending = between[: len(between) - shared(first[::-1], between[::-1])]
    mark = _MARK.match(between)
    if mark and len(ending) < mark.end() < len(between.rstrip()):
        ending = mark[0]
    return between, ending.strip()

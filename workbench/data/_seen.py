"""Which examples are the same, over millions of them: 8-byte hashes in arrays, sorted at the end.

An example takes 30 bytes (three hashes, its line, its split), so 10 million take 300 MB, and 500 MB
more while they are sorted. Two different texts have the same hash by chance once in some 400,000
datasets of 10 million.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

_ENDS = " .,;:!?…\"'“”‘’«»¿¡"


def key(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def loose_key(text: str) -> int:
    """Equal for texts that differ in case, in spaces, and in punctuation at their ends only:
    within a text it means something, as in 5 + 5 and 5 - 5."""
    loose = " ".join(text.casefold().split())
    return key((loose.strip(_ENDS) or loose).encode("utf-8", "replace"))


class Place(NamedTuple):
    part: int
    line: int


class Seen:
    """What was seen of each example, in order."""

    def __init__(self) -> None:
        self.whole, self.prompts, self.answers = array("Q"), array("Q"), array("Q")
        self.lines, self.parts = array("I"), array("H")

    def add(self, whole: int, prompt: int, answer: int, place: Place) -> None:
        self.whole.append(whole)
        self.prompts.append(prompt)
        self.answers.append(answer)
        self.lines.append(min(place.line, 0xFFFFFFFF))
        self.parts.append(place.part)

    def repeated(self) -> Iterator[Place]:
        """The examples that an earlier one of the same part equals."""
        import numpy as np

        keys, parts = np.frombuffer(self.whole, np.uint64), np.frombuffer(self.parts, np.uint16)
        if not len(keys):
            return
        order = np.lexsort((parts, keys))
        same = (keys[order][1:] == keys[order][:-1]) & (parts[order][1:] == parts[order][:-1])
        yield from self._places(np.sort(order[1:][same]))

    def contradicting(self, known: int) -> Iterator[Place]:
        """The examples whose prompt has a different answer elsewhere, from the part `known` on."""
        import numpy as np

        order, starts, lengths = self._groups(known)
        answers = np.frombuffer(self.answers, np.uint64)[order]
        differs = answers != np.repeat(answers[starts], lengths)
        any_differs = np.logical_or.reduceat(differs, starts) if starts.size else differs
        yield from self._places(np.sort(order[np.repeat(any_differs, lengths)]))

    def shared(self) -> Iterator[Place]:
        """The examples whose prompt is in an earlier part too."""
        import numpy as np

        order, starts, lengths = self._groups()
        parts = np.frombuffer(self.parts, np.uint16)[order]
        lowest = np.minimum.reduceat(parts, starts) if starts.size else parts
        yield from self._places(np.sort(order[parts > np.repeat(lowest, lengths)]))

    def _groups(self, known: int = 0) -> tuple[Any, Any, Any]:
        """The order that puts equal prompts together; where each group begins in it, how long it
        is."""
        import numpy as np

        prompts = np.frombuffer(self.prompts, np.uint64)
        chosen = np.flatnonzero(np.frombuffer(self.parts, np.uint16) >= known)
        order = chosen[np.argsort(prompts[chosen], kind="stable")]
        new = np.ones(len(order), bool)
        new[1:] = prompts[order][1:] != prompts[order][:-1]
        starts = np.flatnonzero(new)
        return order, starts, np.diff(np.append(starts, len(order)))

    def _places(self, chosen: Any) -> Iterator[Place]:
        for number in chosen.tolist():
            yield Place(self.parts[number], self.lines[number])

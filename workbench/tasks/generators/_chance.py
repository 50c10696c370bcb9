"""Draws that are the same on every machine and with every Python, and samples made from them.

Of the generator in `random`, only `random()` is promised to give the same numbers for ever, so all
draws are made from it. Each sample has its own luck (task, seed, index): the first ten samples
stay the same when twenty are made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import TypeVar

from workbench.errors import TaskError
from workbench.scorers import Sample

T = TypeVar("T")
TRIES = 200


class Chance:
    """Luck that follows from words and numbers."""

    def __init__(self, *words: object) -> None:
        digest = hashlib.sha256(":".join(map(str, words)).encode()).digest()
        self._random = Random(int.from_bytes(digest, "big"))  # noqa: S311 - nothing to guess

    def below(self, n: int) -> int:
        """0 to n - 1."""
        return int(self._random.random() * n)

    def between(self, low: int, high: int, step: int = 1) -> int:
        """`low`, `low + step`, … up to `high`."""
        return low + step * self.below((high - low) // step + 1)

    def pick(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def shuffled(self, items: Iterable[T]) -> list[T]:
        """A new list in another order (Fisher and Yates)."""
        out = list(items)
        for last in range(len(out) - 1, 0, -1):
            other = self.below(last + 1)
            out[last], out[other] = out[other], out[last]
        return out

    def some(self, items: Sequence[T], n: int) -> list[T]:
        """`n` of the items (all, if there are fewer), none twice, in the order drawn."""
        pool: list[T] = list(items)
        out: list[T] = []
        while pool and len(out) < n:
            place = self.below(len(pool))
            pool[place], pool[-1] = pool[-1], pool[place]
            out.append(pool.pop())
        return out


def deal(chance: Chance, items: Sequence[T], n: int) -> list[T]:
    """`n` items from shuffled decks: each comes as often as any other, give or take one."""
    out: list[T] = []
    while len(out) < n:
        out += chance.shuffled(items)
    return out[:n]


def collect(
    name: str, seed: int, count: int, draw: Callable[[int, Chance], Sample]
) -> list[Sample]:
    """Samples `draw(index, chance)` of which no two ask the same; each is drawn until it is new."""
    made: list[Sample] = []
    asked: set[tuple[object, ...]] = set()
    for index in range(count):
        for attempt in range(TRIES):
            sample = draw(index, Chance(name, seed, index, attempt))
            key = (sample.prompt, sample.suffix, sample.choices, str(sample.target))
            if key not in asked:
                break
        else:
            raise TaskError(f"{name} has too few questions for {count} samples: ask for fewer.")
        asked.add(key)
        made.append(sample)
    return made

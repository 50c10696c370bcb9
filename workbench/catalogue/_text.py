"""Text search over cards: whole names, words, beginnings, parts, and words spelt nearly so.

Every distinct word of all cards is scored once against each word of the query; NumPy carries
the scores to the cards that hold the word. Relevance: a whole name 1, a name's beginning 0.9 and
more, words up to 0.88, words spelt nearly so up to 0.55. Spelling (optimal string alignment:
letters left out, added, changed, swapped) is rapidfuzz's; it is asked only for words that no card
holds any part of.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from workbench.cards import Card

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Places = NDArray[np.int64]

_WORD = re.compile(r"[\w.]+")
_SIZE = re.compile(r"\d+(\.\d+)?[bmk]")
_RUNS = re.compile(r"[^\W\d_]+|\d[\d.]*")
_MOST_WORDS, _LONGEST_WORD = 12, 64
_WORDS_MOST = 0.88  # relevance of all words found as they are
_LAST = chr(0x10FFFF)  # after every text that goes on


def normal(text: str) -> str:
    """Lower case, one space between words: "Qwen2.5-Coder:7B" is "qwen2.5 coder 7b"."""
    return " ".join(split(unicodedata.normalize("NFKC", text).casefold()))


def split(text: str) -> list[str]:
    """The words of a text in lower case, without dots at their ends."""
    return [word for raw in _WORD.findall(text) if (word := raw.strip("._"))]


class TextIndex:
    """The words of all cards. Building takes about 0.3 s for 10,000 cards."""

    def __init__(self, cards: Sequence[Card]) -> None:
        import numpy as np
        import rapidfuzz.process  # noqa: F401 (here, so that no search waits for it)

        self._names = [normal(card.name) for card in cards]
        self._by_name = sorted(range(len(cards)), key=self._names.__getitem__)
        self._sorted_names = [self._names[place] for place in self._by_name]
        self._aliases: dict[str, list[int]] = {}
        entries: dict[str, list[tuple[int, float]]] = {}  # word → cards and weights
        for place, (card, name) in enumerate(zip(cards, self._names, strict=True)):
            for alias in card.aliases:
                self._aliases.setdefault(normal(alias), []).append(place)
            for word, weight in _weighted(card, name).items():
                entries.setdefault(word, []).append((place, weight))
        self._words = sorted(entries)
        self._lengths = np.array([len(word) for word in self._words], dtype=np.float32)
        self._text = "\n".join(["", *self._words, ""])
        self._ends = np.cumsum(self._lengths + 1).astype(np.int64)  # of each word in the text
        flat = [entry for word in self._words for entry in entries[word]]
        self._cards = np.array([place for place, _ in flat], dtype=np.int32)
        self._weights = np.array([weight for _, weight in flat], dtype=np.float32)
        counts = [len(entries[word]) for word in self._words]
        self._counts = np.array(counts, dtype=np.int64)
        self._starts = np.cumsum([0, *counts])[:-1]

    def relevance(self, text: str) -> Floats:
        """Each card's relevance, 0 for no hit. Without words, 1 for all."""
        import numpy as np

        query = normal(text)
        tokens = [word[:_LONGEST_WORD] for word in query.split()[:_MOST_WORDS]]
        count = len(self._names)
        if not tokens or not count:
            return np.ones(count, dtype=np.float32)
        rows = np.stack([self._token(token) for token in tokens])
        scores: Floats = rows.mean(axis=0) * _WORDS_MOST
        share = (rows > 0).mean(axis=0)
        if (share == 1).any():
            scores[share < 1] = 0
        else:  # no card has all the words: those with most of them, and names written alike
            scores = (scores * share * (share >= 0.5)).astype(np.float32)
        if scores.max(initial=0) < _WORDS_MOST - 0.03 and len(query) > 4:
            scores = np.maximum(scores, self._alike(query))
        self._whole_names(query, scores)
        return scores

    def _whole_names(self, query: str, scores: Floats) -> None:
        """Lift cards whose name is the query or begins with it."""
        for place in self._aliases.get(query, ()):
            scores[place] = 0.99
        for at in range(bisect_left(self._sorted_names, query), len(self._sorted_names)):
            name = self._sorted_names[at]
            if not name.startswith(query):
                break
            whole = len(name) == len(query)
            scores[self._by_name[at]] = 1.0 if whole else 0.9 + 0.08 * len(query) / len(name)

    def _token(self, token: str) -> Floats:
        """Each card's score for one word: its best word, weighed by where it stands."""
        import numpy as np

        scores = np.zeros(len(self._names), dtype=np.float32)
        found, values = self._similar(token)
        counts = self._counts[found]
        if counts.sum():
            ends = np.cumsum(counts)  # the entries of all found words, one range after the other
            at = np.arange(ends[-1]) + np.repeat(self._starts[found] - ends + counts, counts)
            values = self._weights[at] * np.repeat(values, counts)
            np.maximum.at(scores, self._cards[at], values)
        return scores

    def _similar(self, token: str) -> tuple[Places, Floats]:
        """Known words that are like `token`, and how much: itself, beginnings, parts, or typos."""
        import numpy as np

        first, last = (bisect_left(self._words, token + end) for end in ("", _LAST))
        found: Places = np.arange(first, last)
        if len(token) > 2:
            parts = np.searchsorted(self._ends, list(self._occurrences(token)), "right")
            found = np.union1d(found, parts)
        if not len(found):
            return self._misspelt(token)
        lengths = self._lengths[found]
        begins = (found >= first) & (found < last)
        values = np.where(begins, 0.7, 0.5) + np.where(begins, 0.2, 0.15) * len(token) / lengths
        values[lengths == len(token)] = 1.0
        return found, values.astype(np.float32)

    def _occurrences(self, token: str) -> Iterator[int]:
        at = self._text.find(token)
        while at >= 0:
            yield at
            at = self._text.find(token, at + 1)

    def _misspelt(self, token: str) -> tuple[Places, Floats]:
        import numpy as np
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        allowed = 0 if len(token) < 3 else 1 if len(token) < 6 else 2
        distances: NDArray[Any] = process.cdist(
            [token], self._words, scorer=OSA.distance, score_cutoff=allowed, dtype=np.uint8
        )[0]
        found = np.flatnonzero(distances <= allowed)
        return found, (0.62 * (1 - distances[found] / len(token))).astype(np.float32)

    def _alike(self, query: str) -> Floats:
        """Names that are written nearly like the whole query, spaces and all."""
        import numpy as np
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        alike: Floats = process.cdist(
            [query], self._names, scorer=OSA.normalized_similarity, score_cutoff=0.75,
            dtype=np.float32,
        )[0]  # fmt: skip
        return alike * np.float32(_WORDS_MOST if " " in query else 0.6)


def _weighted(card: Card, name: str) -> dict[str, float]:
    """The card's words, each with the weight of the best place where it stands."""
    found: dict[str, float] = {}
    _add(found, name.split(), 1.0)
    _add(found, _runs(name.split()), 0.95)
    for alias in card.aliases:
        _add(found, normal(alias).split(), 0.9)
    _add(found, normal(card.family).split(), 0.95)
    for text, weight in (
        (card.hf_repo, 0.8),
        (card.publisher, 0.75),
        (card.size_class, 0.6),
        (card.license, 0.5),
    ):
        if text:
            _add(found, normal(text).split(), weight)
    for words, weight in ((card.categories, 0.75), (card.capabilities, 0.7)):
        for text in words:
            _add(found, normal(text).split(), weight)
    if card.parameters:
        _add(found, size_words(card.parameters), 0.7)
    return found


def _add(found: dict[str, float], words: Iterable[str], weight: float) -> None:
    for word in words:
        word = word[:_LONGEST_WORD]
        if found.get(word, 0.0) < weight:
            found[word] = weight


def _runs(words: Iterable[str]) -> list[str]:
    """The letters and the numbers of "qwen2.5", each for itself; not those of "7b"."""
    return [
        run.strip(".") for word in words if not _SIZE.fullmatch(word) for run in _RUNS.findall(word)
    ]


def size_words(parameters: float) -> list[str]:
    """How people write this number of parameters: 7.6e9 is "7.6b" and "8b"."""
    unit, letter = (1e9, "b") if parameters >= 0.95e9 else (1e6, "m")
    exact = parameters / unit
    return [f"{exact:.1f}".removesuffix(".0") + letter, f"{exact:.0f}{letter}"]

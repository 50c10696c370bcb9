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
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from workbench.catalogue._card import Card

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_WORD = re.compile(r"[\w.]+")
_SIZE = re.compile(r"\d+(\.\d+)?[bmk]")
_RUNS = re.compile(r"[^\W\d_]+|\d[\d.]*")
_MOST_WORDS, _LONGEST_WORD = 12, 64


def normal(text: str) -> str:
    """Lower case, one space between words: "Qwen2.5-Coder:7B" is "qwen2.5 coder 7b"."""
    return " ".join(split(unicodedata.normalize("NFKC", text).casefold()))


def split(text: str) -> list[str]:
    """The words of a text in lower case, without dots at their ends."""
    return [word for raw in _WORD.findall(text) if (word := raw.strip("._"))]


class TextIndex:
    """The words of all cards. Building takes about 0.2 s for 10,000 cards."""

    def __init__(self, cards: Sequence[Card]) -> None:
        import numpy as np
        import rapidfuzz.process  # noqa: F401 (here, so that no search waits for it)

        self._names = [normal(card.name) for card in cards]
        self._aliases = [tuple(map(normal, card.aliases)) for card in cards]
        numbers: dict[str, int] = {}
        words: list[int] = []
        weights: list[float] = []
        starts = [0]
        for card, name in zip(cards, self._names, strict=True):
            for word, weight in _weighted(card, name).items():
                words.append(numbers.setdefault(word, len(numbers)))
                weights.append(weight)
            starts.append(len(words))
        order = sorted(numbers)
        self._vocabulary = order
        place = np.empty(len(order), dtype=np.int32)
        place[[numbers[word] for word in order]] = np.arange(len(order), dtype=np.int32)
        self._words = place[np.array(words, dtype=np.int32)] if words else np.empty(0, np.int32)
        self._weights = np.array(weights, dtype=np.float32)
        self._starts = np.array(starts[:-1], dtype=np.int64)

    def relevance(self, text: str) -> Floats:
        """Each card's relevance, 0 for no hit. Without words, 1 for all."""
        import numpy as np

        query = normal(text)
        tokens = [word[:_LONGEST_WORD] for word in query.split()[:_MOST_WORDS]]
        count = len(self._names)
        if not tokens or not count:
            return np.ones(count, dtype=np.float32)
        rows = np.stack([self._token(token) for token in tokens])
        hit = (rows > 0).all(axis=0)
        scores: Floats = rows.mean(axis=0) * np.float32(0.88)
        if hit.any():
            scores[~hit] = 0
        else:  # no card has all the words: those with most of them
            share = (rows > 0).mean(axis=0)
            scores = (scores * share * (share >= 0.5)).astype(np.float32)
        self._whole_names(query, scores)
        return scores

    def _whole_names(self, query: str, scores: Floats) -> None:
        """Lift cards whose name is the query or begins with it."""
        length = len(query)
        for number, name in enumerate(self._names):
            if name.startswith(query):
                scores[number] = 1.0 if len(name) == length else 0.9 + 0.08 * length / len(name)
        for number, names in enumerate(self._aliases):
            if query in names:
                scores[number] = max(scores[number], 0.99)

    def _token(self, token: str) -> Floats:
        """Each card's score for one word: its best word, weighed by where it stands."""
        import numpy as np

        found = self._similar(token)
        if not found.any():
            return np.zeros(len(self._names), dtype=np.float32)
        products = found[self._words] * self._weights
        return np.maximum.reduceat(products, self._starts)

    def _similar(self, token: str) -> Floats:
        """Each known word's score for `token`."""
        import numpy as np

        words = self._vocabulary
        scores = np.zeros(len(words), dtype=np.float32)
        if len(token) > 2:
            for number, word in enumerate(words):
                if token in word:
                    scores[number] = 0.5 + 0.15 * len(token) / len(word)
        first = bisect_left(words, token)
        for number in range(first, len(words)):
            word = words[number]
            if not word.startswith(token):
                break
            scores[number] = 1.0 if word == token else 0.7 + 0.2 * len(token) / len(word)
        if len(token) > 2 and not scores.any():
            self._misspelt(token, scores)
        return scores

    def _misspelt(self, token: str, scores: Floats) -> None:
        import numpy as np
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        allowed = 1 if len(token) < 6 else 2
        distances: NDArray[Any] = process.cdist(
            [token], self._vocabulary, scorer=OSA.distance, score_cutoff=allowed, dtype=np.uint8
        )[0]
        near = distances <= allowed
        scores[near] = 0.62 * (1 - distances[near] / len(token))


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

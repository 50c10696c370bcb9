"""What a search is asked for, checked before anything is searched.

Sizes are numbers of parameters, bytes and tokens. A card that lacks the fact that a filter asks
for is left out by it: what is not known is never taken for fitting.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from workbench.cards import SIZE_CLASSES
from workbench.errors import InvalidRequest

CATEGORIES = (
    "general",
    "code",
    "vision",
    "math",
    "reasoning",
    "embedding",
    "multilingual",
    "tools",
)
CAPABILITIES = ("completion", "insert", "tools", "vision", "thinking", "embedding", "audio")

# what can be sorted by, and whether the largest comes first unless asked otherwise
SORTS: Mapping[str, bool] = {
    "relevance": True,
    "name": False,
    "parameters": False,
    "download": False,
    "memory": False,
    "context": True,
    "released": True,
    "performance": True,
    "speed": True,
}

LONGEST_TEXT = 500
_NUMBERS = ("min_parameters", "max_parameters", "min_context", "max_memory", "min_performance")
_WORDS = ("category", "size_class", "license", "quantisation", "capability", "publisher", "family")
_EXACT = {"category", "size_class", "capability"}  # the others match a part of the word


@dataclass(frozen=True, slots=True)
class Filters:
    """Which cards are wanted, and in which order. None and False ask for nothing."""

    text: str = ""
    category: str | None = None
    size_class: str | None = None
    min_parameters: float | None = None
    max_parameters: float | None = None
    license: str | None = None  # a part is enough: "apache"
    min_context: float | None = None  # tokens
    quantisation: str | None = None  # one that can be had: "Q4_K_M"
    capability: str | None = None
    installed: bool = False
    fits: bool = False  # the machine that the search is about
    max_memory: float | None = None  # bytes that it takes when loaded as the search says
    min_performance: float | None = None  # 0 to 1
    publisher: str | None = None  # a part is enough
    family: str | None = None  # a part is enough
    sort: str = "relevance"
    descending: bool | None = None  # None: as SORTS says

    def check(self, known: Mapping[str, Collection[str]] | None = None) -> None:
        """Raises InvalidRequest for what makes no sense; `known` are a field's existing words."""
        if not isinstance(self.text, str) or len(self.text) > LONGEST_TEXT:
            raise InvalidRequest(f"A search is a text of up to {LONGEST_TEXT} characters.")
        for name in _NUMBERS:
            _check_number(name, getattr(self, name))
        low, high = self.min_parameters, self.max_parameters
        if low is not None and high is not None and low > high:
            raise InvalidRequest(
                f"min_parameters ({low:g}) is above max_parameters ({high:g}): no model is both."
            )
        if self.min_performance is not None and self.min_performance > 1:
            raise InvalidRequest(
                f"min_performance is between 0 and 1, not {self.min_performance:g}."
            )
        _check_word("sort", self.sort, SORTS, exact=True)
        words: dict[str, Collection[str]] = {"size_class": SIZE_CLASSES, **(known or {})}
        for name in _WORDS:
            value = getattr(self, name)
            if value is not None:
                _check_word(name, value, words.get(name), exact=name in _EXACT)


def _check_number(name: str, value: object) -> None:
    if value is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:  # type: ignore[arg-type, operator]
        raise InvalidRequest(f"{name} must be a finite number of 0 or more, not {value!r}.")


def _check_word(name: str, value: object, known: Collection[str] | None, *, exact: bool) -> None:
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_TEXT:
        raise InvalidRequest(f"{name} must be a word, not {value!r:.80}.")
    if known is None:
        return
    word = value.strip().casefold()
    if any(word == one.casefold() or (not exact and word in one.casefold()) for one in known):
        return
    near = nearest(word, known) or sorted(known)[:10]
    raise InvalidRequest(
        f"There is no {name.replace('_', ' ')} {value.strip()!r:.80}. "
        + (f"Try {', '.join(near)}." if near else "No card states one.")
    )


def nearest(word: str, known: Collection[str], limit: int = 3) -> list[str]:
    """The words that are spelt most alike."""
    from rapidfuzz import fuzz, process

    found = process.extract(
        word.casefold(), list(known), processor=str.casefold, scorer=fuzz.WRatio, limit=limit,
        score_cutoff=60,
    )  # fmt: skip
    return [name for name, _, _ in found]

"""Plain words as filters: "a code model that fits in 8 GB" is a category and a limit of memory.

Only whole words with one clear meaning are taken, and each is reported, so that a person sees
what was made of the words. A filter that is set already is never changed. Words of size ("small")
count only when nothing else is searched for: "mistral small" is a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.cards import SIZE_CLASSES
from workbench.catalogue._filters import CATEGORIES, Filters


@dataclass(frozen=True, slots=True)
class Understood:
    """Words of the text that were taken as a filter, and what they were taken for."""

    words: str  # "in 8 GB"
    field: str  # of Filters: "max_memory"
    value: Any
    meaning: str  # "takes at most 8 GB of memory"


_CATEGORIES: Mapping[str, str] = {
    **{name: name for name in CATEGORIES},
    **dict.fromkeys(("coding", "coder", "programming"), "code"),
    **dict.fromkeys(("maths", "mathematics", "mathematical"), "math"),
    **dict.fromkeys(("image", "images", "multimodal", "pictures"), "vision"),
    **dict.fromkeys(("embeddings", "embedder", "embedders"), "embedding"),
    **dict.fromkeys(("translation", "translate"), "multilingual"),
}
_CATEGORIES = {word: name for word, name in _CATEGORIES.items() if word != "tools"}
_CAPABILITIES: Mapping[str, str] = {
    **dict.fromkeys(("tools", "tool calling", "tool use", "function calling"), "tools"),
    "thinking": "thinking",
    **dict.fromkeys(("fill in the middle", "fim", "infilling"), "insert"),
    "audio": "audio",
}
_SORTS: Mapping[str, tuple[str, bool]] = {
    "newest": ("released", True),
    "oldest": ("released", False),
    "smallest": ("parameters", False),
    **dict.fromkeys(("largest", "biggest"), ("parameters", True)),
    "fastest": ("speed", True),
    "best": ("performance", True),
}
_IDLE_WORDS = """
a an the that which this for with in on of to and or is are be my me i it we some any can will
good great nice model models llm llms language want need looking please show find get give
machine computer laptop parameters parameter memory ram vram license licence context
"""
_IDLE = frozenset(_IDLE_WORDS.split())
_LEFT, _RIGHT = r"(?<!\S)", r"(?!\S)"
_NUMBER = r"(\d{1,6}(?:[.,]\d{1,3})?)"
_UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_LESS = r"(?:under|below|less than|smaller than|up to|at most|max\.?|<=?)"
_MORE = r"(?:over|above|more than|larger than|bigger than|at least|min\.?|>=?)"
_PARAMETERS = rf"\s*{_NUMBER}\s*(m|b|million|billion)(?:\s+parameters?)?"

_Found = tuple[str, Any, str] | None


def _memory(found: re.Match[str]) -> _Found:
    value = _number(found[1]) * _UNITS[found[2][0].lower()]
    return "max_memory", value, f"takes at most {found[1]} {found[2].upper()[0]}B of memory"


def _context(found: re.Match[str]) -> _Found:
    number = found[1] or found[2]
    return "min_context", _number(number) * 1e3, f"context of {number}k tokens or more"


def _fewer(found: re.Match[str]) -> _Found:
    return "max_parameters", _size(found), f"at most {found[1]} {found[2]} parameters"


def _more(found: re.Match[str]) -> _Found:
    return "min_parameters", _size(found), f"at least {found[1]} {found[2]} parameters"


def _size(found: re.Match[str]) -> float:
    return _number(found[1]) * _UNITS[found[2][0].lower()]


def _number(text: str) -> float:
    return float(text.replace(",", "."))


_HERE = r"(?:here|(?:on|in)?\s*(?:this|my)\s+(?:machine|computer|laptop|gpu|card))"
_PATTERNS: tuple[tuple[str, Callable[[re.Match[str]], _Found]], ...] = (
    (
        r"(?:(?:that|which)\s+)?(?:(?:fits?|runs?)\s+)?"
        rf"(?:(?:in(?:to)?|on|within|with|{_LESS})\s*)?(?:a\s+)?{_NUMBER}\s*"
        r"(gi?b|mi?b|gigabytes?|megabytes?)"
        r"(?:\s+(?:of\s+)?(?:memory|ram|vram|gpu|laptop|machine|card))?",
        _memory,
    ),
    (rf"(?:context\s+(?:of\s+)?{_NUMBER}k|{_NUMBER}k(?:\s+(?:tokens?|context))?)", _context),
    (_LESS + _PARAMETERS, _fewer),
    (_MORE + _PARAMETERS, _more),
    ("installed", lambda _: ("installed", True, "installed")),
    (
        rf"(?:(?:that|which)\s+)?(?:fits?|runs?)(?:\s+{_HERE})?",
        lambda _: ("fits", True, "fits this machine"),
    ),
)


def understand(
    filters: Filters, known: Mapping[str, Mapping[str, Any]]
) -> tuple[str, tuple[Understood, ...]]:
    """The words that remain a text, and what the others were taken for.

    `known` are the words that cards state, by field: a quantisation or a licence counts only
    when there is one.
    """
    free = _Free(filters)
    text = " ".join(filters.text.split())
    for pattern, meaning in _PATTERNS:
        text = free.take(text, pattern, meaning)
    for words, field, name in _tables(known):
        text = free.take(text, re.escape(words), _said(field, name))
    text = free.take_sort(text)
    rest = text.split()
    if free.found or len(rest) > 1:
        rest = [word for word in rest if word.casefold() not in _IDLE]
    if len(rest) == 1 and rest[0].casefold() in SIZE_CLASSES:
        rest = free.take(rest[0], rest[0], _said("size_class", rest[0].casefold())).split()
    return " ".join(rest), tuple(free.found)


class _Free:
    """The filters that nobody set yet."""

    def __init__(self, filters: Filters) -> None:
        self._set = {name for name in filters.__slots__ if getattr(filters, name) != _PLAIN[name]}
        self.found: list[Understood] = []

    def take(self, text: str, pattern: str, meaning: Callable[[re.Match[str]], _Found]) -> str:
        """`text` without the first match of a pattern, which becomes a filter if it is free."""
        match = re.search(f"{_LEFT}(?:{pattern}){_RIGHT}", text, re.I)
        said = meaning(match) if match else None
        if match is None or said is None or said[0] in self._set:
            return text
        self._set.add(said[0])
        self.found.append(Understood(match[0].strip(), *said))
        return f"{text[: match.start()]} {text[match.end() :]}"

    def take_sort(self, text: str) -> str:
        """`text` without a word that says what shall come first."""
        for word, (name, descending) in _SORTS.items():
            said = ("sort", (name, descending), f"{word} first")
            text = self.take(text, word, lambda _, said=said: said)  # type: ignore[misc]
        return text


_PLAIN = {name: getattr(Filters(), name) for name in Filters.__slots__}


def _said(field: str, name: str) -> Callable[[re.Match[str]], _Found]:
    label = {"size_class": "size", "sort": "sorted by"}.get(field, field)
    return lambda _: (field, name, f"{label} {name}")


def _tables(known: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Words, the field they mean, and its value; several words first."""
    own = {name.casefold(): name for name in known.get("category", {})}
    rows = [(word, "category", name) for word, name in {**own, **_CATEGORIES}.items()]
    rows += [(word, "capability", name) for word, name in _CAPABILITIES.items()]
    for field in ("quantisation", "license"):
        rows += [(name.casefold(), field, name) for name in known.get(field, {})]
    rows += [("apache", "license", "Apache")]
    return sorted(rows, key=lambda row: -len(row[0]))

"""Search: filters as NumPy columns, text by its index, and the best hits in order.

The columns are made once for a catalogue; a search is then a few masks and one sort. Hits are
made when they are looked at, so that a search that finds 10,000 costs no more than one of ten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from workbench.cards import Card
from workbench.catalogue._filters import SORTS, Filters
from workbench.catalogue._performance import Standings
from workbench.catalogue._text import TextIndex
from workbench.catalogue._understand import Understood

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.catalogue._prices import Price, Prices

    Floats = NDArray[np.floating[Any]]
    Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Hit:
    """A card that was found. `price` is None when the search was not about a machine."""

    card: Card
    relevance: float  # 0 to 1
    price: Price | None = None


class Hits(Sequence[Hit]):
    """Found cards in order, made when looked at."""

    def __init__(
        self,
        cards: Sequence[Card],
        places: Sequence[int],
        relevance: Floats,
        prices: Prices | None,
    ) -> None:
        self._cards, self._places = cards, places
        self._relevance, self._prices = relevance, prices

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        if isinstance(index, slice):
            return tuple(map(self._hit, self._places[index]))
        return self._hit(self._places[index])

    def _hit(self, place: int) -> Hit:
        price = self._prices.of(place) if self._prices is not None else None
        return Hit(self._cards[place], float(self._relevance[place]), price)


@dataclass(frozen=True, slots=True)
class Results:
    """What a search found: `count` of all that match, `hits` up to the limit."""

    hits: Hits
    count: int
    seconds: float
    filters: Filters  # as searched, with what was understood
    understood: tuple[Understood, ...] = ()


class Columns:
    """The facts of all cards as arrays. What is not known is NaN."""

    def __init__(self, cards: Sequence[Card]) -> None:
        self.cards = cards

    @cached_property
    def text(self) -> TextIndex:
        return TextIndex(self.cards)

    @cached_property
    def parameters(self) -> Floats:
        return _numbers(card.parameters for card in self.cards)

    @cached_property
    def context(self) -> Floats:
        return _numbers(card.context for card in self.cards)

    @cached_property
    def download(self) -> Floats:
        return _numbers(card.download for card in self.cards)

    @cached_property
    def released(self) -> Floats:
        return _numbers(_month(card.released) for card in self.cards)

    @cached_property
    def performance(self) -> Floats:
        standings = Standings(self.cards)
        scores = map(standings.score, self.cards)
        return _numbers(score.value if score else None for score in scores)

    @cached_property
    def installed(self) -> Mask:
        import numpy as np

        return np.array([card.installed is not None for card in self.cards], dtype=bool)

    @cached_property
    def name(self) -> Floats:
        """Each card's place in the alphabet."""
        import numpy as np

        ranks = np.empty(len(self.cards))
        order = sorted(range(len(self.cards)), key=lambda at: self.cards[at].name.casefold())
        ranks[order] = np.arange(len(self.cards))
        return ranks

    @cached_property
    def order(self) -> Floats:
        """Each card's place where nothing else decides: installed, good, new, then by name."""
        import numpy as np

        ranks = np.empty(len(self.cards))
        known = [np.nan_to_num(-column, nan=np.inf) for column in (self.released, self.performance)]
        ranks[np.lexsort([self.name, *known, ~self.installed])] = np.arange(len(self.cards))
        return ranks

    @cached_property
    def words(self) -> dict[str, dict[str, Mask]]:
        """For each field of words: the existing ones, and which cards have each."""
        import numpy as np

        places: dict[str, dict[str, list[int]]] = {name: {} for name in _FIELDS}
        for place, card in enumerate(self.cards):
            for name, words in _FIELDS.items():
                for word in words(card):
                    places[name].setdefault(word, []).append(place)
        found: dict[str, dict[str, Mask]] = {name: {} for name in _FIELDS}
        for name, of_word in places.items():
            for word, at in of_word.items():
                found[name][word] = np.zeros(len(self.cards), dtype=bool)
                found[name][word][at] = True
        return found

    def having(self, field: str, value: str, *, exact: bool) -> Mask:
        """The cards with this word in a field, or with a word of which it is a part."""
        import numpy as np

        wanted = value.strip().casefold()
        mask = np.zeros(len(self.cards), dtype=bool)
        for word, cards in self.words[field].items():
            if word.casefold() == wanted or (not exact and wanted in word.casefold()):
                mask |= cards
        return mask


_FIELDS: dict[str, Callable[[Card], Iterable[str]]] = {
    "category": lambda card: dict.fromkeys(card.categories),
    "size_class": lambda card: (card.size_class,) if card.size_class else (),
    "license": lambda card: (card.license,) if card.license else (),
    "quantisation": lambda card: dict.fromkeys(
        [*filter(None, [card.quantisation]), *(one.quantisation for one in card.variants)]
    ),
    "capability": lambda card: dict.fromkeys(card.capabilities),
    "publisher": lambda card: (card.publisher,) if card.publisher else (),
    "family": lambda card: (card.family,) if card.family else (),
}
_EXACT = {"category", "size_class", "capability"}


def select(
    columns: Columns, filters: Filters, relevance: Floats, prices: Prices | None
) -> list[int]:
    """The places of the cards that pass, in the order that is asked for."""
    import numpy as np

    mask = relevance > 0
    for field in _FIELDS:
        value = getattr(filters, field)
        if value is not None:
            mask &= columns.having(field, value, exact=field in _EXACT)
    for column, low, high in (
        (columns.parameters, filters.min_parameters, filters.max_parameters),
        (columns.context, filters.min_context, None),
    ):
        mask &= _between(column, low, high)
    if filters.min_performance is not None:
        mask &= _between(columns.performance, filters.min_performance, None)
    if filters.installed:
        mask &= columns.installed
    places = np.flatnonzero(mask)
    if prices is not None and filters.fits:
        places = places[prices.fits(places)]
    if prices is not None and filters.max_memory is not None:
        places = places[prices.memory(places) <= filters.max_memory]
    order = np.lexsort(_keys(columns, filters, relevance, prices, places))
    found: list[int] = places[order].tolist()
    return found


def _between(column: Floats, low: float | None, high: float | None) -> Any:
    """Which values lie between; what is not known does not, if anything was asked."""
    import numpy as np

    mask = np.ones(len(column), dtype=bool)
    if low is not None:
        mask &= column >= low
    if high is not None:
        mask &= column <= high
    return mask


def _keys(
    columns: Columns, filters: Filters, relevance: Floats, prices: Prices | None, places: Any
) -> list[Any]:
    """Arrays to sort by, the first last. What is not known comes last either way."""
    import numpy as np

    name = filters.sort
    if name == "relevance":
        column: Any = relevance[places]
    elif name in {"memory", "speed"} and prices is not None:
        column = getattr(prices, name)(places)
    elif name in {"memory", "speed"}:  # without a machine the file's size stands for both
        column = columns.download[places] * (1 if name == "memory" else -1)
    else:
        column = getattr(columns, name)[places]
    descending = SORTS[name] if filters.descending is None else filters.descending
    key = np.where(np.isnan(column), np.inf, -column if descending else column)
    keys = [columns.order[places], -relevance[places], key]
    if name == "relevance" and not filters.text and prices is not None:
        keys.append(~prices.fits(places))  # without words, what the machine can run comes first
    return keys


def _numbers(values: Iterable[float | None]) -> Floats:
    import numpy as np

    return np.array([math.nan if value is None else value for value in values], dtype=float)


def _month(text: str | None) -> float | None:
    """ "2024-07" as 202407."""
    digits = (text or "").replace("-", "")[:6]
    return float(digits) if digits.isdecimal() and len(digits) == 6 else None


def merged(filters: Filters, understood: Iterable[Understood], rest: str) -> Filters:
    """The filters with what was understood, and the rest of the text."""
    values: dict[str, Any] = {one.field: one.value for one in understood}
    if "sort" in values:
        values["sort"], values["descending"] = values["sort"]
    return replace(filters, text=rest, **values)

"""The catalogue: all cards in one place, found by name or by search, priced for a machine."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cards import Card, installed, merge, on_disk, own_cards, shipped
from workbench.catalogue._filters import CAPABILITIES, CATEGORIES, Filters, nearest
from workbench.catalogue._measured import with_own_scores
from workbench.catalogue._networks import Kinds
from workbench.catalogue._prices import Prices
from workbench.catalogue._search import Columns, Hits, Results, merged, select
from workbench.catalogue._understand import understand
from workbench.errors import EngineError, InvalidRequest, ModelNotFound
from workbench.fit import Load, Profile
from workbench.machines import this_machine

if TYPE_CHECKING:
    from workbench.engines import Engine

_MOST_PRICES = 32


class Catalogue:
    """Cards, one per model. `problems` say in words what could not be read on the way.

    Reading it from several threads is safe; it never changes.
    """

    def __init__(self, cards: Iterable[Card], problems: Iterable[str] = ()) -> None:
        self.cards = tuple(cards)
        self.problems = tuple(problems)
        self._columns = Columns(self.cards)
        self._prices: dict[tuple[Profile, Load], Prices] = {}

    def __len__(self) -> int:
        return len(self.cards)

    def __iter__(self) -> Iterator[Card]:
        return iter(self.cards)

    @cached_property
    def facets(self) -> Mapping[str, Mapping[str, int]]:
        """For each filter of words, the words that exist and how many cards have each."""
        return {
            field: {word: int(mask.sum()) for word, mask in sorted(words.items())}
            for field, words in self._columns.words.items()
        }

    def get(self, name: str) -> Card:
        """The card of this name, alias or repository. Raises ModelNotFound with near names."""
        wanted = name.strip().casefold()
        for key in (wanted, f"{wanted}:latest"):
            if key in self._by_name:
                return self.cards[self._by_name[key]]
        near = nearest(wanted[:200], [card.name for card in self.cards])
        advice = f"Did you mean {', '.join(near)}?" if near else "Search for a part of its name."
        raise ModelNotFound(f"The catalogue has no model {name.strip()!r:.200}. {advice}", 404)

    def search(
        self,
        filters: Filters | None = None,
        *,
        profile: Profile | None = None,
        load: Load | None = None,
        limit: int | None = None,
    ) -> Results:
        """The cards that pass, in the order asked for. Raises InvalidRequest."""
        start = time.perf_counter()
        filters = filters or Filters()
        filters.check(self._known)
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise InvalidRequest(f"limit must be a whole number of 0 or more, not {limit!r}.")
        rest, understood = understand(filters, self._columns.words)
        filters = merged(filters, understood, rest)
        profile = profile or _asked_machine(filters)
        prices = self.prices(profile, load) if profile else None
        relevance = self._columns.text.relevance(rest)
        places = select(self._columns, filters, relevance, prices)
        hits = Hits(self.cards, places[:limit], relevance, prices)
        seconds = time.perf_counter() - start
        return Results(hits, len(places), seconds, filters, understood)

    def prices(self, profile: Profile, load: Load | None = None) -> Prices:
        """What the cards take of a machine; kept for the machines that were last asked about."""
        key = (profile, load or Load())
        found = self._prices.pop(key, None) or Prices(self._kinds, *key)
        self._prices[key] = found
        while len(self._prices) > _MOST_PRICES:
            self._prices.pop(next(iter(self._prices)), None)
        return found

    @cached_property
    def _kinds(self) -> Kinds:
        return Kinds(self.cards)

    @cached_property
    def _known(self) -> dict[str, set[str]]:
        words = {field: set(found) for field, found in self._columns.words.items()}
        words.pop("size_class")
        words["category"] |= set(CATEGORIES)
        words["capability"] |= set(CAPABILITIES)
        return words

    @cached_property
    def _by_name(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for place, card in enumerate(self.cards):  # as an engine reads a name without a tag
            for alias in (card.installed, *card.aliases) if card.installed else ():
                if alias and alias.endswith(":latest"):
                    found.setdefault(alias.casefold().removesuffix(":latest"), place)
        for place, card in enumerate(self.cards):
            found.setdefault(card.name.casefold(), place)
        for place, card in enumerate(self.cards):
            for name in (card.installed, card.hf_repo, *card.aliases):
                if name:
                    found.setdefault(name.casefold(), place)
        return found


def _asked_machine(filters: Filters) -> Profile | None:
    """The machine that a search is about, when nobody named one."""
    if filters.fits:
        return this_machine()
    if filters.max_memory is None:
        return None
    size = f"{filters.max_memory / 1e9:.3g} GB of memory"
    return Profile("memory", size, int(filters.max_memory))


def gather(
    engine: Engine | None = None,
    folders: Iterable[Path | str] = (),
    live: Iterable[Card] | None = None,
) -> Catalogue:
    """All cards that can be had: an engine's, folders', the user's own, live and shipped ones.

    An engine that does not answer is a problem of the catalogue, not an error. Nothing is fetched:
    `live` are what `hub_search`, `registry_card` or `remote_card` brought.
    """
    near: tuple[Card, ...] = ()
    problems: tuple[str, ...] = ()
    if engine is not None:
        try:
            near = installed(engine)
        except EngineError as error:
            problems = (f"The installed models are not listed: {error}",)
    near, unread = with_own_scores(near)
    files, more = on_disk(folders)
    own = own_cards()
    cards = merge(near, files, own.cards, live or (), shipped())
    return Catalogue(cards, (*problems, *unread, *more, *own.problems))

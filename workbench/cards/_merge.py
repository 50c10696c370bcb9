"""One card per model: what several sources say about it becomes one card.

Cards are of one model when they share a name or alias, a digest or a file; and a card of an
installed model or of a file also when another source's card offers its name as a variant, or
alone comes from the same Hugging Face repository. Files in one folder that differ in their
quantisation only are variants of one model. Groups are given nearest first. The nearest card
says which variant the name gets, and its facts win; labels (family, publisher, date) are those of
the card that knows the most, the farthest, which people wrote; a user's own card adds its
categories to them. Work grows linearly.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from workbench.cards._card import Card, Variant
from workbench.cards._describe import split_quantisation

_FACTS = ("parameters", "active_parameters", "context", "license", "architecture", "capabilities")
_LABELS = ("family", "publisher", "categories", "released", "hf_repo")
_HOMES = ("registry.ollama.ai/library/", "registry.ollama.ai/", "library/")


def merge(*groups: Iterable[Card]) -> tuple[Card, ...]:
    """The cards of all groups, one per model, in the order of their first appearance."""
    cards: list[Card] = []
    home: list[int] = []  # the group of each card
    for number, group in enumerate(groups):
        for card in group:
            cards.append(card)
            home.append(number)
    parent = list(range(len(cards)))
    _join_same(cards, parent)
    _join_offered(cards, home, parent)
    members: dict[int, list[Card]] = {}
    for place, card in enumerate(cards):
        members.setdefault(_root(parent, place), []).append(card)
    return tuple(_one(found) if len(found) > 1 else found[0] for found in members.values())


def name_key(name: str) -> str:
    """Two names with the same key are the same model to an engine."""
    key = name.strip().casefold().replace("huggingface.co/", "hf.co/", 1)
    for prefix in _HOMES:
        key = key.removeprefix(prefix)
    return key if ":" in key.rsplit("/", 1)[-1] else f"{key}:latest"


def _join_same(cards: list[Card], parent: list[int]) -> None:
    known: dict[Hashable, int] = {}
    for place, card in enumerate(cards):
        for key in _keys(card):
            _join(parent, known.setdefault(key, place), place)


def _keys(card: Card) -> Iterator[Hashable]:
    """What only cards of the same model share."""
    if card.path is not None:
        yield "path", card.path
        stem, quantisation = split_quantisation(card.name)
        if quantisation and card.installed is None:
            yield "stem", card.path.parent, stem.casefold(), card.parameters
    if card.path is None or card.installed:  # a file may be called anything
        yield "name", name_key(card.name)
    for name in filter(None, (card.installed, *card.aliases)):
        yield "name", name_key(name)
    if card.digest:
        yield "digest", card.digest.removeprefix("sha256:")


def _join_offered(cards: list[Card], home: list[int], parent: list[int]) -> None:
    """Join near cards to the one far card that offers them."""
    offers: dict[Hashable, dict[int, int]] = {}  # key → far models that claim it, and their group
    for place, card in enumerate(cards):
        if not _near(card):
            keys = [("name", name_key(variant.name)) for variant in card.variants]
            keys += [("repo", card.hf_repo.casefold())] if card.hf_repo else []
            for key in keys:
                offers.setdefault(key, {})[_root(parent, place)] = home[place]
    far = {_root(parent, place) for place, card in enumerate(cards) if not _near(card)}
    for place, card in enumerate(cards):
        if not _near(card) or _root(parent, place) in far:
            continue
        for key in ("name", name_key(card.name)), ("repo", (card.hf_repo or "").casefold()):
            claims = offers.get(key, {})
            if len(claims) == 1:
                _join(parent, place, next(iter(claims)))
                break


def _near(card: Card) -> bool:
    return card.installed is not None or card.path is not None


def _root(parent: list[int], place: int) -> int:
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = parent[place]
    return place


def _join(parent: list[int], one: int, other: int) -> None:
    one, other = sorted((_root(parent, one), _root(parent, other)))
    parent[other] = one


def _one(cards: list[Card]) -> Card:
    """The cards of one model, nearest first, as one."""
    nearest = min(cards, key=lambda card: (card.installed is None, card.network is None))
    cards = [nearest, *(card for card in cards if card is not nearest)]
    facts: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for fields, order in ((_FACTS, cards), (_LABELS, cards[::-1])):
        for field in fields:
            winner = next((card for card in order if getattr(card, field)), nearest)
            facts[field] = getattr(winner, field)
            if field in winner.sources:
                sources[field] = winner.sources[field]
    own = (kind for card in cards if "own" in card.origins for kind in card.categories)
    facts["categories"] = tuple(dict.fromkeys((*own, *facts["categories"])))
    for card in cards:  # facts of the nearest variant, and of what only one source has
        for field, who in card.sources.items():
            if field not in facts:
                sources.setdefault(field, who)
    same = [card for card in cards if card.quantisation in {None, nearest.quantisation}]
    names = [name for card in cards for name in (card.name, card.installed, *card.aliases) if name]
    return replace(
        nearest,
        **facts,
        sources=sources,
        quantisation=_first(cards, "quantisation") if len(same) > 1 else nearest.quantisation,
        download=nearest.download or _first(same, "download"),
        digest=_first(same, "digest"),
        path=nearest.path or _first(same, "path"),
        fetched_at=_first(cards, "fetched_at"),
        variants=_variants(cards),
        aliases=tuple(name for name in dict.fromkeys(names) if name != nearest.name),
        scores=tuple({score: None for card in cards for score in card.scores}),
        origins=tuple({origin: None for card in cards for origin in card.origins}),
        notes=tuple({note: None for card in cards for note in card.notes}),
    )


def _first(cards: list[Card], field: str) -> Any:
    return next((value for card in cards if (value := getattr(card, field))), None)


def _variants(cards: list[Card]) -> tuple[Variant, ...]:
    """All quantisations: each near card's own, then what is offered."""
    found: dict[str, Variant] = {}
    several = len({card.quantisation for card in cards if _near(card)}) > 1
    for card in cards:
        if _near(card) and card.quantisation and (several or card.installed):
            name = card.installed or str(card.path)
            exact = card.download is not None
            installed = card.installed is not None
            own = Variant(card.quantisation, name, card.download, exact, installed)
            found.setdefault(name_key(name), own)
    here = {variant.quantisation for variant in found.values() if variant.installed}
    for card in cards:
        for variant in card.variants:
            if variant.quantisation not in here:
                found.setdefault(name_key(variant.name), variant)
    return tuple(found.values())

"""Cards from JSON files of our schema: those of the package, and a user's own (docs/cards.md).

A file is checked whole before anything of it is used: a wrong type, an unknown field, a number
that makes no sense refuses it with the card and the field by name. A user's files lie in
`<home>/cards/`, a plug-in's are named by entry points of the group `workbench.cards`; one that
is refused is told of and hides no other.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

from workbench.cards._card import Card, Score, Variant
from workbench.cards._facts import architecture_of
from workbench.errors import InvalidRequest
from workbench.settings import home

SCHEMA = "workbench-cards/1"
_SHIPPED = Path(__file__).parent / "data" / "cards.json"
_LARGEST_FILE = 32 * 2**20
_MOST_CARDS, _MOST_ENTRIES, _MOST_BYTES = 5000, 1000, 2**53
# control characters, those that turn the direction of text, and halves of characters
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class CardFiles(NamedTuple):
    """Cards of files, and a sentence for each file that was refused."""

    cards: tuple[Card, ...]
    problems: tuple[str, ...]


@lru_cache(maxsize=1)
def shipped() -> tuple[Card, ...]:
    """The cards that come with the package."""
    return read_cards(_SHIPPED, origin="shipped")


def own_cards() -> CardFiles:
    """The user's and plug-ins' cards, with what is wrong about files that were left out."""
    cards: list[Card] = []
    problems: list[str] = []
    files = sorted((home() / "cards").glob("*.json"))
    sources: list[tuple[str, Callable[[], Path]]] = [(str(f), partial(Path, f)) for f in files]
    for entry in sorted(entry_points(group="workbench.cards"), key=lambda one: one.name):
        sources.append((f"The plug-in {entry.name}", partial(_plugin_path, entry)))
    for name, find in sources:
        try:
            cards += read_cards(find(), origin="own")
        except InvalidRequest as error:
            problems.append(str(error))
        except Exception as error:  # a plug-in may fail in any way
            problems.append(f"{name} gives no cards: {type(error).__name__}: {error}"[:500])
    return CardFiles(tuple(cards), tuple(problems))


def _plugin_path(entry: Any) -> Path:
    """An entry point names a path, or a function that returns one."""
    value = entry.load()
    return Path(value() if callable(value) else value)


def read_cards(path: Path, *, origin: str = "own") -> tuple[Card, ...]:
    """The cards of one file; InvalidRequest says which card and field is wrong."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InvalidRequest(f"{path} is larger than 32 MB. Split it into several files.")
        document = json.loads(path.read_bytes(), parse_constant=_no_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"{path} cannot be read as JSON ({error}). Correct it.") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InvalidRequest(f'{path} is no file of cards: it must say "schema": "{SCHEMA}".')
    table = document.get("sources", [])
    _texts(table, f"{path}: sources", most=_MOST_CARDS)
    entries = document.get("cards")
    if not isinstance(entries, list) or len(entries) > _MOST_CARDS:
        raise InvalidRequest(f"{path}: cards must be a list of at most {_MOST_CARDS}.")
    cards = [_card(entry, f"{path}: card {n}", table, origin) for n, entry in enumerate(entries, 1)]
    name, count = Counter(card.name for card in cards).most_common(1)[0] if cards else ("", 0)
    if count > 1:
        raise InvalidRequest(f"{path}: {name!r} is there {count} times. Keep one of them.")
    return tuple(cards)


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _card(entry: Any, what: str, table: list[str], origin: str) -> Card:
    if not isinstance(entry, dict):
        raise InvalidRequest(f"{what} must be an object.")
    if isinstance(entry.get("name"), str):
        what = f"{what} ({entry['name'][:80]!r})"
    unknown = set(entry) - set(_FIELDS)
    if unknown or entry.get("name") is None:
        wrong = f"an unknown field, {min(unknown)[:80]!r}" if unknown else "no name"
        raise InvalidRequest(f"{what} has {wrong}. The fields are {', '.join(_FIELDS)}.")
    facts = {
        key: check(entry[key], f"{what}: {key}", table)
        for key, check in _FIELDS.items()
        if entry.get(key) is not None
    }
    gaps = (facts.pop(key, None) for key in ("gap", "size_gap"))
    notes = (*facts.pop("notes", ()), *(gap for gap in gaps if gap))
    if "architecture" in facts:
        shape, where = facts["architecture"], f"{what}: architecture"
        facts["architecture"] = architecture_of(shape, where, facts.get("context"))
    known = {key: value for key, value in facts.items() if key not in _ASIDE}
    return Card(**known, notes=notes, origins=(origin,))


def _text(value: Any, what: str, table: object = None, most: int = 500) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= most or _CONTROL.search(value):
        raise InvalidRequest(f"{what} must be a text of 1 to {most} printable characters.")
    return value


def _texts(
    value: Any, what: str, table: object = None, most: int = _MOST_ENTRIES
) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > most:
        raise InvalidRequest(f"{what} must be a list of at most {most} texts.")
    return tuple(_text(one, what) for one in value)


def _count(value: Any, what: str, table: object = None) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MOST_BYTES:
        raise InvalidRequest(f"{what} must be a whole number above 0; leave it out if unknown.")
    return value


def _month(value: Any, what: str, table: object = None) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"(19|20)\d\d(-(0[1-9]|1[0-2]))?", value):
        raise InvalidRequest(f"{what} must be a month such as 2024-07.")
    return value


def _source(value: Any, what: str, table: list[str]) -> str:
    """A text, or the place of one in the file's table."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(table):
        return table[value]
    return _text(value, what)


def _sources(value: Any, what: str, table: list[str]) -> Mapping[str, str]:
    if not isinstance(value, dict) or len(value) > _MOST_ENTRIES:
        raise InvalidRequest(f"{what} must name a source for each fact.")
    found = {}
    for key, places in value.items():
        several = places[:50] if isinstance(places, list) else [places]
        found[_text(key, what)] = "; ".join(_source(one, what, table) for one in several)
    return found


def _variants(value: Any, what: str, table: object) -> tuple[Variant, ...]:
    """Lists of quantisation, name and, if known, bytes and whether these are exact."""
    return tuple(
        Variant(
            _text(mix, what),
            _text(name, what),
            None if size is None else _count(size, what),
            bool(exact),
        )
        for mix, name, size, exact in _rows(value, what, 2, 4)
    )


def _scores(value: Any, what: str, table: list[str]) -> tuple[Score, ...]:
    """Lists of metric, value, setting, source and, if it was another model, which."""
    found = []
    for metric, number, setting, source, other in _rows(value, what, 4, 5):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InvalidRequest(f"{what}: the value of {metric!r} must be a number.")
        if not (math.isfinite(number) and 0 <= number <= 100):
            raise InvalidRequest(f"{what}: the value of {metric!r} must be from 0 to 100.")
        words = (_text(metric, what), _text(setting, what), _source(source, what, table))
        measured_on = None if other is None else _text(other, what)
        found.append(Score(words[0], float(number), *words[1:], measured_on))
    return tuple(found)


def _rows(value: Any, what: str, least: int, most: int) -> list[list[Any]]:
    """Lists of `least` to `most` entries, filled up with None."""
    fine = isinstance(value, list) and len(value) <= _MOST_ENTRIES
    if not fine or not all(isinstance(row, list) and least <= len(row) <= most for row in value):
        raise InvalidRequest(f"{what} must be lists of {least} to {most} entries.")
    return [[*row, *[None] * (most - len(row))] for row in value]


def _object(value: Any, what: str, table: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{what} must be an object.")
    return value


_short = partial(_text, most=120)
_SHORT = "name family publisher license hf_repo quantisation"
_COUNTS = "parameters active_parameters context download"
_TEXTS = "categories capabilities aliases notes"
# what the record does not have: for the tests, and for who edits the file
_SHORT_ASIDE = "parameters_are released_is architecture_is"
_COUNTS_ASIDE = "text_parameters cache_at_4096 weights projector"
_ASIDE = {*_SHORT_ASIDE.split(), *_COUNTS_ASIDE.split(), "remark"}
_FIELDS: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(_SHORT.split(), _short),
    **dict.fromkeys(_SHORT_ASIDE.split(), _short),
    **dict.fromkeys([*_COUNTS.split(), *_COUNTS_ASIDE.split()], _count),
    **dict.fromkeys(_TEXTS.split(), _texts),
    **dict.fromkeys(("gap", "size_gap", "remark"), _text),
    "released": _month,
    "architecture": _object,
    "variants": _variants,
    "scores": _scores,
    "sources": _sources,
}

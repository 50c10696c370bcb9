"""The settings that can be searched: what each is, where it counts, and how far it can go.

The engine's options come from `workbench.protocol`; the prompt's, the weights' and the training's
stand in `data/settings.json`. A training's are those of `workbench.learn`, which lies above this
room; a test holds the two together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from workbench.errors import TuneError
from workbench.gguf import QUANTISATIONS
from workbench.protocol import OPTIONS
from workbench.texts import nearest

Part = Literal["sampling", "loading", "prompt", "model", "training"]
_DATA = Path(__file__).parent / "data" / "settings.json"
_LONGEST = 20_000  # characters of a system text
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_REFUSED = {
    "seed": "The seed is no setting: a lucky one makes nothing better. Each question has its own.",
    "stop": "stop is a list of texts and cannot be searched. Put it into the model's Modelfile.",
    "cache_prompt": "cache_prompt makes no answer better: studies take what was read before.",
}


@dataclass(frozen=True, slots=True)
class Known:
    """A setting that engine, prompt or training knows. Bounds are None where it is no number."""

    name: str
    part: Part
    kind: Literal["float", "int", "text", "bool"]
    meaning: str
    default: Any = None
    low: float | None = None
    high: float | None = None
    texts: tuple[str, ...] = ()  # the only ones that it can be; empty: any


@cache
def known() -> Mapping[str, Known]:
    """All settings by name."""
    found = {}
    for name, option in OPTIONS.items():
        if name not in _REFUSED:
            kind: Any = "text" if option.kind == "str" else option.kind
            found[name] = Known(
                name, "loading" if option.load_time else "sampling", kind, option.meaning,
                option.default, option.minimum, option.maximum, option.choices,
            )  # fmt: skip
    for name, facts in json.loads(_DATA.read_text(encoding="utf-8")).items():
        found[name] = Known(name, **{**facts, "texts": tuple(facts.get("texts", ()))})
    found["quantisation"] = replace(found["quantisation"], texts=tuple(sorted(QUANTISATIONS)))
    return found


def known_of(name: str) -> Known:
    """The setting of this name. Raises TuneError, with near names."""
    if name in _REFUSED:
        raise TuneError(_REFUSED[name])
    if name not in known():
        raise TuneError(f"There is no setting {name[:60]!r} to search.{nearest(name, known())}")
    return known()[name]


def part_of(name: str) -> Part | None:
    """Where a setting counts; None for a name that nothing knows."""
    return known()[name].part if name in known() else None


def value_of(name: str, value: Any) -> Any:
    """`value` as this setting takes it. Raises TuneError for another kind, or beyond limits."""
    one = known_of(name)
    if one.kind in ("int", "float"):
        return _number(one, value)
    if one.kind == "bool":
        if not isinstance(value, bool):
            raise TuneError(f"{name} is true or false, not {shown(value)}.")
        return value
    check_text(f"The value of {name}", value, _LONGEST)
    if one.texts and value not in one.texts:
        raise TuneError(f"{name} cannot be {shown(value)}.{nearest(value, one.texts)}")
    return value


def _number(one: Known, value: Any) -> int | float:
    if not is_number(value):
        raise TuneError(f"{one.name} is a number, not {shown(value)}.")
    low, high = one.low, one.high
    if (low is not None and value < low) or (high is not None and value > high):
        raise TuneError(f"{one.name} can be from {low:g} to {high:g}, not {shown(value)}.")
    if one.kind == "float":
        return float(value)
    if value != int(value):
        raise TuneError(f"{one.name} is a whole number, not {shown(value)}.")
    return int(value)


def check_text(what: str, value: Any, most: int) -> None:
    """Raise TuneError for what is no text, too long, or steers a terminal or the reading order."""
    if not isinstance(value, str) or len(value) > most:
        raise TuneError(f"{what} is a text of at most {most:,} characters, not {shown(value)}.")
    if found := _STEERING.search(value):
        raise TuneError(f"{what} has the character U+{ord(found[0]):04X}, which no text needs.")


def is_number(value: Any) -> bool:
    """Whether this is a finite number that an engine can be told; true and false are none."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -1e308 < value < 1e308


def shown(value: Any) -> str:
    """A value of others in a sentence: never pages of it."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        text = "a huge number"
    return text if len(text) <= 80 else text[:80] + "…"

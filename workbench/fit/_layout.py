"""Which tensors a network of each family has, in words (`data/layouts.json`).

The layouts are facts of llama.cpp's converters and graphs; the package's tests load a file of
each family with llama.cpp, and hold the counts against published ones. Left out, since small:
tables of rotary factors that a model can do without; and the vision and audio towers, which are
a file of their own or a gap that a card explains.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

_FILE = Path(__file__).parent / "data" / "layouts.json"


class Family(NamedTuple):
    """One architecture's layout; the file says what each part is of."""

    head: str
    attention: str
    ffn: str
    routed: str
    recurrent: str
    alone: bool


@cache
def _document() -> Any:
    return json.loads(_FILE.read_text(encoding="utf-8"))


@cache
def part(name: str) -> str:
    """A part that several layouts share, with the parts that it names."""
    words: str = _whole(_document()["parts"][name])
    return words


@cache
def families() -> dict[str, Family]:
    """The layouts by llama.cpp's name of the family."""
    document = _document()
    found: dict[str, Family] = {}
    for name, own in document["families"].items():
        start = found[own["like"]]._asdict() if "like" in own else document["default"]
        both = start | {key: value for key, value in own.items() if key != "like"}
        found[name] = Family(**{key: _whole(value) for key, value in both.items()})
    return found


def _whole(words: Any) -> Any:
    """Replace names in braces by their parts."""
    while isinstance(words, str) and "{" in words:
        words = words.format_map(_document()["parts"])
    return words

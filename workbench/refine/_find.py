"""Finding what must not be learnt: places in a text, by what is quick to find there.

Regular expressions over whole texts are slow. So each finder names short texts that its pattern
cannot do without ("ghp_", "password"), or the form of its beginning (two capitals, two digits), and
the pattern is tried only there. The anchors of all finders are looked for at once: the three rarest
characters of each stand in a table, and numpy looks up all threes of the text in it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, product
from typing import NamedTuple

import numpy as np

_FREQUENT = "zqxjkvbpyg.fw_mucldr:/hsnioate-"  # the most frequent last
_HASH = np.uint32(0x9E3779B1 << 8 & 0xFFFFFFFF)  # of three of four bytes: one is shifted out
_CLASSES = {"A": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "h": "0abcdefABCDEF", ".": "0 ().-"}
_ALL_DIGITS = bytes(48 if 48 <= code < 58 else code for code in range(256))  # become "0"
_DIGITS = re.compile(r"[0-9][0-9 ().-]{5,}[0-9]")
_AMONG_DIGITS = bytes(3 if 48 <= code < 58 else code in b" ().-" for code in range(256))


class Place(NamedTuple):
    """Where something of a kind stands."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Finder:
    """Something of one kind: what `pattern` finds and `check` agrees to, of that the first of
    `groups` that is there.

    The pattern is matched at each place of an anchor, or `back` characters before it at most: then
    it is searched for from there and must reach the anchor. `folded` anchors are in small letters
    and found in any. In those of a `form`, "A" is a capital, "0" a digit, "h" a hexadecimal one,
    "." what stands in numbers. Without anchors the pattern is searched for in runs of digits and
    what stands between digits.
    """

    kind: str
    pattern: re.Pattern[str]
    anchors: tuple[str, ...] = ()
    check: Callable[[re.Match[str]], bool] = bool
    groups: tuple[str, ...] = ()
    back: int = 0
    folded: bool = False
    form: bool = False


def places(text: str, finders: tuple[Finder, ...]) -> list[Place]:
    """What is found, in order; of what overlaps, the first and there the first finder's."""
    raw = text.encode("ascii", "replace")  # only ASCII is looked for
    anchors = _anchors(finders)
    found: list[tuple[int, int, Place]] = []
    for number, match in chain(anchors.matches(text, raw), anchors.among_digits(text, raw)):
        finder = finders[number]
        if finder.check(match):
            place = Place(*_span(match, finder.groups), finder.kind)
            found.append((place.start, number, place))
    found.sort(key=lambda one: one[:2])
    kept: list[Place] = []
    for _, _, place in found:
        if not kept or place.start >= kept[-1].end:
            kept.append(place)
    return kept


def masked(text: str, found: Iterable[Place]) -> str:
    """The text with each place replaced by its kind, such as <EMAIL>."""
    parts, last = [], 0
    for place in found:
        parts += [text[last : place.start], f"<{place.kind}>"]
        last = place.end
    return "".join([*parts, text[last:]])


class _Anchors:
    """Where the patterns of a list of finders are to be tried."""

    def __init__(self, finders: tuple[Finder, ...]) -> None:
        self.finders = finders
        self._table = np.zeros(1 << 16, bool)  # whether a three's hash is there
        self._threes = defaultdict[bytes, list[tuple[int, str, int]]](list)  # whose it is
        self._single = [(n, a) for n, one in enumerate(finders) for a in one.anchors if len(a) < 3]
        self._bare = [(n, one.pattern) for n, one in enumerate(finders) if not one.anchors]
        for number, finder in enumerate(finders):
            for anchor in finder.anchors:
                threes = [anchor[n : n + 3] for n in range(len(anchor) - 2)]
                rarity = [sum(map(_FREQUENT.find, three.lower())) for three in threes]
                offset = rarity.index(min(rarity)) if threes else 0
                ways = [_CLASSES.get(c, c) if finder.form else c + c.upper() * finder.folded
                        for c in anchor[offset : offset + 3]]  # fmt: skip
                for way in {"".join(way).encode() for way in product(*ways) if threes}:
                    hashed = int.from_bytes(way, "little") * int(_HASH) & 0xFFFFFFFF
                    self._table[hashed >> 16] = True
                    self._threes[way].append((number, anchor, offset))

    def matches(self, text: str, raw: bytes) -> Iterator[tuple[int, re.Match[str]]]:
        """With the numbers of their finders; of one anchor they do not overlap."""
        for (number, _), begins in self._places(raw).items():
            finder, after = self.finders[number], 0
            for place in begins:
                match = _around(text, place, finder) if place >= after else None
                if match is not None:
                    after = max(match.end(), place + 1)
                    yield number, match

    def _places(self, raw: bytes) -> dict[tuple[int, str], list[int]]:
        """Where the anchors stand, by the finder's number and the anchor."""
        there = defaultdict[tuple[int, str], list[int]](list)
        folded = raw.translate(_ALL_DIGITS) + bytes(3)
        hashed = np.ndarray(len(raw), "<u4", folded, strides=(1,)) * _HASH
        hashed >>= np.uint32(16)
        for place in np.flatnonzero(self._table.take(hashed)).tolist():
            for number, anchor, offset in self._threes.get(folded[place : place + 3], ()):
                begin, finder = place - offset, self.finders[number]
                some = raw[max(begin, 0) : begin + len(anchor)]
                known = some.lower() if finder.folded else some
                if begin >= 0 and (finder.form or known == anchor.encode()):
                    there[number, anchor].append(begin)
        for number, anchor in self._single:
            there[number, anchor] = [m.start() for m in re.finditer(anchor.encode(), raw)]
        return there

    def among_digits(self, text: str, raw: bytes) -> Iterator[tuple[int, re.Match[str]]]:
        """In runs of seven and more digits and what stands between digits, with what is around."""
        if not self._bare:
            return
        one = np.frombuffer(raw.translate(_AMONG_DIGITS), np.uint8)
        two = one[:-1] & one[1:]
        four = two[:-2] & two[2:]
        seven = four[:-3] & four[3:] & (one[:-6] >> np.uint8(1))
        after = 0
        for place in np.flatnonzero(seven).tolist():
            run = _DIGITS.match(text, place) if place >= after else None
            if run is not None:
                after = run.end()
                for number, pattern in self._bare:
                    found = pattern.finditer(text, max(place - 1, 0), after + 1)
                    yield from ((number, match) for match in found)


_anchors = lru_cache(maxsize=4)(_Anchors)


def _span(match: re.Match[str], groups: tuple[str, ...]) -> tuple[int, int]:
    return next((match.span(name) for name in groups if match[name]), match.span())


def _around(text: str, place: int, finder: Finder) -> re.Match[str] | None:
    if not finder.back:
        return finder.pattern.match(text, place)
    match = finder.pattern.search(text, max(place - finder.back, 0), place + 400)
    while match is not None and match.end() <= place:
        match = finder.pattern.search(text, match.end() + (not match.group()), place + 400)
    return match if match is not None and match.start() <= place else None

"""Words and word sequences as 64-bit numbers, by numpy over whole texts at once.

A word is a run of letters, digits, marks and underscores without regard to case; of Chinese and
Japanese, which write no spaces, each character is one. A word's number is the polynomial hash of
its code points modulo 2^64, taken from prefix sums (Karp and Rabin 1987), then mixed (the
finaliser of MurmurHash3); a sequence's number is made of its words' numbers in the same way.
ASCII is one byte a character and told apart by one table; only the others are looked up singly.
Equal words have equal numbers; that different ones meet has odds of about 2^-64 a pair, unless
somebody sets out to make them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.uint64]
Places = NDArray[np.int64]
_BLOCK = 1 << 16  # characters that are looked at together: what the processor keeps near
_RUN = 60
_BASE, _SEQUENCE = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93  # odd, so that they can be inverted
_LETTER, _DIGIT, _SPACE, _ALONE, _WORD = 1, 2, 4, 8, 16
# Of each ASCII character one code: 0 a space, 1 a symbol, above that the small letter plus one.
_CODES = bytes(
    0 if chr(code).isspace() else ord(chr(code).lower()) + 1 if chr(code).isalnum() or code == 95
    else 1 for code in range(128)
) + bytes([1]) * 128  # fmt: skip
_UNDERSCORE = 96  # letters have larger codes, digits smaller ones


@dataclass(frozen=True)
class Shape:
    """What a text is made of, in characters, and the numbers of its words in order."""

    characters: int
    letters: int
    digits: int
    spaces: int
    unbroken: int  # in runs of at least 60 without a space
    words: Numbers

    @cached_property
    def fives(self) -> Numbers:
        """The numbers of its sequences of five words in order."""
        return sequences(self.words, 5)

    @cached_property
    def ordered(self) -> Numbers:
        """The same, ascending."""
        return np.sort(self.fives)


def shape(text: str) -> Shape:
    """Count a text's characters by kind and number its words."""
    found = [_block(block) for block in _blocks(text)]
    letters, digits, spaces, unbroken = (sum(counts[n] for counts, _ in found) for n in range(4))
    words = np.concatenate([words for _, words in found])
    return Shape(len(text), letters, digits, spaces, unbroken, words)


def sequences(words: Numbers, length: int, places: Places | None = None) -> Numbers:
    """One number for each place where so many words begin; of these places only, if they end."""
    count = len(words) - length + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    if places is None:
        parts = [words[n : n + count] for n in range(length)]
    else:
        places = places[places < count]
        parts = [words[places + n] for n in range(length)]
    sums = parts[-1].copy()
    for part in parts[-2::-1]:
        sums *= np.uint64(_SEQUENCE)
        sums += part
    sums += np.uint64(length)
    return mixed(sums)


def mixed(numbers: Numbers) -> Numbers:
    """Each bit of the result depends on all bits (MurmurHash3's 64-bit finaliser)."""
    numbers = numbers ^ (numbers >> np.uint64(33))
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        numbers *= np.uint64(factor)
        numbers ^= numbers >> np.uint64(33)
    return numbers


def _blocks(text: str) -> Iterator[str]:
    """The text in parts that end at a space or a line, where there is one."""
    start = 0
    while len(text) - start > _BLOCK:
        end = start + _BLOCK
        cut = max(text.rfind(" ", start, end), text.rfind("\n", start, end)) + 1 or end
        yield text[start:cut]
        start = cut
    yield text[start:]


def _block(text: str) -> tuple[tuple[int, int, int, int], Numbers]:
    """Letters, digits, spaces, characters in unbroken runs; and the words' numbers."""
    codes = np.frombuffer(text.encode("ascii", "replace").translate(_CODES), np.uint8)
    bounded = np.zeros(len(codes) + 2, bool)  # with no word before the first one, behind the last
    word, space = bounded[1:-1], codes == 0
    np.greater(codes, 1, out=word)
    letters = int(np.count_nonzero(codes > _UNDERSCORE))
    digits = int(np.count_nonzero(word) - letters - np.count_nonzero(codes == _UNDERSCORE))
    breaks = np.empty(0, np.int64)  # where a word ends and the next begins at once
    powers, inverse = _powers()
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.multiply(codes, powers[: len(codes)], out=sums[1:])
    if not text.isascii():
        kinds, small = _tables()
        wide = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
        there = np.flatnonzero(wide > 127)
        wide = wide[there]
        what = kinds.take(wide, mode="clip")
        word[there], space[there] = what >= _ALONE, what == _SPACE
        sums[there + 1] = small.take(wide, mode="clip") * powers[there]
        letters += int(np.count_nonzero(what & _LETTER))
        digits += int(np.count_nonzero(what & _DIGIT))
        alone, touched = there[(what & _ALONE) > 0], np.zeros(len(word) + 1, bool)
        touched[alone] = touched[alone + 1] = True
        breaks = np.flatnonzero(touched[1:-1] & word[1:] & word[:-1]) + 1
    np.cumsum(sums, out=sums)
    edges = np.flatnonzero(bounded[1:] != bounded[:-1])
    starts, ends = edges[::2], edges[1::2]
    if len(breaks):
        starts, ends = (np.sort(np.concatenate([one, breaks])) for one in (starts, ends))
    numbers = sums[ends]
    numbers -= sums[starts]
    numbers *= inverse[starts]
    numbers += (ends - starts).view(np.uint64)
    gaps = np.concatenate([[-1], np.flatnonzero(space), [len(codes)]])
    runs = gaps[1:] - gaps[:-1]
    runs = runs[runs > _RUN] - 1
    return (letters, digits, len(gaps) - 2, int(runs.sum())), mixed(numbers)


@lru_cache(maxsize=1)
def _powers() -> tuple[Numbers, Numbers]:
    """The powers of the base and of its inverse, modulo 2^64."""
    factors = np.full((_BLOCK + 1, 2), (_BASE, pow(_BASE, -1, 2**64)), np.uint64)
    factors[0] = 1
    powers, inverse = np.cumprod(factors, axis=0, dtype=np.uint64).T.copy()
    return powers, inverse


@lru_cache(maxsize=1)
def _tables() -> tuple[NDArray[np.uint8], Numbers]:
    """The kind and the small letter of each code point; those above 65535 count as symbols."""
    kinds, small = np.zeros(1 << 16, np.uint8), np.arange(1, (1 << 16) + 1, dtype=np.uint64)
    for code in range(1 << 16):
        one = chr(code)
        if one.isalpha() or unicodedata.category(one)[0] == "M":
            kinds[code] = _LETTER | _WORD
            lower = one.lower()
            small[code] = ord(lower) + 1 if len(lower) == 1 else code + 1
        elif one.isnumeric() or one == "_":
            kinds[code] = _WORD | (_DIGIT if one != "_" else 0)
        elif one.isspace():
            kinds[code] = _SPACE
    for first, last in ((0x3041, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF)):
        part = kinds[first : last + 1]
        part[part > 0] = _LETTER | _ALONE
    return kinds, small

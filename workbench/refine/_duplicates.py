"""Which documents are equal or alike, with a few bytes of memory for each.

Texts are numbered; those of other datasets come first, so that they are the ones that stay. Equal
texts have equal hashes of 128 bits, alike ones at least one equal band: both are found in sorted
runs on the disk, which are merged range by range. A pair from a band is alike when the signatures
say so. What is alike to one another, also by way of others, is one group, and its first text stays.
In a band's group each text is compared with the first and with the one before it.

Signatures whose share of equal places estimates how alike two texts are (Broder 1997).

A text is the set of its sequences of five words (one of fewer words: the whole of it); how alike
two texts are is the Jaccard index of their sets. A signature has 128 places: the sequences' numbers
are dealt into 128 ranges by their high bits, and of each range the least one counts (one
permutation hashing, Li, Owen and Zhang 2012); an empty range borrows from another, chosen in an
order that is the same for all texts (Shrivastava 2017). So each sequence is looked at once and not
128 times as by 128 functions, with an estimate that is no worse: its standard error is at most
0.045, and 0.035 at 0.8. Bands of `rows` places each (Leskovec, Rajaraman and Ullman, Mining of
Massive Datasets, 3.4) bring alike texts together: as few and as long bands as still find a pair at
the threshold with odds of 0.98.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.refine._words import Numbers, Shape, mixed, sequences

Roots = NDArray[np.int32]
Tell = Callable[[], None]
Signature = NDArray[np.uint32]
PLACES = 128
_PLACE_BITS = np.uint64(57)  # what is above them says to which place a number belongs
_SURE = 0.98
_PAIRS = 10_000  # whose signatures are in memory at once: 10 MB
_BYTES = PLACES * 4
_RANGE = 1 << 20  # numbers that are sorted together, about


@dataclass(frozen=True, slots=True)
class Texts:
    """A part's files, the number of its first text, and of which other dataset they are."""

    stem: Path
    first: int
    count: int
    label: str = ""


def equal(parts: Sequence[Texts], tell: Tell) -> Roots:
    """For each text the number of the first that is equal to it."""
    roots = np.arange(total(parts), dtype=np.int32)
    for run in merged([(one.stem.with_suffix(".exact.npy"), one.first) for one in parts]):
        tell()
        same = (run[0, 1:] == run[0, :-1]) & (run[1, 1:] == run[1, :-1])
        owners = run[2].astype(np.int32)
        begins = np.flatnonzero(~np.concatenate([[False], same]))
        roots[owners] = np.repeat(owners[begins], np.diff(begins, append=len(owners)))
    return roots


def alike(parts: Sequence[Texts], equals: Roots, threshold: float, tell: Tell) -> Roots:
    """For each text the number of the first of its group; of equal texts only the first counts."""
    roots = np.arange(total(parts), dtype=np.int32)
    everything = parts[0].stem.with_name("all.signatures")
    with everything.open("wb") as out:
        for part in parts:
            with part.stem.with_suffix(".signatures").open("rb") as file:
                shutil.copyfileobj(file, out, 1 << 20)
    with everything.open("rb") as file:
        for run in merged([(one.stem.with_suffix(".near.npy"), one.first) for one in parts]):
            pairs = _pairs(run, equals)
            for start in range(0, len(pairs), _PAIRS):
                tell()
                some = pairs[start : start + _PAIRS]
                some = some[_first(roots, some[:, 0]) != _first(roots, some[:, 1])]
                firsts, others = (_rows(file.fileno(), some[:, n]) for n in (0, 1))
                share = (firsts == others).mean(axis=1)
                for one, other in some[share >= threshold].tolist():
                    _join(roots, one, other)
    everything.unlink()
    return _first(roots, np.arange(len(roots)))


def _pairs(run: Numbers, equals: Roots) -> NDArray[np.int64]:
    """Texts that share a band: each with the first of them and with the one before, once."""
    owners = run[1].astype(np.int64)
    there = equals[owners] == owners
    keys, owners = run[0][there], owners[there]
    if len(keys) < 2:
        return np.empty((0, 2), np.int64)
    same = np.concatenate([[False], keys[1:] == keys[:-1]])
    begins = np.flatnonzero(~same)
    firsts = np.repeat(owners[begins], np.diff(begins, append=len(owners)))
    before = np.concatenate([owners[:1], owners[:-1]])
    found = np.concatenate(
        [np.stack([firsts, owners], 1)[same], np.stack([before, owners], 1)[same]]
    )
    return np.unique(found[found[:, 0] < found[:, 1]], axis=0)


def _first(roots: Roots, texts: NDArray[np.int64]) -> Roots:
    """Follow each text's group to its first text."""
    found: Roots = roots[texts]
    while True:
        further: Roots = roots[found]
        if (further == found).all():
            return found
        found = further


def _join(roots: Roots, one: int, other: int) -> None:
    """Make two groups one, which begins with the smaller number."""
    ends = []
    for text in (one, other):
        while roots[text] != text:
            roots[text] = roots[roots[text]]
            text = int(roots[text])
        ends.append(text)
    roots[max(ends)] = min(ends)


def _rows(file: int, texts: NDArray[np.int64]) -> NDArray[np.uint32]:
    raw = b"".join(os.pread(file, _BYTES, int(text) * _BYTES) for text in texts)
    return np.frombuffer(raw, "<u4").reshape(-1, PLACES)


def total(parts: Sequence[Texts]) -> int:
    """How many texts there are."""
    return parts[-1].first + parts[-1].count if parts else 0


def signature(shape: Shape) -> Signature | None:
    """128 numbers of 32 bits; None for a text without words."""
    words, numbers = shape.words, shape.ordered
    if not len(words):
        return None
    if not len(numbers):
        numbers = sequences(words, len(words))
    places = np.arange(PLACES, dtype=np.uint64)
    least = numbers.take(np.searchsorted(numbers, places << _PLACE_BITS), mode="clip")
    there = least >> _PLACE_BITS == places
    if not there.all():
        lenders = _lenders()[~there]
        first = there[lenders].argmax(axis=1)
        least[~there] = least[np.take_along_axis(lenders, first[:, None], axis=1)[:, 0]]
    return (least >> np.uint64(25)).astype(np.uint32)


def rows_for(threshold: float) -> int:
    """Places in a band, so that pairs at the threshold meet in one with odds of 0.98."""
    for rows in range(24, 1, -1):
        if 1 - (1 - threshold**rows) ** (PLACES // rows) >= _SURE:
            return rows
    return 1


def bands(signatures: Signature, rows: int) -> Numbers:
    """Of signatures (texts, 128) a number for each text and band: (texts, 128 // rows)."""
    count = PLACES // rows
    parts = signatures[:, : count * rows].reshape(-1, count, rows).astype(np.uint64)
    keys = np.tile(np.arange(1, count + 1, dtype=np.uint64), (len(parts), 1))
    for row in range(rows):
        keys = mixed(keys + parts[:, :, row])
    return keys


@lru_cache(maxsize=1)
def _lenders() -> NDArray[np.int64]:
    """For each place the order in which it asks the others, the same on every machine."""
    numbers = mixed(np.arange(PLACES * PLACES, dtype=np.uint64)).reshape(PLACES, PLACES)
    return numbers.argsort(axis=1)


def write_run(path: Path, *rows: Numbers) -> None:
    """Sort by the first row, then the next ones, and write: a .npy file of rows of 64-bit numbers,
    the first of which must be spread evenly (hashes are)."""
    order = np.lexsort(rows[::-1])
    np.save(path, np.stack([row[order] for row in rows]))


def merged(runs: Sequence[tuple[Path, int]], together: int = _RANGE) -> Iterator[Numbers]:
    """Parts of the runs' union, sorted; numbers that are equal come in the same part. All runs'
    numbers of one range are read together, so the memory is that of a range.

    To the last row of each run its number is added: so runs that count their documents from 0
    become one.
    """
    total = sum(np.load(path, mmap_mode="r").shape[1] for path, _ in runs)
    ranges = max(1, -(-total // together))
    edges = [place * 2**64 // ranges for place in range(1, ranges)]
    begins = [0] * len(runs)
    for edge in [*edges, None]:
        parts: list[Numbers] = []
        for place, (path, offset) in enumerate(runs):
            run = np.load(path, mmap_mode="r")
            end = run.shape[1] if edge is None else int(np.searchsorted(run[0], np.uint64(edge)))
            if end > begins[place]:
                parts.append(np.array(run[:, begins[place] : end]))
                parts[-1][-1] += np.uint64(offset)
                begins[place] = end
        if parts:
            part = np.concatenate(parts, axis=1)
            yield part[:, np.lexsort(part[::-1])]

"""What differs between two datasets: examples, splits, and how each was made.

Examples are compared by 8 bytes of their hash, sorted in NumPy: 9 bytes an example are held, and
among a million examples a chance of 1 in 30 million that two different ones count as equal.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from workbench.data import _keep as keep
from workbench.data._records import Dataset
from workbench.data._seen import key

_SHOWN = 5  # examples of each kind
_LONG = 500  # characters of a text that is shown


@dataclass(frozen=True, slots=True)
class Difference:
    """From dataset `a` to `b`. `moved` counts examples of both by "split → split"; `added` and
    `removed` count each copy of an example."""

    a: str
    b: str
    forms: tuple[str, str]
    sizes: tuple[int, int]
    characters: tuple[int, int]
    common: int
    added: int
    removed: int
    moved: Mapping[str, int]
    first_added: tuple[dict[str, Any], ...]
    first_removed: tuple[dict[str, Any], ...]
    recipe: tuple[str, ...]  # what was done differently, in words

    @property
    def same(self) -> bool:
        """Whether a model would learn the same from both."""
        return not (self.added or self.removed or self.moved)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    def text(self) -> str:
        """For a person."""
        lines = [
            f"{self.a} → {self.b}",
            f"{self.sizes[0]} → {self.sizes[1]} examples: {self.common} in both, {self.added} "
            f"added, {self.removed} removed",
        ]
        if self.forms[0] != self.forms[1]:
            lines.append(f"The form changed from {self.forms[0]} to {self.forms[1]}.")
        lines += [f"{many} moved: {way}" for way, many in self.moved.items()]
        lines += self.recipe or ("They were made in the same way.",)
        return "\n".join(lines)


def diff(a: Dataset, b: Dataset) -> Difference:
    """What changes from `a` to `b`. Raises DataError where a file is damaged."""
    (old, old_splits), (new, new_splits) = _read(a), _read(b)
    before, was, had = np.unique(old, return_index=True, return_counts=True)
    after, now, has = np.unique(new, return_index=True, return_counts=True)
    _, in_a, in_b = np.intersect1d(before, after, assume_unique=True, return_indices=True)
    common = int(np.minimum(had[in_a], has[in_b]).sum())
    pairs = zip(old_splits[was[in_a]].tolist(), new_splits[now[in_b]].tolist(), strict=True)
    names = tuple(a.splits), tuple(b.splits)
    ways = Counter((names[0][one], names[1][other]) for one, other in pairs)
    moved = {f"{x} → {y}": many for (x, y), many in sorted(ways.items()) if x != y}
    return Difference(
        a.label, b.label, (a.form, b.form), (len(old), len(new)), (a.characters, b.characters),
        common, len(new) - common, len(old) - common, moved,
        _first(b, before) if len(new) > common else (),
        _first(a, after) if len(old) > common else (),
        tuple(_recipe(a, b)),
    )  # fmt: skip


def _read(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The examples' hashes and the numbers of their splits."""
    hashes, splits = array("Q"), array("B")
    for number, name in enumerate(dataset.splits):
        for example in keep.examples(dataset, name):
            hashes.append(key(example.canonical()))
            splits.append(min(number, 255))
    return np.array(hashes, np.uint64), np.array(splits, np.uint8)


def _first(dataset: Dataset, known: np.ndarray) -> tuple[dict[str, Any], ...]:
    """The first examples that are not among the known ones, which are sorted."""
    found: list[dict[str, Any]] = []
    for example in keep.examples(dataset):
        value = np.uint64(key(example.canonical()))
        place = int(np.searchsorted(known, value))
        if place == len(known) or known[place] != value:
            found.append(_short(example.row()))
            if len(found) == _SHOWN:
                break
    return tuple(found)


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _LONG else f"{value[: _LONG - 1]}…"
    if isinstance(value, Mapping):
        return {key: _short(inner) for key, inner in value.items()}
    return [_short(inner) for inner in value] if isinstance(value, list | tuple) else value


def _recipe(a: Dataset, b: Dataset) -> list[str]:
    """A sentence for each step that was done differently."""
    told = []
    if b.parent == a.digest or a.parent == b.digest:
        child, parent = (b, a) if b.parent == a.digest else (a, b)
        told.append(f"{child.label} was made from {parent.label}: {_shown(child.recipe)}.")
        return told
    old, new = _flat(a.recipe), _flat(b.recipe)
    for name in sorted(old.keys() | new.keys()):
        before, after = (_shown(each[name]) if name in each else "nothing" for each in (old, new))
        if before != after:
            told.append(f"{name}: {before} → {after}.")
    if a.parent != b.parent:
        told.append(f"made from: {a.parent[:8] or 'nothing'} → {b.parent[:8] or 'nothing'}.")
    return told


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """The leaves of a recipe by their dotted names."""
    if isinstance(value, Mapping):
        rows = [(str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list | tuple):
        rows = [(str(number), inner) for number, inner in enumerate(value, 1)]
    else:
        return {name: value}
    return {
        k: v for key, inner in rows for k, v in _flat(inner, f"{name}.{key}".lstrip(".")).items()
    }


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return f"{text[:199]}…" if len(text) > 200 else text

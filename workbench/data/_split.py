"""A dataset divided into train, validation and test, so that nothing in one is known from another.

Examples that belong together go to one side: those that ask the same (a text is what it asks),
whatever their case, spaces and ends, and with `by` those of one document, site or author.
Groups are drawn by the hash of the seed and what is in them, not by their place: another order of
the examples gives the same sides. The file is read twice, and 30 bytes an example are held.
"""

from __future__ import annotations

import json
import math
from array import array
from collections import Counter
from collections.abc import Sequence

import numpy as np

from workbench.data import _keep as keep
from workbench.data._checks import sides_of
from workbench.data._records import Dataset
from workbench.data._seen import key, loose_key
from workbench.errors import DataError
from workbench.texts import nearest

_SPLITS = ("train", "validation", "test")
_MOST_LABELS = 1000


def split(
    dataset: Dataset,
    *,
    validation: float = 0.1,
    test: float = 0.0,
    seed: int = 0,
    by: str = "",
    stratify: str = "",
    name: str | None = None,
) -> Dataset:
    """A new version with the splits; what splits there were before is forgotten.

    `validation` and `test` are shares of all examples. Sizes are exact where groups are single
    examples, and else as near below as whole groups allow. `by` names what of `about` keeps
    examples together ("address": all of one document); `stratify` a label of `about` whose shares
    shall be equal in all splits. Raises DataError where it cannot be done so.
    """
    _check(dataset, validation, test)
    texts, labels, names = _read(dataset, by, stratify)
    groups = _groups(texts)
    draws = _draws(texts[0], groups, seed)
    side = np.zeros(len(groups), np.uint8)  # an example's split
    for number, share in ((2, test), (1, validation)):
        side[_drawn(draws, groups, labels, side, share)] = number
    recipe = {"kind": "split", "dataset": dataset.digest, "validation": validation, "test": test,
              "seed": seed, "by": by, "stratify": stratify}  # fmt: skip
    made = keep.writing(name or dataset.name, dataset.form, recipe=recipe, parent=dataset.digest)
    with made as draft:
        for example, number in zip(keep.examples(dataset), side.tolist(), strict=True):
            draft.add(example, _SPLITS[number])
        draft.report = {"splits": dict(draft.splits), "groups": int(groups.max()) + 1}
        if stratify:
            draft.report["labels"] = _table(side, labels, names)
    return draft.made


def _check(dataset: Dataset, validation: float, test: float) -> None:
    shares = (validation, test)
    if not all(math.isfinite(x) and 0 <= x < 1 for x in shares) or not 0 < sum(shares) < 1:
        raise DataError(
            "The shares of validation and test must be at least 0 and below 1, and leave something "
            f"for training: not {validation} and {test}."
        )
    if dataset.examples < 2:
        raise DataError(f"{dataset.label} has one example: there is nothing to divide.")


def _read(
    dataset: Dataset, by: str, stratify: str
) -> tuple[list[np.ndarray], np.ndarray, list[str]]:
    """Of each example: the hash of its question, and of what `by` names; its label's number."""
    texts, keys, labels = array("Q"), array("Q"), array("H")
    names: dict[str, int] = {}
    has = {by: 0, stratify: 0}
    known: set[str] = set()
    for example in keep.examples(dataset):
        text = loose_key(sides_of(example)[0].strip() or example.digest)
        texts.append(text)
        value, label = example.about.get(by), example.about.get(stratify)
        has[by] += value is not None
        has[stratify] += label is not None
        if len(known) < 100:
            known |= example.about.keys()
        keys.append(key(json.dumps(value, sort_keys=True).encode()) if value is not None else text)
        shown = "" if label is None else label if isinstance(label, str) else json.dumps(label)
        labels.append(names.setdefault(shown, len(names)))
        if len(names) > _MOST_LABELS:
            raise DataError(f"{stratify!r} has more than {_MOST_LABELS} values: it is no label.")
    for wanted in filter(None, (by, stratify)):
        if not has[wanted]:
            raise DataError(f"No example says {wanted!r} about itself.{nearest(wanted, known)}")
    columns = [np.frombuffer(each, np.uint64) for each in ((texts, keys) if by else (texts,))]
    return columns, np.frombuffer(labels, np.uint16), list(names)


def _groups(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Each example's group: linked are those that share a value in any of the columns."""
    numbers = [np.unique(column, return_inverse=True)[1] for column in columns]
    if len(numbers) == 1:
        return numbers[0]
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = numbers
    size = int(first.max()) + 1 + int(second.max()) + 1
    links = (np.ones(len(first), np.uint8), (first, second + int(first.max()) + 1))
    parts = connected_components(coo_array(links, shape=(size, size)), directed=False)[1]
    found: np.ndarray = np.unique(parts[first], return_inverse=True)[1]
    return found


def _draws(texts: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Each group's lot."""
    least = np.full(int(groups.max()) + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, groups, texts)
    return np.array([key(f"{seed} {each}".encode()) for each in least.tolist()], np.uint64)


def _drawn(
    draws: np.ndarray, groups: np.ndarray, labels: np.ndarray, side: np.ndarray, share: float
) -> np.ndarray:
    """Which examples are drawn for a share of all, label by label, of those on no side yet."""
    free = np.bincount(groups, side == 0, len(draws))  # examples of each group
    first = np.unique(groups, return_index=True)[1]
    label_of = labels[first]  # a group's is that of its first example
    taken = np.zeros(len(draws), bool)
    for label, many in enumerate(_quotas(np.bincount(labels), share)):
        left = many
        mine = np.flatnonzero((label_of == label) & (free > 0))
        for group in mine[np.argsort(draws[mine])]:
            if left <= 0:
                break
            if free[group] <= left:
                taken[group] = True
                left -= int(free[group])
    if share and not taken.any():
        smallest = np.lexsort((draws, np.where(free > 0, free, np.inf)))[0]
        if (free > 0).sum() < 2:
            raise DataError(
                "All examples belong together, so they cannot be on two sides. Divide them by "
                "something else, or remove duplicates first."
            )
        taken[smallest] = True
    found: np.ndarray = taken[groups]
    return found


def _quotas(sizes: np.ndarray, share: float) -> list[int]:
    """How many of each label, together the share of all; who lost most by rounding has one more."""
    exact = sizes * share
    quotas = np.floor(exact + 1e-9).astype(int)
    whole = max(round(float(sizes.sum()) * share), 1 if share else 0)
    for label in np.argsort(quotas - exact, kind="stable")[: max(0, whole - int(quotas.sum()))]:
        quotas[label] += 1
    return [int(each) for each in quotas]


def _table(side: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> dict[str, dict[str, int]]:
    counts = Counter(zip(side.tolist(), labels.tolist(), strict=True))
    found: dict[str, dict[str, int]] = {}
    for (number, label), many in sorted(counts.items()):
        found.setdefault(_SPLITS[number], {})[names[label]] = many
    return found

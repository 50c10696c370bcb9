"""Whether a document holds what models are asked in the benchmark suites.

As GPT-3 did it (Brown et al. 2020, appendix C), documents and samples are compared by sequences of
13 words. A sample is its question with its answer; one of 5 to 12 words is found only where the
whole of it stands; one of fewer words cannot be told from ordinary language and is not looked for.
Words that stand in a tenth of a task's samples (at least 3), five in a row, belong to its template:
a sequence counts with at least 3 other words. Of a very long question only the end counts: the
rest is something to search in.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

import workbench
from workbench.errors import DataError, TaskError
from workbench.refine._words import Numbers, Shape, sequences, shape
from workbench.settings import home
from workbench.texts import nearest

if TYPE_CHECKING:  # every process of the pool would load the tasks
    from workbench.tasks import Sample, Suite, Task

_DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile)  # or not there
_METHOD = 1  # changes when equal samples would make another index
_LONG, _SHORT = 13, 5
_MOST_WORDS, _END = 1_000, 150  # of a question; what counts of a longer one
_TEMPLATE_SHARE, _TEMPLATE_LEAST = 0.1, 3
_LEAST_OWN = 3  # words of a sequence of 13 that are not the template's
_BETWEEN = ("", "A", "Answer", "The answer is")  # what may stand before the answer of a short one
_ALL = 1_000_000  # samples
_BITS = 22  # of the tables that are looked at first: 4 MB each
_LOOK = np.uint64(64 - _BITS)


@dataclass(frozen=True)
class Index:
    """The sequences of all samples: for each its words, its number, that of its first five words,
    and whose it is; by these in ascending order."""

    asked: str  # of the tasks: other samples make it another
    names: list[list[str]]  # task and sample
    rows: Numbers  # (4, sequences)

    def found(self, shape: Shape) -> list[list[str]]:
        """The samples that stand in a text, in the tasks' order."""
        known, lengths, table = self._begins
        places = np.flatnonzero(table.take((shape.fives >> _LOOK).view(np.int64)))
        if not len(places):
            return []
        at = np.searchsorted(known, shape.fives[places])
        there = known.take(at, mode="clip") == shape.fives[places]
        places, at = places[there], at[there]
        hits: set[int] = set()
        for length in range(_SHORT, _LONG + 1):
            some = places[(lengths[at] >> np.uint64(length) & np.uint64(1)) > 0]
            if len(some):
                hits |= self._hits(sequences(shape.words, length, some), length)
        return [self.names[hit] for hit in sorted(hits)]

    def _hits(self, there: Numbers, length: int) -> set[int]:
        start, end = np.searchsorted(self.rows[0], np.array([length, length + 1], np.uint64))
        known, owners = self.rows[1, start:end], self.rows[3, start:end]
        low, high = np.searchsorted(known, there), np.searchsorted(known, there, "right")
        return {one for a, b in zip(low, high, strict=True) for one in owners[a:b].tolist()}

    @cached_property
    def _begins(self) -> tuple[Numbers, Numbers, NDArray[np.bool_]]:
        """All beginnings, ascending; which lengths each has, as bits; and which high bits there
        are among them, where most of what is not there is seen."""
        known, which = np.unique(self.rows[2], return_inverse=True)
        lengths, table = np.zeros(len(known), np.uint64), np.zeros(1 << _BITS, bool)
        np.bitwise_or.at(lengths, which, np.uint64(1) << self.rows[0])
        table[known >> _LOOK] = True
        return known, lengths, table

    def save(self, path: Path) -> None:
        new = path.with_name(f"{path.name}.{os.getpid()}.new")
        with new.open("wb") as file:
            np.savez(file, names=np.array(json.dumps([self.asked, self.names])), rows=self.rows)
        new.replace(path)

    @classmethod
    def load(cls, path: Path) -> Index:
        with np.load(path) as file:
            asked, names = json.loads(str(file["names"]))
            return cls(asked, names, file["rows"])


def tasks_of(names: Iterable[str]) -> dict[str, Task]:
    """The tasks of these suites ("*": of all), by name. Raises DataError for an unknown suite."""
    from workbench.tasks import suites

    known: Mapping[str, Suite] = suites()
    found: dict[str, Task] = {}
    for name in names:
        if name != "*" and name not in known:
            raise DataError(f"There is no suite {name!r}.{nearest(name, known)}")
        for suite in known.values() if name == "*" else [known[name]]:
            found |= {task.name: task for task in suite.tasks}
    return dict(sorted(found.items()))


def suites_with(task: str) -> list[str]:
    """The suites that ask this task."""
    from workbench.tasks import suites

    return sorted(n for n, one in suites().items() if any(t.name == task for t in one.tasks))


def index_of(tasks: Mapping[str, Task]) -> Index:
    """All samples of these tasks with seed 0. Raises DataError."""
    names, rows, asked = list[list[str]](), [np.empty((4, 0), np.uint64)], hashlib.sha256()
    for task in tasks.values():
        part = _kept(task)
        part.rows[3] += np.uint64(len(names))
        names += part.names
        rows.append(part.rows)
        asked.update(part.asked.encode())
    every = np.concatenate(rows, axis=1)
    every = every[:, np.lexsort((every[3], every[1], every[0]))]
    return Index(asked.hexdigest(), names, every)


def _kept(task: Task) -> Index:
    """The samples' sequences; those of a task that ships are kept in the home, since only another
    release, interpreter or method makes others."""
    import workbench.tasks

    place = Path(workbench.tasks.__file__).parent
    if not Path(task.file).is_relative_to(place):
        return _of_task(task)
    path = home() / "cache" / "suites" / f"{task.name}-{_release(place)}.npz"
    try:
        return Index.load(path)
    except _DAMAGED:
        index = _of_task(task)
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f"{task.name}-{'?' * 16}.npz"):
        old.unlink(missing_ok=True)
    index.save(path)
    return index


@lru_cache(maxsize=1)
def _release(folder: Path) -> str:
    """A digest of what decides which samples there are."""
    files = sorted(one for one in folder.rglob("*") if one.suffix in (".py", ".yaml", ".json"))
    facts = f"{_METHOD} {workbench.__version__} {sys.version}".encode()
    return hashlib.sha256(b"".join([facts, *(one.read_bytes() for one in files)])).hexdigest()[:16]


def _of_task(task: Task) -> Index:
    try:
        samples = task.samples(_ALL)
    except TaskError as error:
        raise DataError(f"The samples of {task.name} cannot be had: {error}") from None
    words = [_words(sample, "") for sample in samples]
    rows = (np.empty((4, 0), np.uint64), *_long(words), *_short(samples, words))
    asked = f"{task.name} {task.fingerprint(samples)}\n"
    return Index(asked, [[task.name, s.id] for s in samples], np.concatenate(rows, axis=1))


def _rows(numbers: Numbers, length: int, begins: Numbers, owner: int) -> Numbers:
    return np.stack([np.full_like(numbers, length), numbers, begins, np.full_like(numbers, owner)])


def _long(samples: Sequence[Numbers]) -> Iterator[Numbers]:
    """The sequences of each sample of 13 words and more."""
    fives = [sequences(words, _SHORT) for words in samples]
    there = np.concatenate([np.empty(0, np.uint64), *(np.unique(one) for one in fives)])
    numbers, counts = np.unique(there, return_counts=True)
    template = numbers[counts >= max(_TEMPLATE_LEAST, len(samples) * _TEMPLATE_SHARE)]
    for place, (words, some) in enumerate(zip(samples, fives, strict=True)):
        if len(words) >= _LONG:
            own, known = np.ones(len(words), np.int64), np.isin(some, template)
            for shift in range(_SHORT):
                own[shift : shift + len(some)][known] = 0
            sums = np.concatenate([[0], np.cumsum(own)])
            enough = sums[_LONG:] - sums[:-_LONG] >= _LEAST_OWN
            found, first = np.unique(sequences(words, _LONG)[enough], return_index=True)
            yield _rows(found, _LONG, some[: len(enough)][enough][first], place)


def _short(samples: Sequence[Sample], words: Sequence[Numbers]) -> Iterator[Numbers]:
    """Of each sample of 5 to 12 words the whole of it, as questions and answers are written."""
    most = max(_TEMPLATE_LEAST, len(samples) * _TEMPLATE_SHARE)
    same = Counter(one.tobytes() for one in words)
    for place, (sample, one) in enumerate(zip(samples, words, strict=True)):
        if _SHORT <= len(one) < _LONG and same[one.tobytes()] < most:
            for between in _BETWEEN:
                whole = _words(sample, between)
                if len(whole) < _LONG:
                    begin = sequences(whole[:_SHORT], _SHORT)
                    yield _rows(sequences(whole, len(whole)), len(whole), begin, place)


def _words(sample: Sample, between: str) -> Numbers:
    """The question's words, of a very long one only the last, with the answer's."""
    target: Any = sample.target
    if sample.choices and isinstance(target, int) and 0 <= target < len(sample.choices):
        target = sample.choices[target]
    if isinstance(target, list) and target:  # of several right answers the first
        target = target[0]
    answer = target if isinstance(target, str) else json.dumps(target, default=str)
    question = shape(sample.prompt).words
    if len(question) > _MOST_WORDS:
        question = question[-_END:]
    after = f"{sample.suffix}" if target is None else f"{between} {answer} {sample.suffix}"
    return np.concatenate([question, shape(after).words])

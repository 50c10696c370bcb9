"""What is in a dataset, in numbers: how much, how long, from where, and how much of it is learnt.

Everything is read once and counted exactly, but tokens: of a dataset with more than 20,000
examples a sample of so many, drawn evenly, is tokenized, and the sum over all follows from
tokens a character in it, with its error.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from workbench.data import _keep as keep
from workbench.data._checks import texts_of
from workbench.data._records import Dataset
from workbench.errors import DataError
from workbench.examples import Example, Template, Tokens, render, template_of, token_counter

_SAMPLE = 20_000
_RENDERED = 2_000  # of them are rendered by a template that an engine applies, or Jinja
_KEYS = 200  # rows of a table; the rest is one row
_BATCH = 256
_REST = "(others)"
_QUANTILES = (0, 10, 25, 50, 75, 90, 95, 99, 100)  # per cent


@dataclass(frozen=True, slots=True)
class Statistics:
    """A dataset's numbers. `error` is the half width of a 95 % interval of `tokens`, 0 where all
    were counted; `quantiles` are lengths in tokens, by per cent; `histogram` has one edge more
    than counts, doubled from bar to bar where lengths differ widely."""

    dataset: str
    form: str
    examples: int
    characters: int
    tokens: int
    error: int
    tokenizer: str
    exact: bool  # whether a tokenizer counted, not an estimate
    sampled: int  # examples whose tokens were counted
    mean: float  # tokens an example
    quantiles: Mapping[str, int]
    histogram: Mapping[str, list[int]]  # edges and counts
    learnt: float | None  # share of the characters that a model reads; None where nothing renders
    by: Mapping[str, Mapping[str, Mapping[str, int]]]  # split, language, kind, licence, host
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def statistics(
    dataset: Dataset, counter: Tokens | None = None, template: Template | None = None
) -> Statistics:
    """The dataset's numbers, with tokens as `counter` counts them (an estimate without one).

    Tokens are those of the example's texts; what a template puts around them is not counted, but is
    part of what `learnt` is a share of. Raises DataError where a file is damaged, EngineError.
    """
    counter = counter or token_counter()
    by: dict[str, dict[str, list[int]]] = {
        name: {} for name in ("split", "language", "kind", "licence", "host")
    }
    lengths: list[int] = []
    characters: list[int] = []
    shares = _Shares(template or template_of())
    waiting: list[str] = []
    total = 0
    for number, (name, example) in enumerate(_all(dataset)):
        texts = list(texts_of(example.fields))
        size = sum(map(len, texts))
        total += size
        for table, key in zip(by.values(), _keys(name, example), strict=True):
            row = table.setdefault(key if key in table or len(table) < _KEYS else _REST, [0, 0])
            row[0], row[1] = row[0] + 1, row[1] + size
        if not _chosen(number, dataset.examples):
            continue
        characters.append(size)
        waiting.append("\n".join(texts))
        shares.add(example)
        if len(waiting) == _BATCH:
            lengths += counter.counts(waiting)
            waiting = []
    lengths += counter.counts(waiting)
    tokens, error = _total(np.array(lengths), np.array(characters), dataset.examples, total)
    notes = [counter.note, *shares.notes()]
    if len(lengths) < dataset.examples:
        notes.append(f"Tokens were counted in {len(lengths)} examples, drawn evenly.")
    return Statistics(
        dataset.label, dataset.form, dataset.examples, dataset.characters, tokens, error,
        counter.name, counter.exact, len(lengths), tokens / max(1, dataset.examples),
        _quantiles(lengths), _histogram(lengths), shares.learnt, _rows(by), tuple(notes),
    )  # fmt: skip


def _all(dataset: Dataset) -> Iterator[tuple[str, Example]]:
    for name in dataset.splits:
        for example in keep.examples(dataset, name):
            yield name, example


def _chosen(number: int, many: int) -> bool:
    """Whether this example is among the sample: every so-maniest, so all of a small dataset."""
    return number * _SAMPLE // many != (number + 1) * _SAMPLE // many if many > _SAMPLE else True


def _keys(name: str, example: Example) -> tuple[str, ...]:
    about = example.about
    try:
        host = urlsplit(str(about.get("address", ""))).hostname or "(files)"
    except ValueError:
        host = "(files)"
    told = (str(about.get(key) or "(unknown)")[:80] for key in ("language", "kind", "licence"))
    return (name, *told, host[:80])


class _Shares:
    """How much of what a model reads is learnt, of the first examples of the sample."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._read = self._learnt = self._tried = 0
        self._told: Counter[str] = Counter()

    def add(self, example: Example) -> None:
        if self._tried >= _RENDERED:
            return
        self._tried += 1
        try:
            found = render(example, self._template)
        except DataError as error:
            self._told[str(error)] += 1
            return
        for one in (found, found.other):
            self._read += len(one.text) if one else 0
            self._learnt += one.learnt if one else 0
        self._told.update(found.notes)

    @property
    def learnt(self) -> float | None:
        return self._learnt / self._read if self._read else None

    def notes(self) -> list[str]:
        """What rendering told most often, with how often."""
        return [
            f"{note} ({many} of {self._tried} examples)" for note, many in self._told.most_common(5)
        ]


def _total(
    tokens: np.ndarray, characters: np.ndarray, all_of_them: int, total: int
) -> tuple[int, int]:
    """All tokens and the half width of their 95 % interval, by the ratio estimator
    (Cochran, Sampling Techniques, 1977, §6.3)."""
    many = len(tokens)
    if many == all_of_them or many < 2 or not characters.sum():
        return int(tokens.sum()), 0
    ratio = tokens.sum() / characters.sum()
    spread = float(np.sqrt(((tokens - ratio * characters) ** 2).sum() / (many - 1)))
    error = 1.96 * all_of_them * spread / math.sqrt(many) * math.sqrt(1 - many / all_of_them)
    return round(float(ratio) * total), math.ceil(error)


def _quantiles(lengths: list[int]) -> dict[str, int]:
    values = np.percentile(lengths or [0], _QUANTILES, method="inverted_cdf").tolist()
    return {str(q): int(value) for q, value in zip(_QUANTILES, values, strict=True)}


def _histogram(lengths: list[int]) -> dict[str, list[int]]:
    """Bars of equal width, or doubled from one to the next where the longest is far off."""
    longest = max(lengths, default=0)
    if longest > 8 * max(1, float(np.median(lengths or [0]))):
        edges = [0, *(2**power for power in range(longest.bit_length() + 1))]
    else:
        step = max(1, math.ceil((longest + 1) / 20))
        edges = [step * number for number in range((longest // step) + 2)]
    counts = np.histogram(lengths, edges)[0]
    return {"edges": edges, "counts": [int(count) for count in counts]}


def _rows(by: Mapping[str, Mapping[str, list[int]]]) -> dict[str, dict[str, dict[str, int]]]:
    """The tables, the largest row first."""
    return {
        name: {
            key: {"examples": row[0], "characters": row[1]}
            for key, row in sorted(table.items(), key=lambda pair: (-pair[1][0], pair[0]))
        }
        for name, table in by.items()
    }

"""How much there is to learn of a dataset, for a base model and settings, as a sample of it tells.

Tokens are counted twice: those that are read, and those that are computed. Batches are filled up to
their longest row, which of rows that are not packed may be most of the work.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.bases import Base
from workbench.data import Dataset
from workbench.learn import (
    VALIDATED,
    Rows,
    Settings,
    encode,
    evaluate_every,
    pack,
    rows_of,
    steps_of,
    template_for,
    tokenizer_of,
)
from workbench.recipes._finetune import Examples, divided
from workbench.recipes._pairs import Pairs, encode_pairs
from workbench.recipes._preferences import VALIDATED as VALIDATED_PAIRS

_SAMPLE = 1000  # examples
_MULTIPLE = 32  # that rows are filled up to (`learn`); pairs are not


@dataclass(frozen=True, slots=True)
class Amount:
    """What there is to learn. A pair of answers is one row, and its tokens are of both."""

    rows: int
    tokens: int  # of an epoch
    computed: int  # of an epoch, with what batches are filled up with
    longest: int  # of a row
    held_out: int  # tokens that it can be validated on
    held_computed: int  # the same as computed
    pairs: bool = False

    def steps(self, settings: Settings) -> int:
        """Updates of the training."""
        return steps_of(self.rows, settings)

    def all_tokens(self, settings: Settings) -> int:
        """Tokens that all updates read."""
        return round(self.tokens / self.rows * self._rows(settings))

    def all_computed(self, settings: Settings) -> int:
        """Tokens that all updates compute."""
        return round(self.computed / self.rows * self._rows(settings))

    def asked(self, settings: Settings) -> int:
        """Tokens that the base model is asked about before: of each pair that is used, once."""
        used = min(self.tokens, self.all_tokens(settings))
        return used + self.held_out if self.pairs else 0

    def validations(self, settings: Settings) -> int:
        """How often it is validated: before the first update, from time to time, in the end."""
        if not self.held_out:
            return 0
        steps = self.steps(settings)
        every = evaluate_every(settings, steps)
        return 1 + steps // every + (steps % every > 0) + self.pairs

    def validated(self, settings: Settings) -> int:
        """Tokens that one validation computes."""
        if not self.held_out or self.pairs:
            return self.held_computed
        every = evaluate_every(settings, self.steps(settings))
        learnt = self.tokens / self.rows * settings.batch * settings.accumulation * every
        least, share, most = VALIDATED
        part = min(1.0, min(most, max(least, share * learnt)) / self.held_out)
        return round(part * self.held_computed)

    def _rows(self, settings: Settings) -> int:
        return settings.batch * settings.accumulation * self.steps(settings)


@dataclass(frozen=True, slots=True)
class Sample:
    """A part of a dataset as it is learnt from; `seconds` is what reading all of it takes."""

    amount: Amount
    learnt: Rows | Pairs
    held_out: Rows | Pairs | None
    tokenizer: Any
    seconds: float


def amount(recipe: str, base: Base, dataset: Dataset, settings: Settings) -> Amount:
    """How much there is to learn, where examples can be packed as asked for. Raises TrainingError,
    DataError."""
    return read_sample(recipe, base, dataset, settings).amount


def read_sample(
    recipe: str, base: Base, dataset: Dataset, settings: Settings, *, packs: bool = True
) -> Sample:
    """Read a sample, and count. Raises TrainingError, DataError."""
    tokenizer = tokenizer_of(base.folder)
    template = template_for(base.folder, tokenizer)
    context = min(settings.context, base.context or settings.context)
    parts = [part for part in divided(dataset) if part]
    some = [_some(part) for part in parts]
    began = time.perf_counter()
    learnt, held_out = _encoded(recipe, some, tokenizer, template, context, settings, packs)
    seconds = time.perf_counter() - began
    share, *others = (len(one) / len(of) for one, of in zip(some, parts, strict=True))
    found = counted(learnt, settings)
    if held_out is not None:
        other, held_share = counted(held_out, settings), 1.0 if found.pairs else others[0]
        found = replace(
            found, held_out=round(other.tokens / held_share),
            held_computed=round(other.computed / held_share),
        )  # fmt: skip
    whole = replace(
        found, rows=round(found.rows / share), tokens=round(found.tokens / share),
        computed=round(found.computed / share),
    )  # fmt: skip
    read = sum(map(len, some))
    return Sample(whole, learnt, held_out, tokenizer, seconds * sum(map(len, parts)) / read)


def _encoded(
    recipe: str,
    some: Sequence[Examples],
    tokenizer: Any,
    template: Any,
    context: int,
    settings: Settings,
    packs: bool,
) -> tuple[Rows | Pairs, Rows | Pairs | None]:
    """What is learnt and what is held out."""
    if recipe == "preferences":
        pairs, *held = (encode_pairs(part, tokenizer, template, context) for part in some)
        for one in held:
            del one.pairs[VALIDATED_PAIRS:]
        return pairs, held[0] if held else None
    encoded, *others = (encode(part, tokenizer, template, context) for part in some)
    rows = rows_of(encoded, settings, context, packs)
    if not others:
        return rows, None
    kept = pack(others[0], context) if rows.packed else [[n] for n in range(len(others[0]))]
    return rows, Rows(others[0], kept, packed=rows.packed)


def counted(found: Rows | Pairs, settings: Settings) -> Amount:
    """What is in these rows or pairs, in the order in which they are learnt."""
    lengths, order = lengths_of(found), order_of(found, settings)
    batches = [order[at : at + settings.batch] for at in range(0, len(order), settings.batch)]
    total = sum(computed(found, batch, lengths) for batch in batches)
    if isinstance(found, Pairs):
        tokens = sum(len(ids) for pair in found.pairs for ids, _ in pair)
        return Amount(len(found), tokens, total, 2 * max(lengths), 0, 0, pairs=True)
    return Amount(len(found.rows), sum(lengths), total, max(lengths), 0, 0)


def lengths_of(found: Rows | Pairs) -> list[int]:
    """Tokens of each row, or of the longer side of each pair."""
    if isinstance(found, Pairs):
        return found.lengths
    lengths = found.encoded.lengths
    return [int(lengths[row].sum()) for row in found.rows]


def order_of(found: Rows | Pairs, settings: Settings) -> list[int]:
    """The numbers of the rows, as the first epoch has them; what is held out has no batch."""
    if isinstance(found, Pairs):
        return found.order(len(found), settings.seed)
    return [int(n) for n in (found.drawn(0) if found.total else range(len(found.rows)))]


def computed(found: Rows | Pairs, batch: Sequence[int], lengths: Sequence[int]) -> int:
    """Tokens that a batch computes."""
    longest = max(lengths[n] for n in batch)
    if isinstance(found, Pairs):
        return 2 * len(batch) * longest
    return len(batch) * -(-longest // _MULTIPLE) * _MULTIPLE


def _some(examples: Examples) -> Examples:
    """A sample of the examples."""
    if len(examples) <= _SAMPLE:
        return examples
    places = sorted(random.Random(0).sample(range(len(examples)), _SAMPLE))  # noqa: S311
    return replace(examples, numbers=[examples.numbers[place] for place in places])

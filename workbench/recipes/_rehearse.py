"""A training in small, before it begins: how much there is to learn, and a few of its updates.

It is the training itself (`_core`, `_preferences`) on a sample of the examples. The first update
has the longest rows, since they decide how much memory is taken.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from workbench.bases import Base
from workbench.data import Dataset
from workbench.examples import Example
from workbench.jobs import JobContext
from workbench.learn import (
    VALIDATED,
    Curve,
    Rows,
    Settings,
    chosen_precision,
    encode,
    evaluate_every,
    learn,
    load_network,
    rows_of,
    steps_of,
    template_for,
    tokenizer_of,
)
from workbench.recipes._finetune import divided
from workbench.recipes._pairs import Pairs, encode_pairs
from workbench.work import use_cores

_SAMPLE = 1000  # examples
Told = Callable[[int, float], None]  # tokens and seconds of an update


@dataclass(frozen=True, slots=True)
class Amount:
    """What a dataset is for a base model and settings, as far as a sample tells. Tokens are those
    that are read, without padding; a pair of answers is one row, and its tokens are of both."""

    rows: int
    tokens: int  # of an epoch
    longest: int  # of a row
    held_out: int  # tokens that it can be validated on

    def steps(self, settings: Settings) -> int:
        """Updates of the training."""
        return steps_of(self.rows, settings)

    def all_tokens(self, settings: Settings) -> int:
        """Tokens of all updates."""
        update = settings.batch * settings.accumulation
        return round(self.tokens / self.rows * update * self.steps(settings))

    def validated(self, settings: Settings) -> int:
        """Tokens of all validations."""
        every = evaluate_every(settings, self.steps(settings))
        learnt = self.tokens / self.rows * settings.batch * settings.accumulation * every
        times = 2 + (self.steps(settings) - 1) // every  # the first is before the first update
        least, share, most = VALIDATED
        return round(times * min(self.held_out, most, max(least, share * learnt)))


def amount(recipe: str, base: Base, dataset: Dataset, settings: Settings) -> Amount:
    """How much there is to learn, where examples can be packed as asked for. Raises TrainingError,
    DataError."""
    return _read(recipe, base, dataset, settings)[0]


def rehearse(
    recipe: str,
    base: Base,
    dataset: Dataset,
    settings: Settings,
    *,
    steps: int,
    folder: Path,
    begun: Callable[[Amount, str, str], None],
    told: Told,
) -> None:
    """Make so many updates. `begun` is told the amount, the precision and the device before the
    first, `told` what each took. Checkpoints go to `folder`. Raises TrainingError, DataError."""
    use_cores()
    precision = chosen_precision(base.folder, settings)
    network = load_network(base.folder, settings, precision)
    found, sample, tokenizer = _read(recipe, base, dataset, settings, packs=network.packs)
    job, curve = JobContext("rehearsal", folder), _Telling(precision=precision)
    curve.told = told
    short = replace(settings, max_steps=steps, patience=None)
    update = settings.batch * settings.accumulation
    begun(found, precision, network.device)
    if isinstance(sample, Rows):
        lengths = [sum(sample.encoded.lengths[row]) for row in sample.rows]
        sample.total = steps * update
        sample.order = 0, _longest_first(lengths, sample.drawn(0), update)
        learn(job, folder, network, sample, None, short, curve)
        return
    from workbench.recipes._preferences import _Learning

    run: Any = SimpleNamespace(folder=folder)
    learning = _Learning(job, run, network, short, curve, sample, None)
    learning.steps = steps
    learning.order = _longest_first(
        sample.lengths, sample.order(steps * update, settings.seed), update
    )[: steps * update]
    learning.learn(tokenizer)


class _Telling(Curve):
    """A curve that says what each update took."""

    told: Told

    def add(self, loss: float, tokens: int, seconds: float) -> None:
        super().add(loss, tokens, seconds)
        self.told(tokens, seconds)


def _read(
    recipe: str, base: Base, dataset: Dataset, settings: Settings, *, packs: bool = True
) -> tuple[Amount, Rows | Pairs, Any]:
    """The amount, a sample as it is learnt from, and the tokenizer."""
    tokenizer = tokenizer_of(base.folder)
    template = template_for(base.folder, tokenizer)
    context = min(settings.context, base.context or settings.context)
    learnt, held_out = divided(dataset)
    some, share = _some(learnt)
    others, other_share = _some(held_out)
    if recipe == "preferences":
        pairs, *rest = (
            encode_pairs(part, tokenizer, template, context) for part in (some, others) if part
        )
        told = [sum(len(ids) for pair in p.pairs for ids, _ in pair) for p in (pairs, *rest)]
        held = round(sum(told[1:]) / other_share)
        found = Amount(
            round(len(pairs) / share), round(told[0] / share), 2 * max(pairs.lengths), held
        )
        return found, pairs, tokenizer
    encoded = encode(some, tokenizer, template, context)
    rows = rows_of(encoded, settings, context, packs)
    held = round(len(held_out) / max(1, len(learnt)) * encoded.counts.tokens / share)
    longest = max(int(encoded.lengths[row].sum()) for row in rows.rows)
    count, tokens = round(len(rows.rows) / share), round(encoded.counts.tokens / share)
    return Amount(count, tokens, longest, held), rows, tokenizer


def _some(examples: list[Example]) -> tuple[list[Example], float]:
    """A sample of the examples, and the share of all that it is."""
    if len(examples) <= _SAMPLE:
        return examples, 1.0
    return random.Random(0).sample(examples, _SAMPLE), _SAMPLE / len(examples)  # noqa: S311


def _longest_first(lengths: Any, order: Any, count: int) -> list[int]:
    """The order after the `count` longest, which it has once more."""
    import numpy as np

    return [*map(int, np.argsort(-np.asarray(lengths), kind="stable")[:count]), *map(int, order)]

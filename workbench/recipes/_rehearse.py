"""A training in small, before it begins: every part of it once, and a few of its updates.

It is the training itself (`learn`, `_preferences`, `_finetune.write_model`) on a sample of the
examples. The first update has the longest rows, since they decide how much memory is taken; the
others are drawn evenly over all sizes that updates have. Validations look at a part only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from workbench.bases import Base
from workbench.data import Dataset
from workbench.jobs import JobContext
from workbench.learn import Curve, Network, Rows, Settings, chosen_precision, learn, load_network
from workbench.recipes._amount import (
    Sample,
    computed,
    counted,
    lengths_of,
    order_of,
    read_sample,
)
from workbench.recipes._finetune import write_model
from workbench.recipes._pairs import Pairs
from workbench.recipes._preferences import Learning
from workbench.work import use_cores

_AGAIN = 4  # updates between two validations
_LOOKED = 4_000  # tokens of one; less than `learn.VALIDATED` has at least, so that all are read
_LARGEST = 6_000_000_000  # bytes of weights that are still written
Tell = Callable[..., None]  # of facts by name


class _Telling(Curve):
    """A curve that says what each update took, and notes when it was. No dataclass: what it knows
    more belongs in no checkpoint."""

    tell: Tell
    enough: Callable[[int, float], bool]
    stop: Path  # made when there were enough
    sizes: list[int]  # tokens computed, of each update
    updates: list[tuple[float, float]]  # begin and end

    def add(self, loss: float, tokens: int, seconds: float) -> None:
        super().add(loss, tokens, seconds)
        now = time.perf_counter()
        self.updates.append((now - seconds, now))
        self.tell(computed=self.sizes[self.step - 1], seconds=seconds)
        if self.enough(self.step, sum(end - begin for begin, end in self.updates)):
            self.stop.touch()

    def pauses(self) -> dict[int, float]:
        """Seconds between an update, by its number, and the next one."""
        later = self.updates[1:]
        return {n: b - self.updates[n - 1][1] for n, (b, _) in enumerate(later, 1)}


class _HeldOut(Rows):
    """Held-out rows that note when they were looked at first."""

    looked: float | None = None

    def row(self, number: int) -> Any:
        self.looked = self.looked or time.perf_counter()
        return super().row(number)


def rehearse(
    recipe: str,
    base: Base,
    dataset: Dataset,
    settings: Settings,
    *,
    most: int,
    enough: Callable[[int, float], bool],
    folder: Path,
    since: float,
    tell: Tell,
) -> None:
    """Make updates until there are `most`, or `enough` of them by their number and seconds, and
    write the model to `folder`. `since` is when the process was started, in seconds since the
    epoch. Raises TrainingError, DataError.

    `tell` hears in turn: `amount`, `precision`, `device` and `reading` (seconds of all data); of
    each update the tokens `computed` and its `seconds`; `start` (seconds of what comes before, but
    for the data), `saving` (of a checkpoint), `looking` and `asking` (of a token that is validated,
    and that the base is asked about); `writing` of the model. What was not seen is 0.
    """
    use_cores()
    precision = chosen_precision(base.folder, settings)
    network = load_network(base.folder, settings, precision)
    loaded = time.time() - since
    sample = read_sample(recipe, base, dataset, settings, packs=network.packs)
    tell(
        amount=asdict(sample.amount), precision=precision, device=network.device,
        reading=sample.seconds,
    )  # fmt: skip
    began = time.perf_counter()
    order, sizes = _updates(sample, settings, most)
    curve = _Telling(precision=precision)
    curve.tell, curve.enough, curve.stop = tell, enough, folder / "stop"
    curve.sizes, curve.updates = sizes, []
    short = replace(
        settings, max_steps=most, patience=None, evaluate_every=_AGAIN, checkpoint_every=None
    )
    learnt = _learnt(sample, order, folder, network, short, curve, base.digest)
    first, last = curve.updates[0][0], curve.updates[-1][1]
    looked, pauses = learnt.looked or first, curve.pauses()
    looks = [seconds for number, seconds in pauses.items() if number % _AGAIN == 0]
    tell(
        start=loaded + looked - began - learnt.asking, saving=pauses.get(1, 0.0),
        looking=min([first - looked, *looks]) / learnt.size, asking=learnt.asking / learnt.asked,
    )  # fmt: skip
    if 4 * base.parameters <= _LARGEST:
        run: Any = SimpleNamespace(folder=folder)  # all that is asked of a training
        write_model(run, network, settings, base, sample.tokenizer)
        tell(writing=time.perf_counter() - last)


@dataclass(frozen=True)
class _Learnt:
    """What was seen beside the updates."""

    looked: float | None  # when the first validation began
    size: int  # tokens that a validation computed
    asking: float = 0.0  # seconds
    asked: int = 1  # tokens


def _learnt(
    sample: Sample,
    order: list[int],
    folder: Path,
    network: Network,
    settings: Settings,
    curve: Curve,
    digest: str,
) -> _Learnt:
    """Learn from the sample's rows in this order."""
    job, learnt, kept = JobContext("rehearsal", folder), sample.learnt, sample.held_out
    some = None if kept is None else _some(kept, settings)
    size = 1 if some is None else counted(some, settings).computed
    if isinstance(learnt, Rows):
        rows = replace(learnt, rows=[learnt.rows[n] for n in order], total=len(order))
        rows.order = 0, range(len(order))
        held_out = None
        if isinstance(some, Rows):
            held_out = _HeldOut(some.encoded, some.rows, packed=some.packed)
        learn(job, folder, network, rows, held_out, settings, curve)
        return _Learnt(None if held_out is None else held_out.looked, size)
    others = some if isinstance(some, Pairs) else None
    learning = Learning(job, folder, network, settings, curve, learnt, others, digest)
    learning.order = order
    learning.steps = len(order) // (settings.batch * settings.accumulation)
    learning.learn(sample.tokenizer)
    pairs = [learnt.pairs[n] for n in set(order)] + (others.pairs if others else [])
    asked = sum(len(ids) for pair in pairs for ids, _ in pair)
    return _Learnt(learning.looked, size, learning.asking, asked)


def _updates(sample: Sample, settings: Settings, most: int) -> tuple[list[int], list[int]]:
    """The rows of `most` updates in their order, and the tokens that each update computes."""
    lengths, order = lengths_of(sample.learnt), order_of(sample.learnt, settings)
    batch, update = settings.batch, settings.batch * settings.accumulation
    order = [order[n % len(order)] for n in range(max(update, len(order)))]

    def size(rows: list[int]) -> int:
        batches = (rows[at : at + batch] for at in range(0, update, batch))
        return sum(computed(sample.learnt, one, lengths) for one in batches)

    found = sorted(
        (order[at : at + update] for at in range(0, len(order) - update + 1, update)), key=size
    )
    longest = sorted(order, key=lengths.__getitem__)[-update:]
    # each has a size of its own, as far as there are: freed memory fits the next size seldom
    chosen = [longest, *(found[int(len(found) * _place(n))] for n in range(1, most))]
    return [n for rows in chosen for n in rows], [size(rows) for rows in chosen]


def _place(number: int) -> float:
    """Where the next of many goes between 0 and 1, the numbers from 1 on even at any time (van der
    Corput's sequence in base 2)."""
    place, share = 0.0, 0.5
    while number:
        place, share, number = place + share * (number & 1), share / 2, number >> 1
    return place


def _some(held_out: Rows | Pairs, settings: Settings) -> Rows | Pairs:
    """The longest of the held-out rows, and of the others as many as are looked at."""
    lengths = lengths_of(held_out)
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    order = [*order[: settings.batch], *sorted(order[settings.batch :])]
    each = 2 if isinstance(held_out, Pairs) else 1
    before = [each * total for total in accumulate((lengths[n] for n in order), initial=0)]
    chosen = [n for n, total in zip(order, before, strict=False) if total <= _LOOKED]
    if isinstance(held_out, Pairs):
        return Pairs([held_out.pairs[n] for n in chosen], held_out.counts)
    return replace(held_out, rows=[held_out.rows[n] for n in chosen])

"""What a training will take, before its start: time, memory and disk, with intervals.

    price("finetune", settings, base, dataset)      # tries a few steps, the first time
    price(..., measure=False)                       # at once: from what is known

Memory is guessed from the model's shape first (`_memory`). What is far beyond this machine is
refused by that alone; all else is tried: the training in small, of this base with these settings,
in a process of its own (`_probe`), whose time and memory take the guess's place. Earlier trainings
then correct both (`_history`). The time is that of the recipe, from the start of its process to the
model on the disk; what follows (export, checks, comparison) is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.fit import fingerprint
from workbench.hardware import disk_free
from workbench.price._history import Value, corrected
from workbench.price._raw import Raw, gigabytes
from workbench.settings import home

if TYPE_CHECKING:
    from workbench.bases import Base
    from workbench.data import Dataset
    from workbench.learn import Settings
    from workbench.pretrain import BaseSettings

# how far off seconds and memory may be before earlier trainings tell it, by `Raw.how`; where it was
# tried, somewhat more than trainings were that were made for it (docs/benchmarks/training.md).
_DOUBTS = {
    "tried": ((0.75, 1.35), (0.93, 1.12)),
    "like": ((0.5, 2.0), (0.8, 1.4)),
    "guessed": ((0.3, 3.0), (0.7, 1.4)),
}


@dataclass(frozen=True, slots=True)
class Price:
    """A training's price. Seconds and bytes; `tokens` are those read in all epochs.

    `predicted` is what the next price is corrected by: the values before any correction.
    """

    seconds: float
    seconds_low: float
    seconds_high: float
    memory: int
    memory_low: int
    memory_high: int
    disk: int
    steps: int
    tokens: int
    fits: bool
    why: str  # in words, how it fits or why it cannot
    instead: tuple[str, ...]  # what would fit; nothing where it fits
    basis: str  # where the numbers come from
    predicted: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "instead": list(self.instead)}


def price(
    recipe: str,
    settings: Settings | BaseSettings,
    base: Base | None,
    dataset: Dataset,
    *,
    measure: bool = True,
) -> Price:
    """The price of a training. `measure=False` tries no steps, so that it answers at once.

    Raises TrainingError, DataError.
    """
    if base is None:
        from workbench.price._price_base import raw_base

        return tagged(raw_base(settings, dataset, measure))  # type: ignore[arg-type]
    from workbench.price._price_recipe import raw_recipe

    return tagged(raw_recipe(recipe, settings, base, dataset, measure))  # type: ignore[arg-type]


def tagged(raw: Raw) -> Price:
    """The price with its intervals, and whether this machine can pay it."""
    of_time, of_memory = _DOUBTS[raw.how]
    time = corrected("seconds", raw.learning, kind=raw.kind, doubt=of_time)
    taken = corrected("memory", raw.memory, kind=raw.kind, doubt=of_memory)
    fits, why = _verdict(raw, taken)
    slower = time.value / raw.learning  # what comes before and after is as slow
    around = raw.around * slower
    return Price(
        round(time.value + around, 1), round(time.low + around * time.low / time.value, 1),
        round(time.high + around * time.high / time.value, 1),
        round(taken.value), round(taken.low), round(taken.high),
        raw.disk, raw.steps, raw.tokens, fits, why, () if fits else raw.instead,
        f"{raw.basis}{_corrections(time)}",
        {
            "seconds": raw.learning, "memory": raw.memory, "steps": raw.steps, "kind": raw.kind,
            "machine": fingerprint(),
        },
    )  # fmt: skip


def _verdict(raw: Raw, taken: Value) -> tuple[bool, str]:
    """Whether it fits, in words."""
    total, available, disk = raw.total, raw.free, raw.disk
    free = disk_free(home())
    if taken.value > total:
        return False, (
            f"This training needs about {gigabytes(taken.value)} of memory, and this machine has "
            f"{gigabytes(total)}."
        )
    if taken.value > available:
        return False, (
            f"This training needs about {gigabytes(taken.value)} of memory, of which "
            f"{gigabytes(available)} are free: other programs, or models in the engine, hold the "
            "rest. End what is not needed."
        )
    if 0 < free < disk:
        return False, (
            f"This training writes about {gigabytes(disk)}, and {home()} has {gigabytes(free)} "
            "free. Make room, or set WORKBENCH_HOME to a folder on a larger disk."
        )
    if taken.high > available:
        return True, (
            f"It may be tight: up to {gigabytes(taken.high)} of memory, and "
            f"{gigabytes(available)} are free."
        )
    return True, f"It fits: {gigabytes(taken.value)} of {gigabytes(available)} of free memory."


def _corrections(time: Value) -> str:
    if not time.trainings:
        return ""
    return f", corrected by {time.trainings} earlier training{'s' * (time.trainings != 1)}"

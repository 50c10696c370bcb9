"""The questions of a study: of all tasks of a suite, so mixed that any first part is fair.

At each place comes the task that is furthest behind its share of the weights, so that of the first
n questions each task has its share to within one question. Trials are measured on first parts of
one list: they are paired, and a longer part only adds to a shorter one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from workbench.errors import TuneError
from workbench.scorers import Sample
from workbench.tasks import Task, find_any

MOST = 20_000  # questions of a study


@dataclass(frozen=True, slots=True)
class Question:
    """One sample of one task. `key` tells it from all others, `weight` is its task's."""

    task: Task
    sample: Sample
    key: str
    weight: float = 1.0

    @property
    def group(self) -> str:
        """Which samples it is related to; itself where there are none."""
        return self.sample.group or self.sample.id


def questions(suite: str, *, seed: int, count: int | None = None) -> tuple[Question, ...]:
    """The first `count` questions of this seed; None: as many as the tasks want of each.

    A suite that has fewer gives all that it has. Raises TaskError, and TuneError for counts that
    make no sense.
    """
    if count is not None and not 1 <= count <= MOST:
        raise TuneError(f"A study asks between 1 and {MOST:,} questions, not {count:,}.")
    found = find_any(suite)
    weighed = [(t, w) for t, w in zip(found.tasks, found.weights, strict=True) if w > 0]
    pools = [list(task.samples(count, seed)) for task, _ in weighed]
    whole, taken = sum(weight for _, weight in weighed), [0] * len(pools)
    mixed: list[Question] = []
    while len(mixed) < (MOST if count is None else count):
        left = [place for place, pool in enumerate(pools) if taken[place] < len(pool)]
        if not left:
            break
        behind = {p: (taken[p] + 0.5) * whole / weighed[p][1] for p in left}
        place = min(left, key=lambda p: (behind[p], p))
        task, weight = weighed[place]
        sample = pools[place][taken[place]]
        taken[place] += 1
        mixed.append(Question(task, sample, _key(task, sample, seed), weight))
    if not mixed:
        raise TuneError(f"The suite {found.title} has no questions: nothing can be measured.")
    return tuple(mixed)


def _key(task: Task, sample: Sample, seed: int) -> str:
    text = json.dumps([task.name, task.fingerprint([sample]), seed])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]

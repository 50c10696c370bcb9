"""What a task is made of: how its samples come about, how answers are scored; suites of tasks.

All records are frozen. A task does not hold its samples: it makes them for a seed, so that nobody
can have learnt them by heart, and the same seed gives the same samples on every machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.scorers import Mode, Sample, ScorerUse


@dataclass(frozen=True, slots=True)
class Task:
    """Questions of one kind and how their answers are scored. The first scorer's value counts."""

    name: str
    title: str
    mode: Mode
    scorers: tuple[ScorerUse, ...]
    make: Callable[[int], Sequence[Sample]] = field(compare=False, repr=False)  # seed → all samples
    description: str = ""
    system: str = ""
    shots: tuple[tuple[str, str], ...] = ()  # questions and answers that come before each prompt
    options: Mapping[str, Any] = field(
        default_factory=dict
    )  # for the engine; temperature 0 unless set
    count: int = 100  # samples of a run that says nothing
    source: str = ""  # who wrote the samples, under which licence
    file: str = ""  # where the task was read from

    def samples(self, limit: int | None = None, seed: int = 0) -> tuple[Sample, ...]:
        """The first `limit` samples (None: the task's own count) of this seed."""
        return tuple(self.make(seed))[: self.count if limit is None else limit]

    def fingerprint(self, samples: Sequence[Sample]) -> str:
        """SHA-256 of all that decides what is asked and how it is scored."""
        facts = {
            "mode": self.mode,
            "scorers": [[use.name, dict(use.options)] for use in self.scorers],
            "system": self.system,
            "shots": self.shots,
            "options": dict(self.options),
            "samples": [
                [s.id, s.prompt, s.target, s.choices, s.suffix, dict(s.more)] for s in samples
            ],
        }
        text = json.dumps(facts, sort_keys=True, ensure_ascii=False, default=str)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Suite:
    """Tasks with their weights; a suite's score is the weighted mean of its tasks' scores."""

    name: str
    title: str
    tasks: tuple[Task, ...]
    weights: tuple[float, ...]
    description: str = ""
    domain: str = ""  # health, legal, finance, development, or none
    file: str = ""

"""What is kept of a search: the study, its trials. How far a study is tells its job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from workbench.types import Json

if TYPE_CHECKING:
    from workbench.space import Point, Space
    from workbench.trial import Measured

StudyState = Literal["created", "running", "paused", "done", "failed"]
TrialState = Literal["running", "done", "pruned", "failed", "repeated"]


@dataclass(frozen=True, slots=True)
class Study:
    """A search for better settings of one model on one suite, as it was when it was read.

    `settings`: seed, samples (questions of a full trial), held_out (questions of the confirmation),
    iterations, minutes, memory_bytes (None: no limit), workers, warm_start, engine, judge.
    `result`, once there: `best` and `front` (numbers of trials), `confirmed` (see `tune._confirm`),
    `words`, `applied` (name → trial), `notes`, `error`.
    """

    id: str
    number: int
    name: str
    model: str
    digest: str
    suite: str
    space: Space
    strategy: str
    objectives: tuple[str, ...]
    settings: Mapping[str, Any]
    state: StudyState
    jobs: tuple[str, ...]  # of the latest start, one for each worker
    result: Json
    created_at: datetime
    ended_at: datetime | None

    @property
    def job(self) -> str:
        """The first worker's job; "" before the start."""
        return self.jobs[0] if self.jobs else ""

    @property
    def label(self) -> str:
        """For people: its name and the beginning of its id."""
        return f"{self.name} [{self.id[:4]}]"


@dataclass(frozen=True, slots=True)
class Trial:
    """One point and what came of it. `values` are the objectives', in the study's order; of a
    pruned trial those of the questions that it was asked."""

    number: int
    state: TrialState
    point: Point
    measured: Measured | None
    values: tuple[float, ...] | None
    seconds: float
    why: str = ""  # it was tried, ended early, failed
    started_at: datetime | None = None
    steps: Mapping[int, float] = field(default_factory=dict)  # questions asked → first objective
    repeats: int | None = None  # the trial that had this point before

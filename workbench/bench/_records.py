"""What is kept of a measurement: the plan, the run, its answers, and what comes out of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from workbench.scorers import Sample
from workbench.statistics import Interval
from workbench.tasks import Task
from workbench.types import Json

RunState = Literal["running", "done", "failed", "stopped"]
How = Literal["asked", "generative", "likelihood"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a model. Two runs compare task by task where the same samples were asked.

    `options` are the engine's (num_ctx, temperature …) and overrule the tasks' own. `seed` 0 asks
    the samples that everybody sees; any other makes new ones, which nobody can have learnt.
    `only` are the samples that are asked of those, as `task/id`; none: all of them.
    """

    model: str
    suite: str  # a suite's name, or the path of a suite's or a task's file
    limit: int | None = None  # samples of each task; None: as many as each task wants
    seed: int = 0
    options: Json = field(default_factory=dict)
    parallel: int = 0  # requests at once; 0: as many as the engine has slots, 4 where unknown
    speed: bool = False  # measure speed, memory and energy as well
    judge: str = ""  # the model that grades what no rule can
    embedder: str = ""  # the model that tells how alike two texts are
    name: str = ""  # for people; made up where empty
    only: tuple[str, ...] = ()

    def samples(self, task: Task) -> tuple[Sample, ...]:
        """What is asked of this task."""
        found = task.samples(self.limit, self.seed)
        return tuple(s for s in found if not self.only or f"{task.name}/{s.id}" in self.only)


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement of one model on one suite."""

    id: str
    number: int
    name: str
    model: str
    digest: str
    suite: str
    state: RunState
    plan: Json
    tasks: tuple[Json, ...]  # name, title, weight, mode, count, fingerprint, how, refused
    facts: Json  # engine, version, options in effect, machine, load
    canary: Json | None
    speed: Json | None
    error: str | None
    created_at: datetime
    ended_at: datetime | None
    job: str = ""

    @property
    def seed(self) -> int:
        """Of its samples."""
        return int(self.plan.get("seed", 0))

    @property
    def setting(self) -> str:
        """The options that differ from the model's own, in words."""
        options = self.plan.get("options") or {}
        return ", ".join(f"{name} {value}" for name, value in sorted(options.items()))

    @property
    def label(self) -> str:
        """Model and setting, as a row's head."""
        return f"{self.model} ({self.setting})" if self.setting else self.model


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, with all that is needed to score it again. Seconds and tokens in `figures`."""

    task: str
    sample: str
    position: int
    about: Json  # prompt, target, choices, suffix, group, more
    how: How
    output: str = ""
    thinking: str = ""
    figures: Json = field(default_factory=dict)
    value: float | None = None
    scores: Json = field(default_factory=dict)
    error: str | None = None

    @property
    def group(self) -> str:
        """Which samples it is related to; itself where there are none."""
        return str(self.about.get("group") or self.sample)


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What a run says of one task."""

    task: str
    title: str
    weight: float
    mode: str
    how: How
    metric: str  # the scorer that counts
    score: Interval | None  # None: nothing could be scored
    answered: int
    unscored: int  # answers that no scorer could judge, and questions without an answer
    refused: str = ""  # why it was not asked at all
    fingerprint: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)  # means of further figures


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run with its figures."""

    run: Run
    tasks: tuple[TaskResult, ...]
    score: Interval | None  # weighted mean of the tasks that were scored
    seconds_per_answer: float | None  # median
    tokens_per_second: float | None  # generation, median over the answers
    first_token: float | None  # seconds, median
    prompt_speed: float | None  # tokens per second, median
    memory: int | None  # bytes, the process's peak where it is known

    @property
    def quality_per_gb(self) -> float | None:
        """Score per GB of memory."""
        value = None if self.score is None else self.score.value
        return None if value is None or not self.memory else value / (self.memory / 1e9)

    @property
    def joules_per_token(self) -> float | None:
        """Energy per generated token, where the machine can tell."""
        value = (self.run.speed or {}).get("joules_per_token")
        return float(value) if isinstance(value, int | float) else None

"""What a guided update is: its steps in order, how each went, what it is to change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from workbench.errors import ReleaseError

STEPS = ("pull", "smoke", "suite", "reembed", "switch", "validate", "record")
TITLES: Mapping[str, str] = {
    "pull": "Get the models",
    "smoke": "Try them",
    "suite": "Measure them",
    "reembed": "Embed the texts anew",
    "switch": "Take them into use",
    "validate": "Check what is in use",
    "record": "Write it down",
}
StepState = Literal["waiting", "running", "done", "skipped", "failed"]
State = Literal["waiting", "running", "done", "failed", "stopped", "undone"]
Gate = Literal["not worse", "better", "none"]
GATES: tuple[Gate, ...] = get_args(Gate)
ENDED: tuple[StepState, ...] = ("done", "skipped")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an update. `words` say what it will do, does, or has shown."""

    name: str
    title: str
    state: StepState = "waiting"
    words: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """A guided update as it was when it was read."""

    id: str
    number: int
    job: str
    version: str  # that it makes
    before: str  # in use when it began; "" for none
    plan: Mapping[str, Any]
    steps: tuple[Step, ...]
    state: State  # failed: a gate said no, or it could not be done; what was in use is in use
    error: str | None  # why it failed or stopped
    created_at: datetime
    ended_at: datetime | None

    def step(self, name: str) -> Step:
        """The step of this name."""
        return next(one for one in self.steps if one.name == name)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The roles that get another model."""
        return tuple(Change(**one) for one in self.plan.get("changes") or ())

    @property
    def switched(self) -> bool:
        """Whether its release was taken into use, by itself or not."""
        return self.step("switch").state == "done"

    @property
    def label(self) -> str:
        """It in a few words."""
        models = ", ".join(f"{one.role} → {one.model}" for one in self.changes)
        return f"{self.version}: {models}"


@dataclass(frozen=True, slots=True)
class Change:
    """One role that gets another model. Digests are bare hex; "" is not known yet."""

    role: str
    model: str
    digest: str  # "" for one that is pulled first
    pull: bool
    embedding: bool  # whether it is looked at as a model that makes vectors
    before_model: str  # "" for a role that is new
    before_digest: str

    @property
    def same_version(self) -> bool:
        """Whether it is only another name of the model that has the role."""
        return bool(self.digest) and self.digest == self.before_digest


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended."""

    words: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    state: StepState = "done"


class GateClosed(ReleaseError):
    """A gate said no: the update ends, and nothing was changed. `evidence` says why."""

    def __init__(self, message: str, evidence: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.evidence = evidence

"""How a training goes: what has been seen so far, and what there is to say about it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

_RECENT = 20  # steps that the reported loss is the mean of
_WORSE, _STILL = 1.15, 0.005  # of the lowest loss: it runs away, it stands still
_EVALUATIONS = 3  # in a row that are not better, before something is said


@dataclass
class Curve:
    """All that a checkpoint keeps besides weights and the optimizer's state."""

    precision: str = "fp32"
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0  # of updates alone, over all attempts
    recent: list[float] = field(default_factory=list)  # losses of the last steps
    lowest: float | None = None  # mean of `_RECENT` losses
    validations: list[tuple[int, float]] = field(default_factory=list)  # step, loss
    accuracy: float | None = None  # of the last validation
    peak_memory: int = 0  # bytes
    kept: int | None = None  # the step whose weights were taken in the end, where not the last
    ended: str = ""  # done, stopped, early; "" while it goes on

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Curve:
        """From `to_json`."""
        found = cls(**facts)
        found.validations = [(int(step), float(loss)) for step, loss in found.validations]
        return found

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def train_loss(self) -> float:
        """Mean of the last steps, in nats per learnt token."""
        return sum(self.recent) / len(self.recent) if self.recent else math.nan

    @property
    def validation_loss(self) -> float:
        """The last one, or that of the weights that were taken, in nats per learnt token."""
        if self.kept is not None:
            return dict(self.validations)[self.kept]
        return self.validations[-1][1] if self.validations else math.nan

    @property
    def best(self) -> tuple[int, float] | None:
        """Step and loss of the best validation since the base model's own."""
        learnt = [one for one in self.validations if one[0] > 0]
        return min(learnt, key=lambda one: one[1], default=None)

    @property
    def since_best(self) -> int:
        """Validations after the best one."""
        best = self.best
        return 0 if best is None else sum(step > best[0] for step, _ in self.validations)

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds else 0.0

    def add(self, loss: float, tokens: int, seconds: float) -> None:
        """One update more."""
        self.step, self.tokens = self.step + 1, self.tokens + tokens
        self.seconds += seconds
        self.recent = [*self.recent[1 - _RECENT :], loss]
        if len(self.recent) == _RECENT:
            self.lowest = min(self.train_loss, self.lowest or math.inf)

    def remark(self) -> str:
        """What a person should know, in a sentence; "" where all goes well."""
        if self.lowest is not None and self.train_loss > _WORSE * self.lowest + 0.1:
            return (
                f"The loss runs away: {self.train_loss:.2f} after {self.lowest:.2f}. Stop, and "
                "try a lower learning rate."
            )
        best = self.best
        if best is None or self.since_best < _EVALUATIONS:
            return ""
        if best[1] >= dict(self.validations).get(0, math.inf):
            return (
                "The validation loss is no lower than the base model's, "
                f"{self.validations[0][1]:.2f}. Try another learning rate, or look at the data."
            )
        later = [loss for step, loss in self.validations if step > best[0]]
        if later[-1] > best[1] * (1 + _STILL):
            return (
                f"The validation loss rises since step {best[0]}: the examples are learnt by "
                "heart. Stop and save, or train for fewer epochs."
            )
        return f"The validation loss has not fallen since step {best[0]}."

"""What decides a starter model's weights, checked before any work is done."""

from __future__ import annotations

import math
from dataclasses import dataclass

from workbench.errors import TrainingError
from workbench.pretrain import SMALLEST_VOCABULARY

_RANGES = {
    "steps": (1, 10_000_000),
    "depth": (1, 48),
    "vocab_size": (SMALLEST_VOCABULARY, 65_536),
    "context": (64, 8192),
    "seed": (0, 2**32 - 1),
    "files": (2, 1_000_000),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The arguments of `build_starter` that the weights depend on."""

    minutes: float = 3.0  # for all of it, from the call to the first answers
    steps: int | None = None  # instead of minutes: exactly so many updates
    depth: int = 3  # layers
    vocab_size: int = 4096
    context: int = 512  # tokens that the model can look at
    seed: int = 0
    precision: str = "auto"  # "fp32", "bf16", or the quicker one here
    corpus: str | None = None  # a folder of Python files; None: the standard library
    files: int | None = None  # only so many of them

    def __post_init__(self) -> None:
        """Refuse what makes no sense, with the range that does."""
        number = isinstance(self.minutes, int | float) and not isinstance(self.minutes, bool)
        if not number or not math.isfinite(self.minutes) or self.minutes <= 0:
            raise TrainingError(f"minutes must be more than 0, not {self.minutes!r}. Try 3.")
        if self.precision not in {"auto", "fp32", "bf16"}:
            raise TrainingError(f"precision must be auto, fp32 or bf16, not {self.precision!r}.")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is None and name in {"steps", "files"}:
                continue
            if type(value) is not int or not low <= value <= high:
                raise TrainingError(
                    f"{name} must be a whole number from {low} to {high}, not {value!r}."
                )

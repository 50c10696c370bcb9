"""What a training from a base model can be told, and the limits of each."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from workbench.errors import TrainingError
from workbench.gguf import QUANTISATIONS
from workbench.texts import nearest

_CHOICES: Mapping[str, tuple[Any, ...]] = {
    "method": ("lora", "qlora", "full"),
    "schedule": ("cosine", "linear", "constant"),
    "precision": ("auto", "fp32", "bf16"),
    "gradient_checkpointing": ("auto", True, False),
    "packing": (True, False),
}
_WHOLE = {
    "batch": (1, 1024),
    "accumulation": (1, 1024),
    "max_steps": (1, 10_000_000),
    "warmup_steps": (0, 1_000_000),
    "context": (16, 1 << 20),
    "rank": (1, 1024),
    "seed": (0, 2**32 - 1),
    "evaluate_every": (1, 1_000_000),
    "checkpoint_every": (1, 1_000_000),
    "patience": (1, 1000),
}
_OPTIONAL = {"max_steps", "evaluate_every", "checkpoint_every", "patience"}
_REAL = {
    "learning_rate": (1e-9, 1.0),
    "epochs": (0.001, 1000),
    "weight_decay": (0.0, 1.0),
    "clip": (0.001, 1000),
    "alpha": (0.01, 4096),
    "dropout": (0.0, 0.9),
    "beta": (0.001, 10),
}
_MODULE = re.compile(r"[A-Za-z0-9_.]{1,128}")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of fine-tuning and of learning preferences; TrainingError for what makes no
    sense. Counts of steps are updates of the weights: `batch * accumulation` examples or rows each.
    """

    method: str = "lora"  # qlora: LoRA on weights held in 4 bits; full: all weights are trained
    learning_rate: float = 2e-4
    batch: int = 4  # rows in memory at once
    accumulation: int = 1  # batches per update
    epochs: float = 3.0
    max_steps: int | None = None  # ends the training before its epochs do
    warmup_steps: int = 10  # see `warmup`
    weight_decay: float = 0.0
    clip: float = 1.0  # the gradients' largest norm
    schedule: str = "cosine"
    context: int = 1024  # tokens in a row; never more than the base model can look at
    packing: bool = True  # several short examples in a row
    rank: int = 16
    alpha: float = 32.0  # the adapter counts alpha / rank times
    dropout: float = 0.0  # on the adapter's input
    targets: str | tuple[str, ...] = "all-linear"  # or names of layers, such as q_proj
    seed: int = 0
    precision: str = "auto"  # the quicker one here
    evaluate_every: int | None = None  # steps; None: about ten times in all
    checkpoint_every: int | None = None  # steps; None: by time
    patience: int | None = None  # evaluations without a better loss before it stops; None: never
    beta: float = 0.1  # preferences: how dear it is to leave the base model
    gradient_checkpointing: str | bool = "auto"  # less memory, a third more time
    quantization: tuple[str, ...] = ("Q8_0",)  # kinds of GGUF file, the first one is deployed

    def __post_init__(self) -> None:
        """Refuse what makes no sense, with the range that does."""
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if not any(type(value) is type(one) and value == one for one in choices):
                words = ", ".join(str(one).lower() for one in choices)
                raise TrainingError(f"{name} must be one of {words}, not {_shown(value)}.")
        for name, (low, high) in _WHOLE.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if type(value) is not int or not low <= value <= high:
                raise TrainingError(
                    f"{name} must be a whole number from {low} to {high}, not {_shown(value)}."
                )
        for name, (least, most) in _REAL.items():
            object.__setattr__(self, name, _real(name, getattr(self, name), least, most))
        object.__setattr__(self, "targets", _targets(self.targets))
        object.__setattr__(self, "quantization", _kinds(self.quantization))

    @property
    def adapter(self) -> bool:
        """Whether an adapter is trained and the base model's weights stay as they are."""
        return self.method != "full"

    def warmup(self, steps: int) -> int:
        """Updates in which the learning rate rises, of a training of `steps`: at most half of
        them, because otherwise a short training would end before it has learnt at full rate."""
        return min(self.warmup_steps, steps // 2)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, which `settings_of` reads back."""
        found = asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in found.items()}


def checked(given: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """The mapping, when all of its names are settings'. Raises TrainingError with the nearest."""
    known = [one.name for one in fields(Settings)]
    for name in given:
        if name not in known:
            raise TrainingError(f"{where}There is no setting {_shown(name)}.{nearest(name, known)}")
    return dict(given)


def _real(name: str, value: Any, low: float, high: float) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:
        raise TrainingError(
            f"{name} must be a number from {low:g} to {high:g}, not {_shown(value)}."
        )
    return float(value)


def _targets(value: Any) -> str | tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    right = isinstance(names, list | tuple) and 0 < len(names) <= 64
    if not right or not all(isinstance(n, str) and _MODULE.fullmatch(n) for n in _less(names)):
        raise TrainingError(
            f"targets must be all-linear or names of layers, such as q_proj, not {_shown(value)}."
        )
    return "all-linear" if "all-linear" in names else tuple(names)


def _less(names: Any) -> list[Any]:
    """`all-linear` is no name of a layer, but the word for all of them."""
    return [one for one in names if one != "all-linear"]


def _kinds(value: Any) -> tuple[str, ...]:
    kinds = [value] if isinstance(value, str) else value
    if not isinstance(kinds, list | tuple) or not kinds:
        raise TrainingError(f"quantization must name kinds of GGUF file, not {_shown(value)}.")
    found = tuple(dict.fromkeys(str(kind)[:80].upper() for kind in kinds))
    for kind in found:
        if kind not in QUANTISATIONS:
            raise TrainingError(
                f"There is no kind of GGUF file {kind!r}.{nearest(kind, QUANTISATIONS)}"
            )
    return found


def _shown(value: Any) -> str:
    """A value of others in a sentence: never pages of it."""
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"

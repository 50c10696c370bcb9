"""A price before it is corrected by earlier trainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# bits of a weight in a file, where it is not 16
_BITS = {"F32": 32.0, "Q8_0": 8.5, "Q6_K": 6.6, "Q5": 5.7, "Q4": 4.9, "Q3": 4.0, "Q2": 3.4}
GUESSED_SPEED = 2e10  # operations a second and core, where nothing could be tried
HOPELESS = 0.6  # of the guess: where this is more than the machine has, nothing is tried
_CHECKPOINTS = 3  # two that stay and one that is being written
_LEAST = 20 << 20  # bytes: tokenizers, records, a small model's vocabulary


@dataclass(frozen=True, slots=True)
class Raw:
    """Numbers before they are corrected, and what they rest on. Seconds, bytes."""

    kind: str  # trainings of one kind correct each other: "finetune lora auto"
    learning: float  # seconds of the updates
    around: float  # seconds of reading, loading, validating, writing
    memory: int
    disk: int
    steps: int
    tokens: int
    basis: str
    how: str  # "tried" just so, "like" something that was tried, "guessed" from the shape
    free: int  # memory
    total: int
    instead: tuple[str, ...] = ()


def disk_of(parameters: int, kinds: Sequence[str], learnt: int) -> int:
    """Bytes that a training and its export write: checkpoints (weights and what the optimiser
    keeps), the model, its GGUF files, and the copy of the first in the engine."""
    bits = [_bits(kind) for kind in kinds]
    files = 32 + 16 + sum(bits) + bits[0]
    return round(_LEAST + _CHECKPOINTS * 12 * learnt + files / 8 * parameters)


def _bits(kind: str) -> float:
    return next((bits for name, bits in _BITS.items() if kind.startswith(name)), 16.0)


def gigabytes(size: float) -> str:
    """A size in GB, or in MB below one."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"

"""In which precision this machine multiplies sooner, and how much it multiplies in a second.

A processor without AVX-512 only emulates bf16, and slowly: two matrices of 2,048 rows took one
of them 55 s, where fp32 took 0.2. So nothing large is tried before something small was quick.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

PRECISIONS = ("fp32", "bf16")
_ROUNDS = 3  # the first one warms up, and the quickest one counts: others wait for somebody
_GAIN = 1.1  # by which bf16 has to be quicker: it also rounds
_EMULATED = 3.0  # times as long as in fp32
_SMALLEST, _MANY = 256, 20  # rows of a matrix; rounds of it, since it is over in a moment
_LONG = 0.1  # seconds of a product, after which a larger one would tell no more


def quicker_precision(step: Callable[[str], object]) -> str:
    """ "bf16" or "fp32", in whichever `step` ends sooner. Where the processor only emulates bf16,
    as a small product tells, `step` is not tried at all."""
    longer = _longer(_product(_SMALLEST, PRECISIONS), _MANY)
    if longer < _EMULATED:
        longer = _longer(step, _ROUNDS)
    return "bf16" if longer * _GAIN < 1 else "fp32"


def matmul_peak(precision: str, device: str = "cpu") -> float:
    """Floating-point operations a second of a large matrix product in "fp32" or "bf16", as this
    process runs it now: what a training step can reach at most. Takes about a second."""
    best, side, largest = 0.0, _SMALLEST, 2048 if device == "cpu" else 8192
    while side <= largest:
        spent = _quickest(_product(side, [precision], device), precision, _ROUNDS)
        best = max(best, 2.0 * side**3 / spent)
        side = largest + 1 if spent > _LONG else 2 * side
    return best


def _longer(step: Callable[[str], object], rounds: int) -> float:
    """How many times as long `step` takes in bf16."""
    plain, short = (_quickest(step, precision, rounds) for precision in PRECISIONS)
    return short / plain


def _quickest(step: Callable[[str], object], precision: str, rounds: int) -> float:
    """Seconds of the quickest round."""
    spent = []
    for _ in range(rounds):
        began = time.perf_counter()
        step(precision)
        spent.append(time.perf_counter() - began)
    return max(min(spent), 1e-9)


def _product(side: int, precisions: Sequence[str], device: str = "cpu") -> Callable[[str], object]:
    """Multiply a square matrix by itself, in one of `precisions`, and wait for the device."""
    import torch

    one = torch.rand(side, side, device=device)
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    kept = {precision: one.to(kinds[precision]) for precision in precisions}
    return lambda precision: torch.mm(kept[precision], kept[precision])[0, 0].item()

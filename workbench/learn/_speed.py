"""What this machine does in a second, measured shortly, and what a token costs."""

from __future__ import annotations

import time
from typing import Any

_ROUNDS = 5  # the quickest round counts: others wait for somebody
_ROWS = 512  # about what a step multiplies with each matrix
_GAIN = 1.1  # by which bf16 has to be quicker: it also rounds


def device_name() -> str:
    """ "cuda", "mps" or "cpu": where models are trained on this machine."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def quicker_precision(width: int, inner: int) -> str:
    """ "bf16" or "fp32", whichever multiplies a model's matrices sooner here: some processors only
    emulate bf16."""
    import torch

    device = device_name()
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device != "cpu":
        return "fp32"
    plain, short = (_seconds(_ROWS, width, inner, kind) for kind in ("fp32", "bf16"))
    return "bf16" if plain > _GAIN * short else "fp32"


def _seconds(rows: int, width: int, inner: int, precision: str) -> float:
    """The shortest time of (rows, width) times (width, inner)."""
    import torch

    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left = torch.ones(rows, width, dtype=kind)
    right = torch.ones(width, inner, dtype=kind)
    spent = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        torch.mm(left, right)
        spent.append(time.perf_counter() - began)
    return max(min(spent), 1e-9)


def token_operations(network: Any, length: float) -> float:
    """Operations that learning one token takes, without any that are done twice.

    2 for each weight forward, 2 for the gradient of what goes in, 2 for that of the weight where it
    is trained; attention looks at half of a sequence of `length` tokens.
    """
    embedding = network.get_input_embeddings().weight
    head = network.get_output_embeddings().weight
    matrices = {id(w): w for w in network.parameters() if w.ndim == 2}
    if embedding is not head:  # it is looked up, not multiplied
        matrices.pop(id(embedding), None)
    total = sum((6 if w.requires_grad else 4) * w.numel() for w in matrices.values())
    config = network.config
    return float(total + 6 * config.num_hidden_layers * config.hidden_size * length)

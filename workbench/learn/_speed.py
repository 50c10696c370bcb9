"""What this machine does in a second, measured shortly, and what a token costs."""

from __future__ import annotations

from typing import Any

from workbench.precision import quicker_precision

_ROWS = 512  # about what a step multiplies with each matrix


def device_name() -> str:
    """ "cuda", "mps" or "cpu": where models are trained on this machine."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def matrix_precision(width: int, inner: int) -> str:
    """ "bf16" or "fp32", whichever multiplies a model's matrices sooner here."""
    import torch

    device = device_name()
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device != "cpu":
        return "fp32"
    plain = torch.ones(_ROWS, width), torch.ones(width, inner)
    pairs = {"fp32": plain, "bf16": tuple(one.to(torch.bfloat16) for one in plain)}
    return quicker_precision(lambda precision: torch.mm(*pairs[precision]))


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

"""Muon for the matrices inside the network, AdamW for embeddings and norms.

Muon (Keller Jordan, 2024) makes each update of a matrix orthogonal, by Newton and Schulz's
iteration. In the same three minutes it reached 3.69 nats where AdamW alone reached 4.11
(docs/starter.md). This is the rule of `torch.optim.Muon`, with two differences that matter on a
processor: matrices of one shape go through together, and in fp32 where bf16 is only emulated
(there, PyTorch's took over 7 s for each step).

The schedule follows the share of the budget that is spent, be it time or steps, so that it
always ends at zero: a short warm-up, then a straight line down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, dtype
    from transformers import LlamaForCausalLM

MATRIX_RATE, OTHER_RATE = 0.02, 0.005
_WARM_UP = 0.03  # share of the budget
_MOMENTUM, _BETAS, _CLIP = 0.95, (0.9, 0.95), 1.0
_QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan's: steepest at zero; ends near 1, not at it
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Updates:
    """By which rule weights change, and how far at most."""

    optimizer: str = "muon"  # or "adamw", for matrices as well
    rate: float = MATRIX_RATE  # of the matrices inside
    other_rate: float = OTHER_RATE  # of embeddings and norms
    decay: float = 0.1  # of the matrices inside


class Optimizers:
    """Both as one, with clipping. Gradients are cleared after each step."""

    def __init__(self, model: LlamaForCausalLM, updates: Updates | None = None) -> None:
        import torch

        self._updates = updates or Updates()
        rest: list[Tensor] = []
        inside: list[Tensor] = []
        for name, weight in model.named_parameters():
            (inside if weight.ndim == 2 and "embed" not in name else rest).append(weight)
        self._shapes: dict[tuple[int, ...], list[Tensor]] = {}  # matrices of one shape
        groups = [{"params": rest, "weight_decay": 0.0, "highest": self._updates.other_rate}]
        if self._updates.optimizer == "muon":
            for weight in inside:
                self._shapes.setdefault(tuple(weight.shape), []).append(weight)
        else:
            decay = {"weight_decay": self._updates.decay, "highest": self._updates.rate}
            groups.append({"params": inside, **decay})
        self._momenta = [torch.zeros(len(ws), *shape) for shape, ws in self._shapes.items()]
        self._adam = torch.optim.AdamW(groups, OTHER_RATE, _BETAS, fused=True)
        self._all = list(model.parameters())

    def step(self, rate: float, precision: str) -> None:
        """Update with `rate` (0 to 1) times the highest learning rates."""
        import torch

        torch.nn.utils.clip_grad_norm_(self._all, _CLIP)
        kind = torch.bfloat16 if precision == "bf16" else torch.float32
        with torch.no_grad():
            for weights, momentum in zip(self._shapes.values(), self._momenta, strict=True):
                _muon(weights, momentum, rate * self._updates.rate, self._updates.decay, kind)
        for group in self._adam.param_groups:
            group["lr"] = rate * group["highest"]
        self._adam.step()
        for weight in self._all:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"momenta": self._momenta, "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        for momentum, kept in zip(self._momenta, state["momenta"], strict=True):
            momentum.copy_(kept)
        self._adam.load_state_dict(state["adam"])


def _muon(weights: list[Tensor], momentum: Tensor, rate: float, decay: float, kind: dtype) -> None:
    """One update of matrices of one shape; `momentum` is theirs, stacked."""
    import torch

    gradient = torch.stack([weight.grad for weight in weights if weight.grad is not None])
    momentum.lerp_(gradient, 1 - _MOMENTUM)
    updates = orthogonal(gradient.lerp(momentum, _MOMENTUM), kind)  # Nesterov's look ahead
    rows, columns = weights[0].shape
    scaled = rate * math.sqrt(max(1.0, rows / columns))
    for weight, update in zip(weights, updates, strict=True):
        weight.mul_(1 - rate * decay).add_(update, alpha=-scaled)


def orthogonal(matrices: Tensor, kind: dtype) -> Tensor:
    """Each of `matrices` (n, rows, columns) with all its singular values brought near 1."""
    import torch

    a, b, c = _QUINTIC
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).to(kind)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(_ROUNDS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).float()


def learning_rate(share: float) -> float:
    """The learning rate as a part of the highest, when `share` of the budget is spent."""
    return max(0.0, min((share + 1e-3) / _WARM_UP, 1.0 - share, 1.0))

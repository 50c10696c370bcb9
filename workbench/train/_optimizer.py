"""Muon for the matrices inside the network, AdamW for embeddings and norms.

Muon (Keller Jordan, 2024; `torch.optim.Muon`) makes each update of a matrix orthogonal. On the
same three minutes it reached a validation loss that AdamW alone needed several times as many
tokens for (docs/starter.md). The schedule follows the share of the budget that is spent, be it
time or steps, so that it always ends at zero: a short warm-up, then a straight line down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from transformers import LlamaForCausalLM

MATRIX_RATE, OTHER_RATE = 0.02, 0.005
_WARM_UP = 0.03  # share of the budget
_DECAY, _MOMENTUM, _BETAS, _CLIP = 0.1, 0.95, (0.9, 0.95), 1.0


class Optimizers:
    """Both optimizers as one. `step` clips, updates and clears the gradients."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        import torch

        inside = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
        taken = {id(parameter) for parameter in inside}
        rest = [p for p in model.parameters() if id(p) not in taken]
        self._parameters = [*inside, *rest]
        self._pair: list[Optimizer] = [
            torch.optim.Muon(
                inside,
                lr=MATRIX_RATE,
                weight_decay=_DECAY,
                momentum=_MOMENTUM,
                adjust_lr_fn="original",
            ),
            torch.optim.AdamW(rest, lr=OTHER_RATE, betas=_BETAS, weight_decay=0.0, fused=True),
        ]

    def step(self, rate: float) -> None:
        """Update with `rate` (0 to 1) times the highest learning rates."""
        from torch.nn.utils import clip_grad_norm_

        clip_grad_norm_(self._parameters, _CLIP)
        for optimizer, highest in zip(self._pair, (MATRIX_RATE, OTHER_RATE), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * highest
            optimizer.step()
            optimizer.zero_grad()

    def state_dict(self) -> list[dict[str, Any]]:
        """What a checkpoint keeps."""
        return [optimizer.state_dict() for optimizer in self._pair]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Go on from `state_dict()`."""
        for optimizer, state in zip(self._pair, states, strict=True):
            optimizer.load_state_dict(state)


def learning_rate(share: float) -> float:
    """The learning rate as a part of the highest, when `share` of the budget is spent."""
    return max(0.0, min((share + 1e-3) / _WARM_UP, 1.0 - share, 1.0))

"""The loss of a language model, its logits a few at a time, with the gradient along with it.

Logits are the largest thing in a training step: 4,096 tokens of a vocabulary of 150,000 are 2.5 GB
in fp32, and the usual way holds them several times over. Here they never exist as a whole, nor in
fp32 while it learns, and nothing is computed twice.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_LOGITS = 1 << 23  # at a time
_PIECES = 64


class BlockwiseLoss(torch.autograd.Function):  # type: ignore[misc]
    """Summed cross-entropy in nats of hidden states (n, width) with a head (vocabulary, width), but
    for those whose target is negative; `learning` says whether a gradient is wanted, `correct` how
    many best guesses are right where it is not."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, learning: bool
    ) -> tuple[Tensor, Tensor]:
        wanted = [learning and one for one in ctx.needs_input_grad[:2]]
        head = weight.to(hidden.dtype)
        total, correct = hidden.new_zeros((), dtype=torch.float32), targets.new_zeros(())
        to_hidden = torch.empty_like(hidden) if wanted[0] else None
        to_weight = torch.zeros_like(weight, dtype=torch.float32) if wanted[1] else None
        size = max(64, _LOGITS // len(head))
        for start in range(0, len(hidden), size):
            part, answer = hidden[start : start + size], targets[start : start + size, None]
            known, answer = answer >= 0, answer.clamp(min=0)
            logits = part @ head.T
            if not learning:
                correct += ((logits.argmax(1, keepdim=True) == answer) & known).sum()
                logits = logits.float()  # what is compared later is not rounded further
            highest = logits.amax(1, keepdim=True)
            right = logits.gather(1, answer).float()
            powers = logits.sub_(highest).exp_()
            norm = _row_sums(powers)
            total += ((norm.log() + highest.float() - right) * known).sum()
            if not any(wanted):
                continue
            inverse = (known / norm).to(part.dtype)
            if to_hidden is not None:
                found = torch.mm(powers, head).mul_(inverse)
                to_hidden[start : start + size] = found.sub_(head[answer[:, 0]] * known)
            if to_weight is not None:
                to_weight += powers.T @ (part * inverse)
                to_weight.index_add_(0, answer[:, 0], (part * known).float(), alpha=-1)
        ctx.save_for_backward(to_hidden, to_weight)
        ctx.kind = weight.dtype
        ctx.mark_non_differentiable(correct)
        return total, correct

    @staticmethod
    def backward(ctx: Any, slope: Tensor, _: Tensor) -> tuple[Any, Any, None, None]:
        to_hidden, to_weight = ctx.saved_tensors
        return (
            None if to_hidden is None else to_hidden * slope.to(to_hidden.dtype),
            None if to_weight is None else (to_weight * slope).to(ctx.kind),
            None,
            None,
        )


def _row_sums(powers: Tensor) -> Tensor:
    """(n, 1), fp32. Pieces are summed first: one sum rounded to bf16 would be off by 0.4 %."""
    rest = powers.shape[1] % _PIECES
    whole = powers[:, : powers.shape[1] - rest]
    sums = whole.view(len(powers), _PIECES, -1).sum(2).float().sum(1, keepdim=True)
    return sums + powers[:, powers.shape[1] - rest :].float().sum(1, keepdim=True)

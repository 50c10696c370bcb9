"""The loss of a causal language model, with logits of learnt tokens only, a few at a time.

Logits are the largest thing in a training step: 4,096 tokens of a vocabulary of 150,000 are 2.5 GB
in fp32, and the usual way holds them several times over. Here the gradient is computed with the
loss, block by block, so they never exist as a whole, and nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from workbench.learn._rows import IGNORED

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK = 1 << 24  # logits at a time: 64 MB in fp32
_MULTIPLE = 64  # of learnt tokens: see `_rows`
# what networks do to their logits afterwards; they are then asked themselves
_AFTER = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier")


def lean(causal: Any, device: str, precision: str) -> bool:
    """Give the network a `forward` that answers `{"loss", "correct"}` for `input_ids`, `labels`
    (the next tokens, as they are predicted) and `position_ids`.

    The loss is the sum in nats, `correct` the number of best guesses that are right. Returns
    whether logits are saved; where the network's own head does more than multiply, they are not.
    """
    import torch

    backbone: Any = getattr(causal, causal.base_model_prefix, None)
    head: Any = causal.get_output_embeddings()
    plain = type(causal).forward
    saved = backbone is not None and _only_multiplies(causal, backbone, head, plain)
    kind = torch.bfloat16 if precision == "bf16" else None
    most = getattr(causal.config, "max_position_embeddings", None)

    def forward(
        input_ids: Tensor, labels: Tensor, position_ids: Tensor | None = None, **_: Any
    ) -> dict[str, Tensor]:
        input_ids, labels = input_ids[:, :most], labels[:, :most]  # what is beyond is padding
        given: dict[str, Any] = {"input_ids": input_ids, "use_cache": False}
        if position_ids is not None:
            given["position_ids"] = position_ids[:, :most]
        learnt = labels != IGNORED
        with torch.autocast(device, torch.bfloat16, enabled=kind is not None):
            if saved:
                hidden = backbone(**given).last_hidden_state[learnt]
            else:
                logits = plain(causal, **given).logits[learnt]
        if saved:
            hidden = hidden if kind is None else hidden.to(kind)
            loss, correct = _saved(hidden, head.weight, labels[learnt])
        else:
            loss, correct = _summed(logits.float(), labels[learnt])
        return {"loss": loss, "correct": correct}

    causal.forward = forward
    return saved


def _only_multiplies(causal: Any, backbone: Any, head: Any, plain: Callable[..., Any]) -> bool:
    """Whether logits are the hidden states times the head's weights and nothing else."""
    import torch

    if type(head) is not torch.nn.Linear or head.bias is not None:
        return False
    if any(getattr(causal.config, name, None) not in (None, 1, 1.0) for name in _AFTER):
        return False
    ids = torch.arange(1, 9, device=head.weight.device)[None] % causal.config.vocab_size
    was = causal.training
    causal.eval()
    try:
        with torch.no_grad():
            wanted = plain(causal, input_ids=ids, use_cache=False).logits
            found = head(backbone(input_ids=ids, use_cache=False).last_hidden_state)
    finally:
        causal.train(was)
    same: bool = wanted.shape == found.shape and torch.allclose(wanted, found, rtol=1e-5, atol=1e-5)
    return same


def _saved(hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    from torch import is_grad_enabled
    from torch.nn.functional import pad

    spare = -len(hidden) % _MULTIPLE
    targets = pad(targets, (0, spare), value=IGNORED)
    found: tuple[Tensor, Tensor] = _blockwise().apply(
        pad(hidden, (0, 0, 0, spare)), weight, targets, is_grad_enabled()
    )
    return found


def _summed(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    from torch.nn.functional import cross_entropy

    loss = cross_entropy(logits, targets, reduction="sum")
    return loss, (logits.detach().argmax(-1) == targets).sum()


def _slope(logits: Tensor, norm: Tensor, answer: Tensor, known: Tensor) -> Tensor:
    """Softmax minus one at the answer, in the logits' own memory; 0 for what is not learnt."""
    slope = logits.sub_(norm).exp_()
    slope.scatter_add_(-1, answer, slope.new_full(answer.shape, -1.0))
    return slope.mul_(known)


@cache
def _blockwise() -> Any:
    """The loss as a function with a gradient of its own (defined late: it needs PyTorch)."""
    import torch

    class BlockwiseLoss(torch.autograd.Function):  # type: ignore[misc]
        """Summed cross-entropy of hidden states (n, width) with weights (vocabulary, width), but
        for those whose target is IGNORED."""

        @staticmethod
        def forward(
            ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, learning: bool
        ) -> tuple[Tensor, Tensor]:
            wanted = [learning and one for one in ctx.needs_input_grad[:2]]
            used = weight.to(hidden.dtype)
            total = hidden.new_zeros((), dtype=torch.float32)
            correct = targets.new_zeros(())
            to_hidden = torch.empty_like(hidden) if wanted[0] else None
            to_weight = torch.zeros_like(weight, dtype=torch.float32) if wanted[1] else None
            size = max(64, _BLOCK // weight.shape[0])
            for start in range(0, len(hidden), size):
                part, answer = hidden[start : start + size], targets[start : start + size, None]
                known = answer != IGNORED
                answer = answer.clamp(min=0)
                logits = (part @ used.T).float()
                if not any(wanted):
                    correct += ((logits.argmax(-1, keepdim=True) == answer) & known).sum()
                norm = logits.logsumexp(-1, keepdim=True)
                total += ((norm - logits.gather(-1, answer)) * known).sum()
                if any(wanted):
                    slope = _slope(logits, norm, answer, known).to(hidden.dtype)
                    if to_hidden is not None:
                        torch.matmul(slope, used, out=to_hidden[start : start + size])
                    if to_weight is not None:
                        to_weight += slope.T @ part
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

    return BlockwiseLoss

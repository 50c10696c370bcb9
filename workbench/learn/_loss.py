"""The loss of a causal language model, with logits of learnt tokens only, a few at a time.

Logits are the largest thing in a training step: 4,096 tokens of a vocabulary of 150,000 are 2.5 GB
in fp32, and the usual way holds them several times over. Here the gradient is computed with the
loss, block by block, so they never exist as a whole, and nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench.learn._rows import IGNORED

if TYPE_CHECKING:
    from torch import Tensor

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

    from workbench.fused import BlockwiseLoss

    spare = -len(hidden) % _MULTIPLE
    targets = pad(targets, (0, spare), value=IGNORED)
    found: tuple[Tensor, Tensor] = BlockwiseLoss.apply(
        pad(hidden, (0, 0, 0, spare)), weight, targets, is_grad_enabled()
    )
    return found


def _summed(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    from torch.nn.functional import cross_entropy

    loss = cross_entropy(logits, targets, reduction="sum")
    return loss, (logits.detach().argmax(-1) == targets).sum()

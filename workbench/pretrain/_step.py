"""The quick way to a step's gradients: products in bf16, weights and what layers add to in fp32.

The network is the model's own, computed from its weights with the operations of `workbench.fused`.
Weights of norms are multiplied into the matrices that follow, in fp32, before those are rounded;
autograd brings the gradients back to the originals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.precision import PRECISIONS, quicker_precision

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import LlamaForCausalLM

_TOKENS = 4096  # that go through together: more do not stay in the processor's memory


class Step:
    """Forward and backward of batches. The gradients end in `model`, whose weights stay fp32."""

    def __init__(self, model: LlamaForCausalLM, precision: str) -> None:
        import torch

        self._model = model
        self._tables: dict[int, tuple[Tensor, Tensor]] = {}
        self._kind = torch.bfloat16 if precision == "bf16" else torch.float32

    def learn(self, batch: Tensor) -> float:
        """The mean loss of rows (count, context + 1) in nats per token."""
        total = 0.0
        for part in batch.split(max(1, _TOKENS // (batch.shape[1] - 1))):
            loss = self._loss(part) * (len(part) / len(batch))
            loss.backward()
            total += float(loss.detach())
        return total

    def _loss(self, rows: Tensor) -> Tensor:
        from torch.nn import functional

        from workbench.fused import BlockwiseLoss, Normed, attention

        model, config, kind = self._model.model, self._model.config, self._kind
        heads, shared = config.num_attention_heads, config.num_key_value_heads
        ids, eps = rows[:, :-1], config.rms_norm_eps
        tables = self._positions(ids.shape[1])
        x = model.embed_tokens(ids)
        for layer in model.layers:
            into, out, gate, up, down = self._matrices(layer)
            y = Normed.apply(x, None, eps, kind)
            found = attention(functional.linear(y, into), *tables, heads, shared)
            x = x + functional.linear(found, out)
            y = Normed.apply(x, None, eps, kind)
            inner = functional.silu(functional.linear(y, gate)) * functional.linear(y, up)
            x = x + functional.linear(inner, down)
        head = (self._model.lm_head.weight * model.norm.weight).to(kind)
        hidden, targets = Normed.apply(x, None, eps, kind).flatten(0, 1), rows[:, 1:].flatten()
        loss: Tensor = BlockwiseLoss.apply(hidden, head, targets, True)[0] / len(targets)
        return loss

    def _matrices(self, layer: Any) -> tuple[Tensor, ...]:
        """Of a layer: into attention (queries scaled, keys, values), out of it, gate, up, down."""
        import torch

        attention, inner, kind = layer.self_attn, layer.mlp, self._kind
        query = attention.q_proj.weight * attention.head_dim**-0.5
        into = torch.cat((query, attention.k_proj.weight, attention.v_proj.weight))
        norm = layer.post_attention_layernorm.weight
        return (
            (into * layer.input_layernorm.weight).to(kind),
            attention.o_proj.weight.to(kind),
            (inner.gate_proj.weight * norm).to(kind),
            (inner.up_proj.weight * norm).to(kind),
            inner.down_proj.weight.to(kind),
        )

    def _positions(self, tokens: int) -> tuple[Tensor, Tensor]:
        """cos and sin of each position (tokens, size), the first half of sin negative."""
        import torch

        if tokens not in self._tables:
            numbers = torch.arange(tokens)[None]
            cos, sin = self._model.model.rotary_emb(torch.zeros(1), numbers)
            sin = torch.cat((-sin[0, :, : sin.shape[2] // 2], sin[0, :, sin.shape[2] // 2 :]), 1)
            self._tables[tokens] = (cos[0].to(self._kind), sin.to(self._kind))
        return self._tables[tokens]


def step_precision(model: LlamaForCausalLM, batch: Tensor) -> str:
    """ "bf16" or "fp32", whichever does a step sooner here."""
    steps = {precision: Step(model, precision) for precision in PRECISIONS}
    quicker = quicker_precision(lambda precision: steps[precision].learn(batch))
    model.zero_grad()
    return quicker

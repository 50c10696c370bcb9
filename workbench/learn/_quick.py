"""Layers computed from a few large operations (`workbench.fused`), where that is their meaning.

Llama's layer is that of Mistral, Qwen 2 and Qwen 3, too, with biases or norms of queries and keys.
Its parts stay where they are and keep their names; only how it computes is replaced, and only on a
processor: graphics cards have operations of their own. What was replaced is tried on a short row;
where the answer is not the same, or the layer is another one, the network stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.learn._adapter import Beside

if TYPE_CHECKING:
    from torch import Tensor, dtype

_KNOWN = ("llama", "mistral", "qwen2", "qwen3")  # modules of Transformers
_OFF = 0.03  # of an answer: the most that other rounding may change
_TRIED = 12  # tokens


def quicken(causal: Any, precision: str) -> bool:
    """Compute the layers of this network the quick way. Returns whether it is done."""
    import torch

    backbone: Any = getattr(causal, causal.base_model_prefix, None)
    layers = getattr(backbone, "layers", ())
    if causal.device.type != "cpu" or not len(layers) or not all(map(_known, layers)):
        return False
    was = causal.training
    causal.eval()
    ids = torch.arange(3, 3 + _TRIED)[None] % causal.config.vocab_size
    shared = _Shared()
    plain, changed = last_states(backbone, ids, precision), [backbone.norm, *layers]
    backbone.norm.forward = _Norm(backbone.norm)
    for layer in layers:
        layer.forward = _Layer(layer, shared)
    off = torch.dist(last_states(backbone, ids, precision), plain)
    same = bool(off <= _OFF * plain.norm())
    for module in () if same else changed:
        del module.forward
    causal.train(was)
    return same


def _known(layer: Any) -> bool:
    module = type(layer).__module__
    return (
        any(module == f"transformers.models.{name}.modeling_{name}" for name in _KNOWN)
        and type(layer).__name__.endswith("DecoderLayer")
        and layer.self_attn.config._attn_implementation == "sdpa"
        and not layer.self_attn.attention_dropout
        and layer.self_attn.config.hidden_act == "silu"
    )


def last_states(
    backbone: Any, ids: Tensor, precision: str, positions: Tensor | None = None
) -> Tensor:
    """What comes out of the last layer, computed as in a training of this precision."""
    import torch

    short = torch.autocast(ids.device.type, torch.bfloat16, enabled=precision == "bf16")
    with torch.no_grad(), short:
        found = backbone(input_ids=ids, position_ids=positions, use_cache=False)
    states: Tensor = found.last_hidden_state.float()
    return states


def _kind(weight: Tensor) -> dtype:
    """What products are computed in now."""
    import torch

    short = torch.is_autocast_enabled("cpu")
    return torch.get_autocast_dtype("cpu") if short else weight.dtype


class _Norm:
    """A norm, as the matrices behind it want it."""

    def __init__(self, norm: Any) -> None:
        self._norm = norm

    def __call__(self, hidden_states: Tensor) -> Tensor:
        from workbench.fused import Normed

        weight, eps = self._norm.weight, self._norm.variance_epsilon
        found: Tensor = Normed.apply(hidden_states, weight, eps, _kind(weight))
        return found


class _Layer:
    """The forward pass of one layer."""

    def __init__(self, layer: Any, shared: _Shared) -> None:
        self._plain, self._shared = layer.forward, shared
        self._attention, self._down = layer.self_attn, layer.mlp.down_proj
        self._before, self._between = (
            _Norm(one) for one in (layer.input_layernorm, layer.post_attention_layernorm)
        )
        parts = layer.self_attn
        self._into = Beside([parts.q_proj, parts.k_proj, parts.v_proj])
        self._inner = Beside([layer.mlp.gate_proj, layer.mlp.up_proj])

    def __call__(
        self, hidden_states: Tensor, attention_mask: Any = None, position_embeddings: Any = None,
        past_key_values: Any = None, **given: Any,
    ) -> Tensor:  # fmt: skip
        from workbench.fused import Gated

        if past_key_values is not None:  # it writes, and does not learn
            found: Tensor = self._plain(
                hidden_states, attention_mask=attention_mask, past_key_values=past_key_values,
                position_embeddings=position_embeddings, **given,
            )  # fmt: skip
            return found
        mixed = self._mixed(self._before(hidden_states), position_embeddings, attention_mask)
        x = hidden_states + self._attention.o_proj(mixed)
        inner: Tensor = Gated.apply(self._inner(self._between(x)))
        return x + self._down(inner)

    def _mixed(self, x: Tensor, position_embeddings: Any, attention_mask: Any) -> Tensor:
        """Attention, before its last matrix."""
        import torch

        from workbench.fused import attention

        part = self._attention
        x, size = self._into(x), part.head_dim
        heads, shared = part.config.num_attention_heads, part.config.num_key_value_heads
        if hasattr(part, "q_norm"):
            each = x.unflatten(-1, (-1, size)).split([heads, shared, shared], 2)
            normed = (_Norm(part.q_norm)(each[0]), _Norm(part.k_norm)(each[1]), each[2])
            x = torch.cat(normed, 2).flatten(2)
        cos, sin, mask = self._shared(position_embeddings, attention_mask, x.dtype)
        return attention(x, cos, sin, heads, shared, part.scaling, mask)


class _Shared:
    """What all layers of a step use, prepared once."""

    def __init__(self) -> None:
        self._given: tuple[Any, ...] = (None, None, None)
        self._found: tuple[Tensor, Tensor, Tensor | None] | None = None

    def __call__(
        self, positions: Any, mask: Tensor | None, kind: dtype
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """cos, sin (its first half negative) and what is added to the scores, as `kind`."""
        import torch

        cos, sin = positions
        given = (cos, mask, kind)
        if self._found is None or any(a is not b for a, b in zip(given, self._given, strict=True)):
            first, second = sin.chunk(2, -1)
            sin = torch.cat((-first, second), -1)
            if mask is not None and mask.dtype == torch.bool:
                # finite: a token that sees nobody, which padding can be, still has an answer
                least = torch.finfo(kind).min / 2
                mask = torch.zeros_like(mask, dtype=kind).masked_fill_(~mask, least)
            self._given = given
            self._found = cos[:, None].to(kind), sin[:, None].to(kind), mask
        return self._found

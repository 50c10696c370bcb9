"""Causal attention, its rows computed whole.

Their softmax takes one pass, and the scores are kept for the way back: the library's flash
attention computes them again in blocks, and its backward pass takes four times as long.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_WHOLE_ROWS = 512  # tokens: longer ones would keep too many scores for the backward pass


def attention(
    x: Tensor, cos: Tensor, sin: Tensor, heads: int, shared: int,
    scale: float = 1.0, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Attention of `x` (rows, tokens, (heads + 2 · shared) · size): queries, keys, values.

    Queries and keys are turned by `cos` and `sin`, which are broadcast to (rows, heads, tokens,
    size); the first half of `sin` is negative. `mask` (rows or 1, 1, tokens, tokens) is added to
    the scores; without one, a token looks at those before it. Long rows go by PyTorch's own, which
    keeps no scores.
    """
    rows, tokens, size = x.shape[0], x.shape[1], cos.shape[-1]
    if tokens <= _WHOLE_ROWS:
        whole: Tensor = Attention.apply(x, cos, sin, heads, shared, scale, mask)
        return whole
    parts = x.view(rows, tokens, heads + 2 * shared, size).transpose(1, 2)
    turned = _turned(parts[:, : heads + shared], cos, sin)
    found = functional.scaled_dot_product_attention(
        turned[:, :heads], turned[:, heads:], parts[:, heads + shared :],
        attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=True,
    )  # fmt: skip
    return found.transpose(1, 2).reshape(rows, tokens, heads * size)


class Attention(torch.autograd.Function):  # type: ignore[misc]
    """As `attention`. Heads that share keys are one long row of queries."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, heads: int, shared: int,
        scale: float, mask: Tensor | None,
    ) -> Tensor:  # fmt: skip
        rows, tokens, size = x.shape[0], x.shape[1], cos.shape[-1]
        parts = x.view(rows, tokens, heads + 2 * shared, size).transpose(1, 2).contiguous()
        turned = _turned(parts[:, : heads + shared], cos, sin)
        query = turned[:, :heads].reshape(rows * shared, -1, size)
        key = turned[:, heads:].reshape(rows * shared, tokens, size)
        value = parts[:, heads + shared :].reshape(rows * shared, tokens, size)
        scores = x.new_empty(rows * shared, heads // shared * tokens, tokens)
        if mask is None:
            mask = torch.full((tokens, tokens), -torch.inf, dtype=x.dtype, device=x.device).triu_(1)
        else:
            mask = mask[:, :, None]
        scores.view(rows, shared, -1, tokens, tokens).copy_(mask)
        weights = torch.softmax(scores.baddbmm_(query, key.mT, alpha=scale), -1)
        ctx.save_for_backward(query, key, value, weights, cos, sin)
        ctx.shape, ctx.scale = (rows, tokens, heads, shared, size), scale
        found = torch.bmm(weights, value).view(rows, heads, tokens, size)
        return found.transpose(1, 2).reshape(rows, tokens, heads * size)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None, None, None, None, None]:
        query, key, value, weights, cos, sin = ctx.saved_tensors
        rows, tokens, heads, shared, size = ctx.shape
        slope = slope.view(rows, tokens, heads, size).transpose(1, 2).reshape(query.shape)
        found = slope.new_empty(rows, heads + 2 * shared, tokens, size)
        to_value = torch.bmm(weights.mT, slope)
        found[:, heads + shared :] = to_value.view(rows, shared, tokens, size)
        to_weights = torch.bmm(slope, value.mT)
        to_scores = torch._softmax_backward_data(to_weights, weights, -1, weights.dtype)
        turned = torch.cat(
            (
                torch.bmm(to_scores, key).view(rows, heads, tokens, size),
                torch.bmm(to_scores.mT, query).view(rows, shared, tokens, size),
            ),
            1,
        )
        if ctx.scale != 1.0:
            turned.mul_(ctx.scale)
        found[:, : heads + shared] = _turned(turned, cos, -sin)
        to_x = found.transpose(1, 2).reshape(rows, tokens, -1)
        return to_x, None, None, None, None, None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Positions turned into (..., tokens, size); turned back with the negative `sin`."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)

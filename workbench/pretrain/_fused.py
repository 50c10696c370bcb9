"""A Llama's forward pass from few large operations, with gradients written by hand.

PyTorch is imported here at once, so this file is imported when the first step is taken.

On a processor with matrix units for bf16 the products are cheap, and what stands between them takes
the time: softmax, norms, copies, and what autograd does for each slice. So rows of attention are
computed whole (their softmax in one pass, not in the blocks of the library's flash attention, whose
backward pass takes four times as long), norms leave their weights to the matrices behind them, and
the logits are never there in fp32, nor kept for the backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_WHOLE_ROWS = 512  # tokens: longer ones would keep too many scores for the backward pass
_LOGITS = 1 << 23  # at a time


class Normed(torch.autograd.Function):  # type: ignore[misc]
    """Rows of `x` (..., width), fp32, divided by their root mean square, as `kind`; no weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float, kind: torch.dtype) -> Tensor:
        norm = torch.linalg.vector_norm(x, 2, -1, keepdim=True)
        inverse = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        y = (x * inverse).to(kind)
        ctx.save_for_backward(y, inverse)
        return y

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        y, inverse = ctx.saved_tensors
        along = (slope * y).mean(-1, keepdim=True)
        return torch.addcmul(slope, y, along, value=-1).float().mul_(inverse), None, None


class Attention(torch.autograd.Function):  # type: ignore[misc]
    """Causal attention of `x` (rows, tokens, (heads + 2 · key_value_heads) · size), rotated by
    `cos` and `sin` (tokens, size; the first half of `sin` is negative). The queries are scaled
    already. Heads that share keys are one long row of queries."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, heads: int, shared: int) -> Tensor:
        rows, tokens, size = x.shape[0], x.shape[1], cos.shape[1]
        parts = x.view(rows, tokens, heads + 2 * shared, size).transpose(1, 2).contiguous()
        turned = _turned(parts[:, : heads + shared], cos, sin)
        query = turned[:, :heads].reshape(rows * shared, -1, size)
        key = turned[:, heads:].reshape(rows * shared, tokens, size)
        value = parts[:, heads + shared :].reshape(rows * shared, tokens, size)
        future = torch.full((tokens, tokens), -torch.inf, dtype=x.dtype).triu_(1)
        scores = torch.baddbmm(future.repeat(heads // shared, 1)[None], query, key.mT)
        weights = torch.softmax(scores, -1)
        ctx.save_for_backward(query, key, value, weights, cos, sin)
        ctx.shape = rows, tokens, heads, shared, size
        found = torch.bmm(weights, value).view(rows, heads, tokens, size)
        return found.transpose(1, 2).reshape(rows, tokens, heads * size)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None, None, None]:
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
        found[:, : heads + shared] = _turned(turned, cos, -sin)
        return found.transpose(1, 2).reshape(rows, tokens, -1), None, None, None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Positions turned into (..., tokens, size); turned back with the negative `sin`."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


def attention(x: Tensor, cos: Tensor, sin: Tensor, heads: int, shared: int) -> Tensor:
    """As `Attention`; long rows by PyTorch's own, which keeps no scores."""
    rows, tokens, size = x.shape[0], x.shape[1], cos.shape[1]
    if tokens <= _WHOLE_ROWS:
        whole: Tensor = Attention.apply(x, cos, sin, heads, shared)
        return whole
    parts = x.view(rows, tokens, heads + 2 * shared, size).transpose(1, 2)
    turned = _turned(parts[:, : heads + shared], cos, sin)
    found = functional.scaled_dot_product_attention(
        turned[:, :heads], turned[:, heads:], parts[:, heads + shared :],
        is_causal=True, scale=1.0, enable_gqa=True,
    )  # fmt: skip
    return found.transpose(1, 2).reshape(rows, tokens, heads * size)


class NextToken(torch.autograd.Function):  # type: ignore[misc]
    """Mean cross-entropy in nats of hidden states (n, width) with a head (vocabulary, width)."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        count, total = len(targets), torch.zeros(())
        to_hidden, to_head = torch.empty_like(hidden), torch.zeros(head.shape)
        size = max(64, _LOGITS // len(head))
        for start in range(0, count, size):
            part, wanted = hidden[start : start + size], targets[start : start + size]
            logits = part @ head.T
            highest = logits.amax(1, keepdim=True)
            right = logits.gather(1, wanted[:, None]).float()
            powers = logits.sub_(highest).exp_()
            norm = _row_sums(powers)
            total += (norm.log() + highest.float() - right).sum()
            inverse = norm.reciprocal().to(part.dtype)
            found = torch.mm(powers, head).mul_(inverse).sub_(head[wanted])
            to_hidden[start : start + size] = found
            to_head.add_(powers.T @ (part * inverse)).index_add_(0, wanted, part.float(), alpha=-1)
        ctx.save_for_backward(to_hidden, to_head)
        return total / count

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, None]:
        to_hidden, to_head = ctx.saved_tensors
        slope = slope / len(to_hidden)
        return to_hidden * slope.to(to_hidden.dtype), (to_head * slope).to(to_hidden.dtype), None


def _row_sums(powers: Tensor) -> Tensor:
    """(n, 1), fp32. Pieces are summed first: one sum rounded to bf16 would be off by 0.4 %."""
    rest = powers.shape[1] % _PIECES
    whole = powers[:, : powers.shape[1] - rest]
    sums = whole.view(len(powers), _PIECES, -1).sum(2).float().sum(1, keepdim=True)
    return sums + powers[:, powers.shape[1] - rest :].float().sum(1, keepdim=True)


_PIECES = 64

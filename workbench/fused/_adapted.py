"""A frozen matrix with what adapters add to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor


class Adapted(torch.autograd.Function):  # type: ignore[misc]
    """`x` (..., width) times a frozen `weight` (out, width), plus `bias`, with adapters that learn.

    The weight may be of several layers, one below the other; each of `seconds` (its layer's out,
    its rank) belongs to one, and `first` (ranks, width) to all. All are of one dtype. What is added
    is added where the products are written, forth and back: nothing of the answer's size is made in
    between, and one gradient goes back to `x`.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, first: Tensor, *seconds: Tensor
    ) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        low = rows @ first.T
        found = rows @ weight.T if bias is None else torch.addmm(bias, rows, weight.T)
        for part, inner, second in _split(seconds, found, low):
            part.addmm_(inner, second.T)
        ctx.save_for_backward(rows, low, weight, first, *seconds)
        return found.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        rows, low, weight, first, *seconds = ctx.saved_tensors
        slopes = slope.reshape(-1, slope.shape[-1])
        to_low, to_seconds = torch.empty_like(low), []
        for part, inner, to_inner, second in _split(seconds, slopes, low, to_low):
            torch.mm(part, second, out=to_inner)
            to_seconds.append(part.T @ inner)
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = (slopes @ weight).addmm_(to_low, first).view(*slope.shape[:-1], -1)
        return to_x, None, None, to_low.T @ rows, *to_seconds


def _split(seconds: Sequence[Tensor], wide: Tensor, *low: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """For each layer its columns of `wide`, of each of `low`, and its second matrix."""
    sizes, ranks = ([one.shape[side] for one in seconds] for side in (0, 1))
    parts = (wide.split(sizes, 1), *(one.split(ranks, 1) for one in low), seconds)
    return zip(*parts, strict=True)

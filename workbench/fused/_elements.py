"""What is done to each element or row by itself: the root-mean-square norm, the gate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class Normed(torch.autograd.Function):  # type: ignore[misc]
    """Rows of `x` (..., width) divided by their root mean square, times `weight` (width) where
    there is one, as `kind`. In between they are fp32."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, eps: float, kind: torch.dtype
    ) -> Tensor:
        norm = torch.linalg.vector_norm(x, 2, -1, keepdim=True, dtype=torch.float32)
        inverse = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        rows = (x * inverse).to(kind)
        ctx.save_for_backward(rows, inverse, weight)
        ctx.kind = x.dtype
        return rows if weight is None else (rows * weight).to(kind)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        rows, inverse, weight = ctx.saved_tensors
        to_weight = None
        if ctx.needs_input_grad[1]:
            to_weight = (slope * rows).flatten(0, -2).sum(0, dtype=torch.float32).to(weight.dtype)
        if weight is not None:
            slope = slope * weight.to(slope.dtype)
        along = (slope * rows).mean(-1, keepdim=True)
        found = torch.addcmul(slope, rows, along, value=-1)
        found = found.mul_(inverse) if ctx.kind == slope.dtype else found.float().mul_(inverse)
        return found, to_weight, None, None


class Gated(torch.autograd.Function):  # type: ignore[misc]
    """silu(gate) times up, of `x` (..., 2 · inner): the gates come first."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        gate, up = x.chunk(2, -1)
        opened = functional.silu(gate)
        ctx.save_for_backward(x, opened)
        return opened * up

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        x, opened = ctx.saved_tensors
        gate, up = x.chunk(2, -1)
        found = torch.empty_like(x)
        to_gate, to_up = found.chunk(2, -1)
        torch.mul(opened, slope, out=to_up)
        torch.ops.aten.silu_backward.grad_input(slope * up, gate, grad_input=to_gate)
        return found

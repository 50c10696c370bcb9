"""Gradients written by hand are those that PyTorch finds by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn import functional

from workbench.fused import Adapted, BlockwiseLoss, Gated, Normed, _loss, attention


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def exact(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def agree(found: Callable[..., Tensor], plain: Callable[..., Tensor], *given: Tensor) -> None:
    """In value, and the gradient with its own numerical one."""
    torch.testing.assert_close(found(*given), plain(*given))
    assert gradcheck(found, given, fast_mode=True)


def test_gate() -> None:
    def plain(x: Tensor) -> Tensor:
        gate, up = x.chunk(2, -1)
        return functional.silu(gate) * up

    agree(Gated.apply, plain, exact(2, 3, 10))


@pytest.mark.parametrize("bias", [None, torch.randn(7, dtype=torch.float64)])
def test_adapter(bias: Tensor | None) -> None:
    """Of three layers one below the other; the second one has no adapter, and so no rank."""
    weight, none = torch.randn(7, 5, dtype=torch.float64), exact(1, 0)

    def found(x: Tensor, first: Tensor, one: Tensor, other: Tensor) -> Tensor:
        answer: Tensor = Adapted.apply(x, weight, bias, first, one, none, other)
        return answer

    def plain(x: Tensor, first: Tensor, one: Tensor, other: Tensor) -> Tensor:
        second = torch.block_diag(one, none, other)
        return functional.linear(x, weight, bias) + x @ first.T @ second.T

    agree(found, plain, exact(2, 3, 5), exact(3, 5), exact(4, 2), exact(2, 1))


def test_norm() -> None:
    """Its rows are measured in fp32 whatever they are, so it is compared there."""
    for weight in (None, torch.rand(6, requires_grad=True)):
        x = torch.randn(2, 3, 6, requires_grad=True)
        learnt = [x] if weight is None else [x, weight]
        slope = torch.randn(2, 3, 6)
        answers = [
            Normed.apply(x, weight, 1e-5, torch.float32),
            functional.rms_norm(x, (6,), weight, 1e-5),
        ]
        got, wanted = ((one, *torch.autograd.grad(one, learnt, slope)) for one in answers)
        for one, other in zip(got, wanted, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("masked", [False, True])
def test_attention(masked: bool) -> None:
    rows, tokens, heads, shared, size = 2, 5, 4, 2, 6
    angles = torch.rand(1, 1, tokens, size // 2, dtype=torch.float64)
    cos, sin = torch.cat([angles.cos()] * 2, -1), torch.cat([-angles.sin(), angles.sin()], -1)
    allowed = torch.ones(tokens, tokens, dtype=torch.bool).tril()[None, None].repeat(rows, 1, 1, 1)
    if masked:
        allowed[1, 0, 3:, :3] = False
    added = torch.zeros(allowed.shape, dtype=torch.float64).masked_fill_(~allowed, -1e300)
    mask = added if masked else None

    def found(x: Tensor) -> Tensor:
        return attention(x, cos, sin, heads, shared, 0.3, mask)

    def plain(x: Tensor) -> Tensor:
        parts = x.view(rows, tokens, -1, size).transpose(1, 2)
        turned = parts * cos + parts.roll(size // 2, -1) * sin
        answer = functional.scaled_dot_product_attention(
            turned[:, :heads], turned[:, heads:-shared], parts[:, -shared:],
            attn_mask=allowed, scale=0.3, enable_gqa=True,
        )  # fmt: skip
        return answer.transpose(1, 2).flatten(2)

    agree(found, plain, exact(rows, tokens, (heads + 2 * shared) * size))


@pytest.mark.parametrize("vocabulary", [128, 131])  # 131: a rest beside the pieces of a sum
def test_loss(vocabulary: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_loss, "_LOGITS", 64 * vocabulary)  # 64 tokens at a time
    hidden, head = torch.randn(100, 8), torch.randn(vocabulary, 8)
    targets = torch.randint(0, vocabulary, (100,))
    targets[:9] = (hidden @ head.T).argmax(1)[:9]
    targets[::7] = -100
    found = {}
    for way in ("ours", "plain"):
        learnt = [hidden.clone().requires_grad_(), head.clone().requires_grad_()]
        if way == "ours":
            loss, _ = BlockwiseLoss.apply(*learnt, targets, True)
        else:
            loss = functional.cross_entropy(learnt[0] @ learnt[1].T, targets, reduction="sum")
        found[way] = (loss, *torch.autograd.grad(3 * loss, learnt))
    for one, other in zip(found["ours"], found["plain"], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        loss, correct = BlockwiseLoss.apply(hidden, head, targets, False)
    torch.testing.assert_close(loss, found["plain"][0].detach())
    assert correct == ((hidden @ head.T).argmax(1) == targets).sum() > 0

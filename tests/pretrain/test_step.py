"""The quick step is the model's own: the same loss, the same gradients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from workbench.fused import _attention, _loss
from workbench.pretrain._model import new_model, next_token_loss
from workbench.pretrain._step import Step, step_precision


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other are slow where other tests run beside these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("heads", "shared", "whole_rows"), [(4, 2, 512), (4, 4, 512), (2, 1, 512), (4, 2, 8)]
)
def test_loss_and_gradients_are_those_of_the_model(
    monkeypatch: pytest.MonkeyPatch, heads: int, shared: int, whole_rows: int
) -> None:
    monkeypatch.setattr(_attention, "_WHOLE_ROWS", whole_rows)  # longer ones go another way
    monkeypatch.setattr(_loss, "_LOGITS", 64 * 331)  # in two pieces
    torch.manual_seed(0)
    model = new_model(331, 2, 64, heads=heads, key_value_heads=shared)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.mul_(torch.rand_like(weight) + 0.5)
    rows = torch.randint(0, 331, (4, 33))
    loss = next_token_loss(model, rows, "fp32")
    loss.backward()
    expected = {name: weight.grad for name, weight in model.named_parameters()}
    for precision, allowed in (("fp32", 1e-5), ("bf16", 0.03)):
        model.zero_grad()
        found = Step(model, precision).learn(rows)
        assert found == pytest.approx(loss.item(), rel=allowed / 10)
        for name, weight in model.named_parameters():
            wanted = expected[name]
            assert wanted is not None and weight.grad is not None
            assert torch.dist(weight.grad, wanted) < allowed * wanted.norm(), name


def test_a_large_batch_goes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.pretrain import _step

    torch.manual_seed(0)
    model = new_model(300, 1, 64)
    rows = torch.randint(0, 300, (5, 33))
    whole = Step(model, "fp32").learn(rows)
    expected = model.lm_head.weight.grad
    assert expected is not None
    model.zero_grad()
    monkeypatch.setattr(_step, "_TOKENS", 64)
    assert Step(model, "fp32").learn(rows) == pytest.approx(whole, rel=1e-5)
    assert model.lm_head.weight.grad is not None
    assert torch.dist(model.lm_head.weight.grad, expected) < 1e-5 * expected.norm()


def test_the_quicker_precision_is_measured() -> None:
    model = new_model(300, 1, 64)
    assert step_precision(model, torch.randint(0, 300, (2, 65))) in {"fp32", "bf16"}
    assert all(weight.grad is None for weight in model.parameters())

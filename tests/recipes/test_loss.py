"""The loss that holds no logits is the usual one, in value and in every gradient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from workbench.fused import _loss
from workbench.learn._loss import lean
from workbench.learn._network import keeps_apart, load_network
from workbench.learn._rows import IGNORED
from workbench.learn._settings import Settings


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(3, 1000, (3, 40))
    labels = torch.cat([ids[:, 1:], torch.full((3, 1), IGNORED)], 1)
    labels[:, :9] = IGNORED
    return ids, labels


def usual(causal: Any, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    logits = type(causal).forward(causal, input_ids=ids, use_cache=False).logits
    return cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="sum")


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    (loss / 7).backward()
    return {name: one.grad for name, one in model.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("method", ["full", "lora"])
def test_loss_and_gradients_are_the_usual_ones(
    method: str, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_loss, "_LOGITS", 64_000)  # 64 tokens at a time: two blocks
    network = load_network(tiny_folder, Settings(method=method), "fp32")
    ids, labels = batch()
    wanted = gradients(network.model, usual(network.causal, ids, labels))
    found = network.model(input_ids=ids, labels=labels)
    got = gradients(network.model, found["loss"])
    torch.testing.assert_close(found["loss"], usual(network.causal, ids, labels).detach())
    assert got.keys() == wanted.keys() and got
    for name, gradient in wanted.items():
        torch.testing.assert_close(got[name], gradient, rtol=1e-4, atol=1e-5)


def test_right_guesses_are_counted(tiny_folder: Path) -> None:
    network = load_network(tiny_folder, Settings(), "fp32")
    ids, labels = batch()
    with torch.no_grad():
        best = type(network.causal).forward(network.causal, input_ids=ids).logits.argmax(-1)
        learnt = labels != IGNORED
        labels[0] = torch.where(learnt[0], best[0], labels[0])
        found = network.model(input_ids=ids, labels=labels)
    assert found["correct"] == ((best == labels) & learnt).sum() >= learnt[0].sum()


def test_a_head_that_does_more_is_asked_itself(tiny_folder: Path) -> None:
    network = load_network(tiny_folder, Settings(), "fp32")
    assert network.notes == []
    causal = network.causal
    causal.config.final_logit_softcapping = 30.0
    assert not lean(causal, "cpu", "fp32")
    ids, labels = batch()
    with torch.no_grad():
        found = causal.forward(input_ids=ids, labels=labels)["loss"]
        torch.testing.assert_close(found, usual(causal, ids, labels))


def test_sequences_of_a_row_do_not_see_each_other(tiny_folder: Path) -> None:
    network = load_network(tiny_folder, Settings(), "fp32")
    assert network.packs
    first, second = torch.arange(3, 23)[None], torch.arange(40, 60)[None]
    nobody = torch.full((1, 20), IGNORED)
    alone = network.model(input_ids=second, labels=second)["loss"]
    begun = torch.arange(20)[None]
    together = network.model(
        input_ids=torch.cat([first, second], 1),
        labels=torch.cat([nobody, second], 1),
        position_ids=torch.cat([begun, begun], 1),
    )["loss"]
    torch.testing.assert_close(alone, together)
    plain = type(network.causal.model).forward
    network.causal.model.forward = lambda position_ids=None, **given: plain(
        network.causal.model, **given
    )
    assert not keeps_apart(network.causal, "fp32")


def test_bf16_is_near(tiny_folder: Path) -> None:
    ids, labels = batch()
    losses = []
    for precision in ("fp32", "bf16"):
        network = load_network(tiny_folder, Settings(), precision)
        losses.append(float(network.model(input_ids=ids, labels=labels)["loss"].detach()))
        kinds = {one.dtype for one in network.model.parameters() if one.requires_grad}
        assert kinds == {torch.float32}
    assert abs(losses[0] - losses[1]) < 0.01 * losses[0]

"""Layers computed the quick way learn the same: in value and in every gradient."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from workbench.fused import _attention
from workbench.learn import Network, Settings, load_network, recompute
from workbench.learn import _network as loading
from workbench.learn._rows import IGNORED

SHAPE = {
    "vocab_size": 131, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "max_position_embeddings": 64, "initializer_range": 0.3,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "llama": {"tie_word_embeddings": True},
    "mistral": {"sliding_window": 7},
    "qwen2": {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1},
    "qwen3": {},
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other are slow where other tests run beside these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write(folder: Path, kind: str, **changed: Any) -> Path:
    """A random network of this kind, its norms and biases random too."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{**SHAPE, **KINDS.get(kind, {}), **changed})
    model = AutoModelForCausalLM.from_config(config).float()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.copy_(torch.rand_like(weight) + ("norm" in name) * 0.5)
    model.save_pretrained(folder)
    return folder


def load(folder: Path, settings: Settings, precision: str, *, plain: bool = False) -> Network:
    """The network; `plain` as Transformers and PEFT compute it. Its adapter has learnt something
    already: as it begins, its first matrices have no gradient."""
    with pytest.MonkeyPatch.context() as patch:
        if plain:
            patch.setattr(loading, "quicken", lambda *_: False)
            patch.setattr(loading, "add_at_once", lambda _: None)
        network = load_network(folder, settings, precision)
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in network.model.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=random) / 4)
    return network


def is_quick(network: Network) -> bool:
    return all("forward" in vars(layer) for layer in network.causal.model.layers)


def batch(*, packed: bool) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(0, 131, (3, 24))
    labels = torch.cat([ids[:, 1:], torch.full((3, 1), IGNORED)], 1)
    labels[0, :9] = IGNORED
    if not packed:
        return {"input_ids": ids, "labels": labels}
    begun = [torch.cat([torch.arange(n), torch.arange(24 - n)]) for n in (5, 12, 24)]
    return {"input_ids": ids, "labels": labels, "position_ids": torch.stack(begun)}


def gradients(network: Network, given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The loss and the gradient of each weight that learns."""
    network.model.zero_grad()
    network.model.train()
    torch.manual_seed(2)  # of dropout
    loss = network.model(**given)["loss"]
    loss.backward()
    found = {"loss": loss.detach()}
    for name, weight in network.model.named_parameters():
        if weight.requires_grad:
            assert weight.grad is not None, name
            found[name] = weight.grad.clone()
    return found


def distances(network: Network, other: Network, given: dict[str, torch.Tensor]) -> list[float]:
    """How far both are from each other, of the length of the other's."""
    got, wanted = gradients(network, given), gradients(other, given)
    assert got.keys() == wanted.keys()
    return [float(torch.dist(got[name], one) / one.norm()) for name, one in wanted.items()]


@pytest.mark.parametrize("whole_rows", [512, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradients_are_those_of_peft(
    kind: str, whole_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_attention, "_WHOLE_ROWS", whole_rows)  # longer ones go another way
    folder = write(tmp_path / kind, kind)
    quick, plain = (load(folder, Settings(rank=4), "fp32", plain=one) for one in (False, True))
    assert is_quick(quick) and not is_quick(plain)
    for packed in (False, True):
        assert max(distances(quick, plain, batch(packed=packed))) < 1e-4


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "full"},
        {"targets": ("q_proj", "v_proj", "up_proj")},
        {"dropout": 0.3},
    ],
    ids=["full", "some", "dropout"],
)
def test_whatever_learns_learns_the_same(changed: dict[str, Any], tmp_path: Path) -> None:
    folder = write(tmp_path / "qwen3", "qwen3")
    quick, plain = (load(folder, Settings(**changed), "fp32", plain=one) for one in (False, True))
    assert is_quick(quick)
    assert max(distances(quick, plain, batch(packed=True))) < 1e-4


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("kind", KINDS)
def test_in_bf16_it_is_about_as_near_to_the_truth(kind: str, method: str, tmp_path: Path) -> None:
    folder = write(tmp_path / kind, kind, initializer_range=0.1)
    settings, given = Settings(method=method, rank=4), batch(packed=True)
    true = load(folder, settings, "fp32", plain=True)
    if method == "lora":  # whose weights are rounded: that is no error of the layers
        with torch.no_grad():
            for weight in true.model.parameters():
                if not weight.requires_grad:
                    weight.copy_(weight.bfloat16())
    errors = {}
    for plain in (True, False):
        network = load(folder, settings, "bf16", plain=plain)
        assert is_quick(network) != plain
        errors[plain] = distances(network, true, given)
    assert errors[False][0] < 2e-3
    assert sum(errors[False]) < 1.6 * sum(errors[True])


def test_padding_is_masked(tmp_path: Path) -> None:
    folder = write(tmp_path / "llama", "llama")
    quick, plain = (load(folder, Settings(), "fp32", plain=one) for one in (False, True))
    ids, mask = batch(packed=False)["input_ids"], torch.ones(3, 24, dtype=torch.int64)
    mask[0, 20:] = mask[1, :5] = 0
    with torch.no_grad():
        got, wanted = (
            one.causal.model(input_ids=ids, attention_mask=mask).last_hidden_state[mask.bool()]
            for one in (quick, plain)
        )
    assert torch.isfinite(got).all()
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_an_adapter_that_is_off_adds_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path / "qwen2", "qwen2")
    network = load(folder, Settings(), "fp32")
    base = load(folder, Settings(method="full"), "fp32", plain=True)
    given = batch(packed=False)
    with torch.no_grad():
        with network.model.disable_adapter():
            off = network.model(**given)["loss"]
        torch.testing.assert_close(off, base.model(**given)["loss"])
        assert abs(network.model(**given)["loss"] - off) > 0.1


def test_activations_can_be_computed_again(tmp_path: Path) -> None:
    folder = write(tmp_path / "llama", "llama")
    again, once = (load(folder, Settings(), "fp32") for _ in range(2))
    assert recompute(again, Settings(gradient_checkpointing=True), 72)
    assert max(distances(again, once, batch(packed=True))) == 0


def test_frozen_weights_are_held_once(tmp_path: Path) -> None:
    folder = write(tmp_path / "llama", "llama", tie_word_embeddings=False)
    network, plain = (load(folder, Settings(), "fp32", plain=one) for one in (False, True))
    pairs = zip(network.model.parameters(), plain.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    attention = network.causal.model.layers[0].self_attn
    stores = {
        getattr(attention, name).get_base_layer().weight.untyped_storage().data_ptr()
        for name in ("q_proj", "k_proj", "v_proj")
    }
    assert len(stores) == 1


@pytest.mark.parametrize("kind", ["gemma", "gemma2", "gpt2", "olmo2", "phi3"])
def test_another_layer_stays_as_it_is(kind: str, tmp_path: Path) -> None:
    folder = write(tmp_path / kind, kind, pad_token_id=0)
    quick, plain = (load(folder, Settings(rank=4), "fp32", plain=one) for one in (False, True))
    backbone = getattr(quick.causal, quick.causal.base_model_prefix)
    layers = getattr(backbone, "layers", None) or backbone.h
    assert not any("forward" in vars(layer) for layer in layers)
    assert max(distances(quick, plain, batch(packed=False))) < 1e-4


def test_a_layer_that_answers_otherwise_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.llama.modeling_llama import LlamaMLP

    was = LlamaMLP.forward
    monkeypatch.setattr(LlamaMLP, "forward", lambda self, x: 2 * was(self, x))
    folder = write(tmp_path / "llama", "llama")
    quick, plain = (load(folder, Settings(), "fp32", plain=one) for one in (False, True))
    assert not is_quick(quick)
    assert "forward" not in vars(quick.causal.model.norm)
    assert max(distances(quick, plain, batch(packed=False))) < 1e-4


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_adapters_learn_from_packed_rows_in_any_precision(
    tmp_path: Path, precision: str, dropout: float
) -> None:
    settings = Settings(method="lora", rank=4, dropout=dropout)
    network = load_network(write(tmp_path, "llama"), settings, precision)
    assert network.packs and not network.notes
    ids = torch.arange(5, 45).reshape(2, 20)
    network.model(input_ids=ids, labels=ids.roll(-1, 1))["loss"].backward()
    learnt = [one.grad for one in network.model.parameters() if one.requires_grad]
    assert learnt and all(one is not None and one.isfinite().all() for one in learnt)

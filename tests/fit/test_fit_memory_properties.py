"""What must hold of every estimate, and that rubbish is refused instead of priced."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shaped import architecture, moe, plain, windowed

from workbench.errors import FitError
from workbench.fit import CACHE_TYPES, Load, Network, computed_network, memory, network_of
from workbench.gguf import Array, Header, TensorInfo

NETWORKS = [computed_network(shape, "Q4_K_M") for shape, _ in (plain(), windowed(), moe())]
networks = st.sampled_from(NETWORKS)
loads = st.builds(
    Load,
    context=st.integers(1, 1 << 18),
    slots=st.integers(1, 16),
    batch=st.integers(1, 2048),
    cache_type=st.sampled_from(CACHE_TYPES),
    gpu_layers=st.integers(-1, 12),
    mmap=st.booleans(),
    flash_attention=st.sampled_from([None, True, False]),
    prompt_cache=st.integers(0, 1 << 30),
    embedding=st.booleans(),
)


@settings(deadline=None)
@given(networks, loads)
def test_the_parts_are_the_whole_and_the_interval_holds_it(network: Network, load: Load) -> None:
    found = memory(network, load)
    for where, estimate in (("ram", found.ram), ("gpu", found.gpu)):
        size = sum(part.bytes for part in found.parts if part.where == where)
        assert (estimate is None) == (where == "gpu" and load.gpu_layers == 0)
        if estimate is not None:
            assert estimate.value == size > 0
            assert 0 <= estimate.low <= estimate.value <= estimate.high < math.inf
    assert all(part.bytes > 0 for part in found.parts)


@settings(deadline=None)
@given(networks, loads, st.integers(1, 4096), st.integers(1, 4))
def test_more_of_anything_takes_no_less(
    network: Network, load: Load, tokens: int, slots: int
) -> None:
    def whole(one: Load) -> float:
        found = memory(network, one)
        return found.ram.high + (found.gpu.high if found.gpu else 0)

    smaller = whole(load)
    assert whole(replace(load, context=load.context + tokens)) >= smaller
    assert whole(replace(load, slots=load.slots + slots)) >= smaller
    sizes = [whole(replace(load, cache_type=kind)) for kind in CACHE_TYPES]
    assert sizes == sorted(sizes, reverse=True)


@settings(deadline=None)
@given(networks, loads)
def test_layers_move_from_main_memory_to_the_card(network: Network, load: Load) -> None:
    found = [
        memory(network, replace(load, gpu_layers=layers))
        for layers in range(1, network.architecture.layers + 2)
    ]
    cards = [one.gpu.value for one in found if one.gpu is not None]
    assert cards == sorted(cards) and len(cards) == len(found)
    everything = memory(network, replace(load, gpu_layers=-1))
    assert everything == found[-1]
    assert everything.ram.value <= found[0].ram.value


@pytest.mark.parametrize(
    "load",
    [
        Load(context=0),
        Load(context=-5),
        Load(slots=0),
        Load(batch=-1),
        Load(context=1 << 60),
        Load(cache_type="f64"),
        Load(prompt_cache=-1),
        Load(gpu_layers=-2),
        Load(context=float("nan")),  # type: ignore[arg-type]
    ],
)
def test_loads_that_cannot_be_are_refused(load: Load) -> None:
    with pytest.raises(FitError):
        memory(NETWORKS[0], load)


def header(tensors: tuple[TensorInfo, ...] | None = None, **facts: Any) -> Header:
    """A small Llama's header with some facts replaced; None leaves one out."""
    known: dict[str, Any] = {
        "general.architecture": "llama",
        "llama.block_count": 2,
        "llama.embedding_length": 64,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.feed_forward_length": 128,
        "llama.context_length": 512,
    }
    for key, value in facts.items():
        name = "general.architecture" if key == "architecture" else f"llama.{key}"
        known[name.replace("__", ".")] = value
    if tensors is None:
        tensors = (TensorInfo("token_embd.weight", (64, 1000), "F32", 0, 256_000),)
    known = {key: value for key, value in known.items() if value is not None}
    return Header(3, known, tensors, 32, 0, 0)


def test_the_header_that_the_others_are_made_from_is_priced() -> None:
    assert memory(network_of(header()), Load()).ram.value > 0


@pytest.mark.parametrize(
    "facts",
    [
        {"architecture": ""},
        {"architecture": "clip"},
        {"architecture": None},
        {"block_count": None},
        {"block_count": 0},
        {"block_count": 10**9},
        {"block_count": "2"},
        {"block_count": True},
        {"embedding_length": 65},
        {"embedding_length": -64},
        {"attention__head_count": 10**9},
        {"attention__head_count_kv": -1},
        {"attention__head_count_kv": Array("int32", 1, (2,))},
        {"attention__head_count_kv": Array("int32", 2, (2, -2))},
        {"attention__head_count_kv": Array("int32", 10**6, None)},
        {"attention__key_length": 10**9},
        {"attention__sliding_window": float("nan")},
        {"attention__sliding_window_pattern": "all", "attention__sliding_window": 0.5},
        {"feed_forward_length": 1e308},
        {"expert_count": -8},
        {"ssm__inner_size": 10**12},
        {"context_length": "many"},
        {"tensors": ()},
        {"tensors": (TensorInfo("token_embd.weight", (64,), "F32", 0, 256),)},
    ],
)
def test_absurd_headers_are_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(FitError):
        network_of(header(**facts))


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64), st.floats(), st.text(max_size=3),
    st.builds(Array, st.just("int32"), st.integers(0, 9), st.none()),
    st.lists(st.integers(-5, 300), max_size=4).map(
        lambda values: Array("int32", len(values), tuple(values))
    ),
)  # fmt: skip
KEYS = (
    "block_count", "embedding_length", "attention__head_count", "attention__head_count_kv",
    "attention__key_length", "attention__value_length", "attention__sliding_window",
    "attention__sliding_window_pattern", "attention__shared_kv_layers", "feed_forward_length",
    "expert_count", "expert_used_count", "full_attention_interval", "ssm__inner_size",
    "ssm__state_size", "ssm__conv_kernel", "shortconv__l_cache", "wkv__head_size",
    "attention__kv_lora_rank", "attention__key_length_mla", "context_length", "attention__causal",
)  # fmt: skip


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
def test_a_damaged_header_is_refused_or_priced_with_a_number(facts: dict[str, Any]) -> None:
    try:
        network = network_of(header(**facts))
    except FitError as error:
        assert str(error)
        return
    found = memory(network, Load()).ram
    assert 0 < found.low <= found.value <= found.high < math.inf


def test_an_encoder_keeps_no_cache() -> None:
    shape = architecture(
        "bert", 2, 64, heads=4, kv=0, inner=128, vocabulary=1000, tied=True, causal=False,
        extras={"types": 2, "positions": 512},
    )  # fmt: skip
    names = {part.name for part in memory(computed_network(shape, "F16"), Load()).parts}
    assert "KV cache" not in names and "checkpoints" not in names

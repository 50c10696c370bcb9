"""The mixes against what llama.cpp printed for published models: how many tensors of each type."""

from __future__ import annotations

from collections import Counter

import pytest

from workbench.gguf import Header, TensorInfo
from workbench.gguf._mix import tensor_types


def llama(
    layers: int,
    width: int,
    inner: int,
    heads: int,
    kv_heads: int,
    *,
    tied: bool = False,
    vocabulary: int = 32000,
    experts: int = 0,
) -> Header:
    """The header of a Llama model in F16, without any weights."""
    kv = width * kv_heads // heads
    shapes = {"token_embd.weight": (width, vocabulary), "output_norm.weight": (width,)}
    if not tied:
        shapes["output.weight"] = (width, vocabulary)
    for layer in range(layers):
        block: dict[str, tuple[int, ...]] = {
            "attn_norm": (width,),
            "ffn_norm": (width,),
            "attn_q": (width, width),
            "attn_k": (width, kv),
            "attn_v": (width, kv),
            "attn_output": (width, width),
        }
        mlp = {"ffn_gate": (width, inner), "ffn_up": (width, inner), "ffn_down": (inner, width)}
        if experts:
            mlp = {f"{name}_exps": (*shape, experts) for name, shape in mlp.items()}
            mlp["ffn_gate_inp"] = (width, experts)
        shapes |= {f"blk.{layer}.{name}.weight": shape for name, shape in (block | mlp).items()}
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": layers,
        "llama.attention.head_count": heads,
        "llama.attention.head_count_kv": kv_heads,
        "llama.expert_count": experts,
    }
    tensors = tuple(
        TensorInfo(name, shape, "F16" if len(shape) > 1 else "F32", 0, 0)
        for name, shape in shapes.items()
    )
    return Header(3, metadata, tensors, 32, 0, 0)


LLAMA_8B = llama(32, 4096, 14336, 32, 8, vocabulary=128256)
LLAMA_70B = llama(80, 8192, 28672, 64, 8)
LLAMA_1B = llama(16, 2048, 8192, 32, 8, tied=True, vocabulary=128256)

# type counts in the published files of these models
PUBLISHED = [
    (LLAMA_8B, "Q4_K_M", {"F32": 65, "Q4_K": 193, "Q6_K": 33}),
    (LLAMA_8B, "Q4_K_S", {"F32": 65, "Q4_K": 217, "Q5_K": 8, "Q6_K": 1}),
    (LLAMA_8B, "Q5_K_M", {"F32": 65, "Q5_K": 193, "Q6_K": 33}),
    (LLAMA_8B, "Q5_K_S", {"F32": 65, "Q5_K": 225, "Q6_K": 1}),
    (LLAMA_8B, "Q6_K", {"F32": 65, "Q6_K": 226}),
    (LLAMA_8B, "Q8_0", {"F32": 65, "Q8_0": 226}),
    (LLAMA_8B, "Q4_0", {"F32": 65, "Q4_0": 225, "Q6_K": 1}),
    (LLAMA_70B, "Q4_K_M", {"F32": 161, "Q4_K": 441, "Q5_K": 40, "Q6_K": 81}),
    (LLAMA_1B, "Q4_K_M", {"F32": 33, "Q4_K": 96, "Q6_K": 17}),
]


@pytest.mark.parametrize(("header", "mix", "counts"), PUBLISHED)
def test_counts_of_published_files(header: Header, mix: str, counts: dict[str, int]) -> None:
    assert Counter(tensor_types(header, mix).values()) == counts


def test_layers_that_get_more_bits() -> None:
    types = tensor_types(LLAMA_8B, "Q4_K_M")
    better = [layer for layer in range(32) if types[f"blk.{layer}.attn_v.weight"] == "Q6_K"]
    assert better == [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]
    assert better == [n for n in range(32) if types[f"blk.{n}.ffn_down.weight"] == "Q6_K"]


def test_eight_experts() -> None:
    types = tensor_types(llama(32, 4096, 14336, 32, 8, experts=8), "Q4_K_M")
    assert types["blk.5.attn_k.weight"] == types["blk.5.attn_v.weight"] == "Q8_0"
    assert types["blk.5.attn_output.weight"] == "Q5_K"
    assert types["blk.5.ffn_gate_inp.weight"] == "F16"
    assert types["blk.5.ffn_down_exps.weight"] == "Q4_K"
    assert types["blk.6.ffn_down_exps.weight"] == "Q6_K"

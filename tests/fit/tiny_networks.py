"""Tiny networks of every family whose layout is known, and GGUF files of them without content.

What llama.cpp asks of each family's metadata stands beside its facts; the facts are in the
schema of the cards. All weights are 0: the files are there to be loaded, not to answer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tiny import vocabulary

from workbench.cards._facts import architecture_of
from workbench.fit import Architecture
from workbench.gguf import TensorInfo

Facts = dict[str, Any]

BASE: Facts = {
    "layers": 6,
    "width": 64,
    "heads": 4,
    "kv_heads": 2,
    "head_size": 16,
    "inner": 128,
    "vocabulary": 1000,
    "tied": True,
}
UNTIED = {"tied": False}
EXPERTS = {"experts": 4, "experts_used": 2, "expert_inner": 32}
SHARED = {**EXPERTS, "shared_inner": 32}
ENCODER = {"kv_heads": 4, "causal": False}
DELTA = {"linear_keys": 2, "linear_values": 4, "key_head": 16, "value_head": 16, "kernel": 4}
MAMBA = {"mamba_heads": 8, "mamba_head": 16, "groups": 2, "state": 16, "kernel": 4}
LATENT = {"kv_rank": 32, "rope": 8, "nope": 16, "value": 16, "dense_layers": 1}

SECTIONS: Facts = {"rope.dimension_sections": [2, 3, 3, 0]}
SCALED: Facts = {"logit_scale": 1.0}
ENCODES: Facts = {"attention.causal": False, "pooling_type": 1}
SSM: Facts = {
    "ssm.conv_kernel": 4,
    "ssm.state_size": 16,
    "ssm.inner_size": 128,
    "ssm.time_step_rank": 8,
    "ssm.group_count": 2,
}
LINEAR: Facts = {
    **SSM,
    **SECTIONS,
    "ssm.inner_size": 64,
    "ssm.time_step_rank": 4,
    "full_attention_interval": 3,
}
MLA: Facts = {
    "attention.head_count_kv": 1,
    "attention.kv_lora_rank": 32,
    "attention.key_length": 40,
    "attention.value_length": 32,
    "attention.key_length_mla": 24,
    "attention.value_length_mla": 16,
    "rope.dimension_count": 8,
    "leading_dense_block_count": 1,
    "expert_shared_count": 2,
    "expert_weights_scale": 1.0,
    "expert_shared_feed_forward_length": None,
}
GEMMA4: Facts = {
    "attention.head_count_kv": [2] * 5 + [1],
    "attention.key_length": 32,
    "attention.value_length": 32,
    "attention.key_length_swa": 16,
    "attention.value_length_swa": 16,
    "attention.sliding_window_pattern": [True] * 5 + [False],
    "rope.freq_base_swa": 10000.0,
    "rope.dimension_count": 32,
    "rope.dimension_count_swa": 16,
    "embedding_length_per_layer_input": 0,
}


def hybrid(pattern: str, inner: int = 0) -> Facts:
    """Metadata of layers that have attention (F) or not; feed-forward parts alone (E)."""
    facts: Facts = {"attention.head_count_kv": [2 if kind == "F" else 0 for kind in pattern]}
    if inner:
        facts["feed_forward_length"] = [inner if kind == "E" else 0 for kind in pattern]
    return facts


def windows(layers: int, period: int) -> list[bool]:
    return [(layer + 1) % period != 0 for layer in range(layers)]


# name → facts beside BASE, metadata beside what the facts say
NETWORKS: dict[str, tuple[Facts, Facts]] = {
    **{name: ({"name": name}, {}) for name in ("llama", "mistral3", "gemma", "qwen2", "qwen3")},
    **{name: ({"name": name}, {}) for name in ("starcoder2",)},
    **{name: ({"name": name}, SCALED) for name in ("granite", "command-r")},
    **{
        name: ({"name": name, **UNTIED}, {})
        for name in ("exaone", "internlm2", "phi2", "phi3", "stablelm", "nemotron", "olmo2")
    },
    "chatglm": ({"name": "chatglm", **UNTIED}, {}),
    "falcon, one key head": ({"name": "falcon", "kv_heads": 1, **UNTIED}, {}),
    "falcon, two key heads": ({"name": "falcon", **UNTIED}, {}),
    "starcoder": ({"name": "starcoder", "kv_heads": 1, "extras": {"positions": 512}}, {}),
    "qwen2vl": ({"name": "qwen2vl"}, SECTIONS),
    "qwen3vl": ({"name": "qwen3vl"}, SECTIONS),
    "qwen3vlmoe": ({"name": "qwen3vlmoe", **EXPERTS}, SECTIONS),
    "qwen3moe": ({"name": "qwen3moe", **EXPERTS}, {}),
    "llama with experts": ({"name": "llama", **EXPERTS}, {"feed_forward_length": 32}),
    "granitemoe": ({"name": "granitemoe", **EXPERTS}, {**SCALED, "feed_forward_length": 32}),
    "dbrx": (
        {"name": "dbrx", **UNTIED, **EXPERTS},
        {"attention.clamp_kqv": 8.0, "feed_forward_length": 32},
    ),
    "gemma2": ({"name": "gemma2", "window": 32, "pattern": "SF"}, {}),
    "gemma3": ({"name": "gemma3", "window": 32, "pattern": "SSSSSF"}, {}),
    "cohere2": ({"name": "cohere2", "window": 32, "pattern": "SSSF"}, SCALED),
    "gpt-oss": ({"name": "gpt-oss", **UNTIED, "window": 32, "pattern": "SF", **EXPERTS}, {}),
    "gemma3n": (
        {
            "name": "gemma3n",
            "layers": 30,
            "window": 32,
            "pattern": "SSSSF",
            "cached_layers": 20,
            "extras": {"per_layer": 256, "per_layer_vocabulary": 1000, "altup": 4, "laurel": 64},
        },
        {
            "embedding_length_per_layer_input": 256,
            "altup.num_inputs": 4,
            "altup.active_idx": 0,
            "attention.shared_kv_layers": 10,
            "attention.sliding_window_pattern": windows(30, 5),
            "activation_sparsity_scale": [0.0] * 30,
        },
    ),
    **{
        name: (
            {
                "name": "gemma4",
                "window": 32,
                "pattern": "SSSSSF",
                "full_head_size": 32,
                "full_kv_heads": 1,
                "extras": {"keys_are_values": 1},
                **more,
            },
            GEMMA4,
        )
        for name, more in {"gemma4": {}, "gemma4 with experts": EXPERTS}.items()
    },
    "gemma4 with embeddings per layer": (
        {
            "name": "gemma4",
            "layers": 10,
            "window": 32,
            "pattern": "SSSSF",
            "full_head_size": 32,
            "cached_layers": 5,
            "extras": {"per_layer": 16, "per_layer_vocabulary": 1000, "wide_from": 5},
        },
        {
            **GEMMA4,
            "attention.head_count_kv": 2,
            "attention.shared_kv_layers": 5,
            "attention.sliding_window_pattern": windows(10, 5),
            "embedding_length_per_layer_input": 16,
            "feed_forward_length": [128] * 5 + [256] * 5,
        },
    ),
    "llama4": (
        {"name": "llama4", **UNTIED, "window": 8192, "pattern": "SSSF", **SHARED}
        | {"extras": {"expert_every": 2}},
        {"interleave_moe_layer_step": 2, "expert_shared_feed_forward_length": None},
    ),
    "deepseek2": (
        {"name": "deepseek2", **UNTIED, **EXPERTS, "shared_inner": 64}
        | {"extras": {**LATENT, "q_rank": 24, "expert_bias": 1}},
        {**MLA, "attention.q_lora_rank": 24, "expert_gating_func": 2},
    ),
    "deepseek2, lite": (  # llama.cpp knows it by its 27 layers
        {"name": "deepseek2", "layers": 27, **UNTIED, **EXPERTS, "shared_inner": 64}
        | {"extras": LATENT},
        MLA,
    ),
    "qwen35": ({"name": "qwen35", "pattern": "RRF", "extras": DELTA}, LINEAR),
    "qwen35moe": ({"name": "qwen35moe", "pattern": "RRF", "extras": DELTA, **SHARED}, LINEAR),
    "qwen3next": ({"name": "qwen3next", "pattern": "RRF", "extras": DELTA, **SHARED}, LINEAR),
    "lfm2": (
        {"name": "lfm2", "pattern": "RRF", "extras": {"kernel": 3}},
        {**hybrid("RRFRRF"), "shortconv.l_cache": 3},
    ),
    "lfm2moe": (
        {"name": "lfm2moe", "pattern": "RRF", **EXPERTS}
        | {"extras": {"kernel": 3, "dense_layers": 2, "expert_bias": 1}},
        {**hybrid("RRFRRF"), "shortconv.l_cache": 3}
        | {"leading_dense_block_count": 2, "expert_gating_func": 2},
    ),
    "granitehybrid": (
        {"name": "granitehybrid", "pattern": "MMF", "extras": MAMBA},
        {**hybrid("MMFMMF"), **SSM, **SCALED},
    ),
    "granitehybrid with experts": (
        {"name": "granitehybrid", "pattern": "MMF", "extras": MAMBA, **SHARED},
        {**hybrid("MMFMMF"), **SSM, **SCALED, "feed_forward_length": 32},
    ),
    "nemotron_h": (
        {"name": "nemotron_h", **UNTIED, "pattern": "MEF", "extras": MAMBA},
        {**hybrid("MEFMEF", 128), **SSM},
    ),
    "nemotron_h_moe": (
        {"name": "nemotron_h_moe", **UNTIED, "pattern": "MEF", "extras": MAMBA, **SHARED},
        {**hybrid("MEFMEF", 32), **SSM, "expert_shared_count": 1},
    ),
    "nemotron_h_moe, narrow experts": (
        {"name": "nemotron_h_moe", **UNTIED, "pattern": "MEF", **SHARED}
        | {"extras": {**MAMBA, "latent_width": 48}},
        {**hybrid("MEFMEF", 32), **SSM, "expert_shared_count": 1, "moe_latent_size": 48},
    ),
    "bert": ({"name": "bert", **ENCODER, "extras": {"types": 2, "positions": 512}}, ENCODES),
    "nomic-bert": ({"name": "nomic-bert", **ENCODER, "extras": {"types": 2}}, ENCODES),
    "nomic-bert-moe": (
        {"name": "nomic-bert-moe", **ENCODER, **EXPERTS, "expert_inner": 128}
        | {"extras": {"types": 1, "expert_every": 2}},
        {**ENCODES, "moe_every_n_layers": 2},
    ),
    "gemma-embedding": (
        {"name": "gemma-embedding", "causal": False, "extras": {"wide": 128, "kv_heads": 2}},
        {**ENCODES, "attention.head_count_kv": 2, "attention.sliding_window": 32}
        | {"dense_2_feat_in": 64, "dense_2_feat_out": 128}
        | {"dense_3_feat_in": 128, "dense_3_feat_out": 64},
    ),
}


def network(name: str) -> Architecture:
    """The architecture of one of NETWORKS."""
    return architecture_of(BASE | NETWORKS[name][0], name, context=512)


def write_empty(
    path: Path, name: str, tensors: tuple[TensorInfo, ...], quantisation: str = "F16"
) -> Path:
    """A file of one of NETWORKS with these tensors, all weights 0."""
    shape, more = network(name), NETWORKS[name][1]
    writer = gguf.GGUFWriter(path, shape.name)
    for key, value in (metadata(shape) | more).items():
        add(writer, f"{shape.name}.{key}", value)
    tokens, merges = vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_merges(merges)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_type_count(shape.extras.get("types", 1))
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for tensor in tensors:
        kind = gguf.GGMLQuantizationType[tensor.type]
        rows, size = tensor.shape[::-1], tensor.bytes
        writer.add_tensor_info(tensor.name, rows, np.dtype(np.float32), size, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:
        writer.write_tensor_data(np.zeros(tensor.bytes, np.uint8))
    writer.close()
    return path


def metadata(shape: Architecture) -> Facts:
    """What llama.cpp asks of every family."""
    kv_heads, key, value = max(shape.kv_heads), shape.key_size[0], shape.value_size[0]
    facts: Facts = {
        "context_length": 512,
        "embedding_length": shape.width,
        "block_count": shape.layers,
        "feed_forward_length": shape.inner,
        "vocab_size": shape.vocabulary,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": kv_heads or shape.heads,
        "attention.key_length": key,
        "attention.value_length": value or key,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "attention.layer_norm_epsilon": 1e-5,
        "attention.sliding_window": max((w for w in shape.windows if w), default=None),
        "rope.freq_base": 10000.0,
        "rope.dimension_count": key,
        "expert_count": shape.experts or None,
        "expert_used_count": shape.experts_used or None,
        "expert_feed_forward_length": shape.expert_inner or None,
        "expert_shared_feed_forward_length": shape.shared_inner or None,
    }
    return facts


def add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif value is not None:
        writer.add_array(key, value)

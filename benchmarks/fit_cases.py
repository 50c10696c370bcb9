"""What `fit_memory.py` loads: shapes of real models, how they are quantised and loaded.

Widths, heads, vocabularies and windows are the published ones; most have fewer layers here, so
that all cases run in ten minutes. The formulas were derived while looking at the shapes of
`DERIVED`; those of `HELD_OUT` were first loaded after the formulas stood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shaped_models import architecture

from workbench.fit import Architecture, Load

K = 1024


@dataclass(frozen=True)
class Shape:
    """An architecture, its kind of tokenizer, and metadata that its family alone has."""

    architecture: Architecture
    tokenizer: str = "bpe"
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One load of one shape."""

    shape: str
    quantisation: str
    load: Load
    quick: bool = False


def _case(shape: str, quantisation: str, context: int, quick: bool = False, **load: Any) -> Case:
    return Case(shape, quantisation, Load(context=context, **load), quick)


_SCALES = {
    "attention.scale": 0.015, "embedding_scale": 12.0, "residual_scale": 0.22, "logit_scale": 8.0,
}  # fmt: skip
_ENCODER = {"attention.causal": False, "pooling_type": 1}
_LATENT = {
    "attention.q_lora_rank": 768, "attention.kv_lora_rank": 512, "attention.key_length_mla": 192,
    "attention.value_length_mla": 128, "rope.dimension_count": 64, "expert_shared_count": 2,
    "leading_dense_block_count": 1, "expert_weights_scale": 1.0,
    "rope.scaling.yarn_log_multiplier": 0.07,
}  # fmt: skip
_DELTA = {
    "ssm.conv_kernel": 4, "ssm.state_size": 128, "ssm.group_count": 16, "ssm.time_step_rank": 16,
    "ssm.inner_size": 2048, "full_attention_interval": 4, "rope.dimension_count": 64,
    "rope.dimension_sections": [11, 11, 10, 0],
}  # fmt: skip
_DELTA_SIZES = {
    "linear_keys": 16, "key_head": 128, "linear_values": 16, "value_head": 128, "kernel": 4,
}  # fmt: skip


def _recurrent(layer: int) -> bool:
    return (layer + 1) % 4 != 0


_a = architecture
SHAPES: Mapping[str, Shape] = {
    "smollm 135M": Shape(
        _a("llama", 30, 576, heads=9, kv=3, inner=1536, vocabulary=49152, tied=True, context=8192)
    ),
    "smollm2 360M": Shape(
        _a("llama", 32, 960, heads=15, kv=5, inner=2560, vocabulary=49152, tied=True, context=8192)
    ),
    "llama 3.2 1B, 6 layers": Shape(
        _a(
            "llama", 6, 2048, heads=32, kv=8, inner=8192, vocabulary=128256, tied=True,
            context=131072,
        )
    ),
    "llama 3.2 3B, 4 layers": Shape(
        _a(
            "llama", 4, 3072, heads=24, kv=8, inner=8192, vocabulary=128256, tied=True,
            context=131072,
        )
    ),
    "tinyllama 1.1B, 8 layers": Shape(
        _a("llama", 8, 2048, heads=32, kv=4, inner=5632, vocabulary=32000, context=2048), "spm"
    ),
    "mistral 7B, 2 layers": Shape(
        _a("llama", 2, 4096, heads=32, kv=8, inner=14336, vocabulary=32000), "spm"
    ),
    "mixtral, 6 narrow layers": Shape(
        _a(
            "llama", 6, 1536, heads=24, kv=8, inner=5376, vocabulary=32000, experts=8,
            experts_used=2,
        ),
        "spm",
    ),
    "qwen2.5 0.5B": Shape(
        _a("qwen2", 24, 896, heads=14, kv=2, inner=4864, vocabulary=151936, tied=True)
    ),
    "qwen2.5 1.5B, 10 layers": Shape(
        _a("qwen2", 10, 1536, heads=12, kv=2, inner=8960, vocabulary=151936, tied=True)
    ),
    "qwen3 0.6B": Shape(
        _a(
            "qwen3", 28, 1024, heads=16, kv=8, head=128, inner=3072, vocabulary=151936, tied=True,
            context=40960,
        )
    ),
    "qwen3 1.7B, 8 layers": Shape(
        _a(
            "qwen3", 8, 2048, heads=16, kv=8, head=128, inner=6144, vocabulary=151936, tied=True,
            context=40960,
        )
    ),
    "qwen3 30B-A3B, 4 layers": Shape(
        _a(
            "qwen3moe", 4, 2048, heads=32, kv=4, head=128, inner=6144, vocabulary=151936,
            experts=128, experts_used=8, expert_inner=768,
        )
    ),
    "qwen3.5, 12 layers": Shape(
        _a(
            "qwen35", 12, 1024, heads=8, kv=2, head=256, inner=3584, vocabulary=248320, tied=True,
            recurrent=_recurrent, extras=_DELTA_SIZES,
        ),
        more=_DELTA,
    ),
    "gemma 2 2B, 4 layers": Shape(
        _a(
            "gemma2", 4, 2304, heads=8, kv=4, head=256, inner=9216, vocabulary=256000,
            window=(4096, 2), tied=True, context=8192,
        ),
        "spm",
    ),
    "gemma 3 1B, 12 layers": Shape(
        _a(
            "gemma3", 12, 1152, heads=4, kv=1, head=256, inner=6912, vocabulary=262144,
            window=(512, 6), tied=True,
        ),
        "spm",
    ),
    "gemma 3 270M": Shape(
        _a(
            "gemma3", 18, 640, heads=4, kv=1, head=256, inner=2048, vocabulary=262144,
            window=(512, 6), tied=True,
        ),
        "spm",
    ),
    "gemma 3 4B, 6 layers": Shape(
        _a(
            "gemma3", 6, 2560, heads=8, kv=4, head=256, inner=10240, vocabulary=262144,
            window=(1024, 6), tied=True,
        ),
        "spm",
    ),
    "phi 3 mini, 3 layers": Shape(
        _a("phi3", 3, 3072, heads=32, inner=8192, vocabulary=32064, context=4096), "spm"
    ),
    "gpt-oss 20B, 4 layers, 8 experts": Shape(
        _a(
            "gpt-oss", 4, 2880, heads=64, kv=8, head=64, vocabulary=201088, window=(128, 2),
            experts=8, experts_used=4, expert_inner=2880,
        )
    ),
    "granite 2B, 10 layers": Shape(
        _a("granite", 10, 2048, heads=32, kv=8, inner=4096, vocabulary=49155, tied=True),
        more=_SCALES,
    ),
    "granite 3 1B-A400M": Shape(
        _a(
            "granitemoe", 24, 1024, heads=16, kv=8, vocabulary=49155, tied=True, experts=32,
            experts_used=8, expert_inner=512, inner=512,
        ),
        more=_SCALES,
    ),
    "olmo 2 1B, narrow": Shape(
        _a("olmo2", 16, 1024, heads=16, inner=4096, vocabulary=100352, context=4096)
    ),
    "command-r7b, 4 layers": Shape(
        _a(
            "cohere2", 4, 4096, heads=32, kv=8, inner=14336, vocabulary=256000, tied=True,
            window=(4096, 4),
        ),
        more={"logit_scale": 0.25},
    ),
    "aya, 3 narrow layers": Shape(
        _a(
            "command-r", 3, 3072, heads=24, kv=24, inner=8192, vocabulary=256000, tied=True,
            context=8192,
        ),
        more={"logit_scale": 0.06},
    ),
    "deepseek v2 lite, 4 layers": Shape(
        _a(
            "deepseek2", 4, 2048, heads=16, kv=1, head=576, value=512, inner=10944,
            vocabulary=102400, experts=64, experts_used=6, expert_inner=1408, shared_inner=2816,
            extras={
                "kv_rank": 512, "rope": 64, "nope": 128, "value": 128, "dense_layers": 1,
                "q_rank": 768,
            },
        ),
        more=_LATENT,
    ),
    "starcoder2 3B, 4 layers": Shape(
        _a(
            "starcoder2", 4, 3072, heads=24, kv=2, inner=12288, vocabulary=49152, context=16384,
            tied=True,
        )
    ),
    "internlm2 1.8B, 6 layers": Shape(
        _a("internlm2", 6, 2048, heads=16, kv=8, inner=8192, vocabulary=92544), "spm"
    ),
    "stablelm 2 1.6B, 6 layers": Shape(
        _a("stablelm", 6, 2048, heads=32, inner=5632, vocabulary=100352, context=4096)
    ),
    "bge small": Shape(
        _a(
            "bert", 12, 384, heads=12, kv=0, inner=1536, vocabulary=30522, context=512, tied=True,
            causal=False, extras={"types": 2, "positions": 512},
        ),
        "wpm",
        _ENCODER | {"attention.head_count_kv": 12},
    ),
    "bge base": Shape(
        _a(
            "bert", 12, 768, heads=12, kv=0, inner=3072, vocabulary=30522, context=512, tied=True,
            causal=False, extras={"types": 2, "positions": 512},
        ),
        "wpm",
        _ENCODER | {"attention.head_count_kv": 12},
    ),
    "nomic-embed": Shape(
        _a(
            "nomic-bert", 12, 768, heads=12, kv=0, inner=3072, vocabulary=30522, context=2048,
            tied=True, causal=False, extras={"types": 2},
        ),
        "wpm",
        _ENCODER | {"attention.head_count_kv": 12},
    ),
}  # fmt: skip

DERIVED = (
    _case("smollm 135M", "F16", 4 * K, slots=4),
    _case("smollm 135M", "Q8_0", 2 * K, quick=True),
    _case("qwen2.5 0.5B", "Q4_0", 2 * K),
    _case("qwen2.5 0.5B", "Q4_K_M", 8 * K, cache_type="q8_0"),
    _case("llama 3.2 1B, 6 layers", "Q4_K_M", 4 * K),
    _case("llama 3.2 1B, 6 layers", "Q4_0", 2 * K, mmap=True),
    _case("qwen3 0.6B", "Q6_K", 4 * K),
    _case("qwen3 30B-A3B, 4 layers", "Q4_K_M", 4 * K),
    _case("gemma 2 2B, 4 layers", "Q4_0", 8 * K),
    _case("gemma 3 1B, 12 layers", "Q4_K_M", 8 * K),
    _case("gemma 3 1B, 12 layers", "Q8_0", 4 * K, slots=4),
    _case("phi 3 mini, 3 layers", "Q4_K_M", 4 * K),
    _case("mistral 7B, 2 layers", "Q4_K_M", 4 * K),
    _case("mixtral, 6 narrow layers", "Q5_K_M", 4 * K),
    _case("gpt-oss 20B, 4 layers, 8 experts", "Q8_0", 8 * K),
    _case("granite 2B, 10 layers", "Q5_0", 4 * K),
    _case("olmo 2 1B, narrow", "Q6_K", 4 * K),
    _case("aya, 3 narrow layers", "Q4_K_M", 4 * K),
    _case("bge base", "F16", 512, embedding=True),
)

HELD_OUT = (
    _case("smollm2 360M", "Q4_K_M", 8 * K, quick=True, slots=4, cache_type="q8_0"),
    _case("llama 3.2 3B, 4 layers", "Q4_0", 16 * K, cache_type="q8_0"),
    _case("tinyllama 1.1B, 8 layers", "Q5_0", 2 * K),
    _case("mistral 7B, 2 layers", "Q4_0", 32 * K, cache_type="q8_0", mmap=True),
    _case("qwen2.5 1.5B, 10 layers", "Q4_K_M", 32 * K),
    _case("qwen3 1.7B, 8 layers", "Q8_0", 2 * K),
    _case("qwen3.5, 12 layers", "Q4_K_M", 4 * K),
    _case("gemma 3 270M", "Q8_0", 4 * K, quick=True),
    _case("gemma 3 4B, 6 layers", "Q4_K_M", 16 * K),
    _case("granite 3 1B-A400M", "Q4_K_M", 4 * K),
    _case("command-r7b, 4 layers", "Q4_0", 4 * K),
    _case("deepseek v2 lite, 4 layers", "Q4_K_M", 8 * K),
    _case("starcoder2 3B, 4 layers", "Q5_K_M", 8 * K),
    _case("internlm2 1.8B, 6 layers", "Q4_K_M", 4 * K),
    _case("stablelm 2 1.6B, 6 layers", "Q4_1", 4 * K),
    _case("bge small", "F16", 512, quick=True, embedding=True),
    _case("nomic-embed", "Q8_0", 2 * K, embedding=True),
)

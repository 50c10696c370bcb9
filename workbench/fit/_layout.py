"""Which tensors a network of each family has: names and shapes as llama.cpp writes them.

A layout is data: words of the form `name size,size` (row length first, as in the file). Names
without a suffix end in `.weight`. Sizes are words that `_sizes` computes for each layer. The
layouts are facts of llama.cpp's converters and graphs; the package's tests hold them against
real headers and against published parameter counts. Left out, since small: tables of rotary
factors, the vision and audio towers (a file of their own, or a gap that a card explains).
"""

from __future__ import annotations

from functools import cache, lru_cache
from math import prod
from typing import NamedTuple

from workbench.errors import FitError
from workbench.fit._records import Architecture

_HEAD = "token_embd width,vocabulary; output_norm width; output width,vocabulary"
_PROJECTIONS = "attn_q width,q; attn_k width,k; attn_v width,v; attn_output q,width"
_NORMED = "attn_norm width; " + _PROJECTIONS
_FUSED = "attn_norm width; attn_qkv width,qkv; attn_output q,width"
_FFN = "ffn_gate width,inner; ffn_up width,inner; ffn_down inner,width"
_GATED = "ffn_norm width; " + _FFN
_PLAIN = "ffn_up width,inner; ffn_down inner,width"
_ROUTED = (
    "ffn_gate_inp width,experts; ffn_gate_exps width,expert,experts; "
    "ffn_up_exps width,expert,experts; ffn_down_exps expert,width,experts"
)
_SHARED = "ffn_gate_shexp width,shared; ffn_up_shexp width,shared; ffn_down_shexp shared,width"
_QKV_BIAS = "; attn_q.bias q; attn_k.bias k; attn_v.bias v"
_QK_NORM = "; attn_q_norm head; attn_k_norm head"
_POST = "; post_attention_norm width; post_ffw_norm width"
_BIASED_NORMS = "; attn_norm.bias width; ffn_norm width; ffn_norm.bias width"
_BIASED_HEAD = _HEAD + "; output_norm.bias width"
_BIASED_PLAIN = _PLAIN + "; ffn_up.bias inner; ffn_down.bias width"
_DELTA = (
    "attn_norm width; attn_qkv width,mixed; attn_gate width,values; ssm_conv1d kernel,mixed; "
    "ssm_dt.bias gates; ssm_a. gates; ssm_norm value_head; ssm_out values,width"
)
_DELTA_ATTENTION = (
    "attn_norm width; attn_q width,2q; attn_k width,k; attn_v width,v; attn_output q,width"
    + _QK_NORM
)
_DELTA_DENSE = "post_attention_norm width; " + _FFN
_DELTA_ROUTED = f"post_attention_norm width; {_ROUTED}; {_SHARED}; ffn_gate_inp_shexp width"
_ENCODER_HEAD = (
    "token_embd width,vocabulary; token_types width,types; "
    "token_embd_norm width; token_embd_norm.bias width"
)
_ENCODER_NORMS = (
    "; attn_output_norm width; attn_output_norm.bias width"
    "; layer_output_norm width; layer_output_norm.bias width"
)


class _Family(NamedTuple):
    """One architecture's layout. `recurrent` is of layers without keys and values."""

    attention: str = _NORMED
    ffn: str = _GATED
    routed: str = "ffn_norm width; " + _ROUTED
    recurrent: str = ""
    head: str = _HEAD


_LLAMA = _Family()
_QWEN2 = _Family(attention=_NORMED + _QKV_BIAS)
_QWEN3 = _Family(attention=_NORMED + _QK_NORM)
_GEMMA2 = _Family(ffn=_GATED + _POST)
_COMMAND = _Family(ffn=_FFN)
_QWEN35 = _Family(
    _DELTA_ATTENTION,
    _DELTA_DENSE,
    _DELTA_ROUTED,
    _DELTA + "; ssm_beta width,gates; ssm_alpha width,gates",
)

_FAMILIES = {
    "llama": _LLAMA,
    "mistral3": _LLAMA,
    "granite": _LLAMA,
    "granitemoe": _LLAMA,
    "exaone": _LLAMA,
    "internlm2": _LLAMA,
    "gemma": _LLAMA,
    "solar": _LLAMA,
    "qwen2": _QWEN2,
    "qwen2vl": _QWEN2,
    "qwen3": _QWEN3,
    "qwen3vl": _QWEN3,
    "qwen3moe": _QWEN3,
    "qwen3vlmoe": _QWEN3,
    "gemma2": _GEMMA2,
    "gemma3": _GEMMA2._replace(attention=_NORMED + _QK_NORM),
    "command-r": _COMMAND,
    "cohere2": _COMMAND,
    "phi3": _Family(_FUSED, "ffn_norm width; ffn_up width,2inner; ffn_down inner,width"),
    "phi2": _Family(
        _FUSED + "; attn_norm.bias width; attn_qkv.bias qkv; attn_output.bias width",
        _BIASED_PLAIN,
        head=_BIASED_HEAD + "; output.bias vocabulary",
    ),
    "olmo2": _Family(_PROJECTIONS + "; attn_q_norm q; attn_k_norm k", _FFN + _POST),
    "starcoder2": _Family(
        _NORMED + _QKV_BIAS + "; attn_output.bias width" + _BIASED_NORMS,
        _BIASED_PLAIN,
        head=_BIASED_HEAD,
    ),
    "stablelm": _Family(_NORMED + _BIASED_NORMS, _FFN, head=_BIASED_HEAD),
    "nemotron": _Family(_NORMED + _BIASED_NORMS, _PLAIN, head=_BIASED_HEAD),
    "falcon": _Family(_FUSED + "; attn_norm.bias width", _PLAIN, head=_BIASED_HEAD),
    "gpt-oss": _Family(
        _NORMED + _QKV_BIAS + "; attn_output.bias width; attn_sinks heads",
        routed="post_attention_norm width; ffn_gate_inp.bias experts; "
        "ffn_gate_exps.bias expert,experts; ffn_up_exps.bias expert,experts; "
        "ffn_down_exps.bias width,experts; " + _ROUTED,
    ),
    "llama4": _Family(routed=f"ffn_norm width; {_ROUTED}; {_SHARED}"),
    "deepseek2": _Family(
        "attn_norm width; attn_kv_a_mqa width,latent; attn_kv_a_norm kv_rank; "
        "attn_k_b nope,kv_rank,heads; attn_v_b kv_rank,value,heads; attn_output mla_out,width",
        routed=f"ffn_norm width; {_ROUTED}; {_SHARED}",
    ),
    "qwen35": _QWEN35,
    "qwen35moe": _QWEN35,
    "qwen3next": _QWEN35._replace(recurrent=_DELTA + "; ssm_ba width,2gates"),
    "bert": _Family(
        _PROJECTIONS + _QKV_BIAS + "; attn_output.bias width",
        _BIASED_PLAIN + _ENCODER_NORMS,
        head=_ENCODER_HEAD + "; position_embd width,positions",
    ),
    "nomic-bert": _Family(
        "attn_qkv width,qkv; attn_output q,width", _FFN + _ENCODER_NORMS, head=_ENCODER_HEAD
    ),
}


@lru_cache(maxsize=4096)
def shapes(architecture: Architecture) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Name and shape of every tensor; FitError when the family's layout is not known."""
    family = _FAMILIES.get(architecture.name)
    if family is None:
        raise FitError(
            f"The tensors of the family {architecture.name!r} are not known without a file. "
            "Give a GGUF file to have it priced."
        )
    skipped = {"output.weight"} if architecture.tied else set()
    sizes = _sizes(architecture, 0)
    found = [(name, shape) for name, shape in _fill(family.head, sizes) if name not in skipped]
    layers: dict[tuple[str, tuple[int, ...]], list[tuple[str, tuple[int, ...]]]] = {}
    for layer in range(architecture.layers):
        layout = _layout(architecture, family, layer)
        key = (layout, _varying(architecture, layer))
        if key not in layers:
            layers[key] = _fill(layout, _sizes(architecture, layer))
        found += [(f"blk.{layer}.{name}", shape) for name, shape in layers[key]]
    return tuple(found)


def parameter_count(architecture: Architecture) -> int:
    """Numbers in all tensors; FitError when the family's layout is not known."""
    return sum(prod(shape) for _, shape in shapes(architecture))


def active_parameter_count(architecture: Architecture) -> int:
    """Numbers that one token passes: of a mixture's experts those that are used."""
    total = parameter_count(architecture)
    if not architecture.experts:
        return total
    routed = sum(prod(shape) for name, shape in shapes(architecture) if "_exps." in name)
    return total - routed + routed * architecture.experts_used // architecture.experts


def _layout(architecture: Architecture, family: _Family, layer: int) -> str:
    """The words for one layer."""
    extras = architecture.extras
    recurrent = family.recurrent and not architecture.kv_heads[layer]
    attention = family.recurrent if recurrent else family.attention
    if architecture.name == "deepseek2":
        lora = "q_rank" in extras
        attention += "; attn_q_a width,q_rank; attn_q_a_norm q_rank; attn_q_b q_rank,mla_q" * lora
        attention += "; attn_q width,mla_q" * (not lora)
    if architecture.name == "falcon" and architecture.kv_heads[layer] > 1:
        attention += "; attn_norm_2 width; attn_norm_2.bias width"
    attention += _QKV_BIAS * bool(extras.get("qkv_bias"))
    every = extras.get("expert_every", 1)
    routed = architecture.experts and layer >= extras.get("dense_layers", 0)
    routed = routed and layer % every == every - 1
    ffn = family.routed if routed else family.ffn
    ffn += "; exp_probs_b.bias experts" * bool(routed and extras.get("expert_bias"))
    return f"{attention}; {ffn}"


def _varying(architecture: Architecture, layer: int) -> tuple[int, ...]:
    """What of `_sizes` depends on the layer."""
    one = architecture
    return one.kv_heads[layer], one.key_size[layer], one.value_size[layer]


def _sizes(architecture: Architecture, layer: int) -> dict[str, int]:
    """The words of the layouts as numbers."""
    one = architecture
    kv_heads, head, value = _varying(one, layer)
    if not kv_heads and not one.causal:
        kv_heads = one.heads
    q, k, v = one.heads * head, kv_heads * head, kv_heads * value
    sizes = {"width": one.width, "vocabulary": one.vocabulary, "heads": one.heads, "head": head}
    sizes |= {"q": q, "k": k, "v": v, "2q": 2 * q, "qkv": q + k + v}
    sizes |= {"inner": one.inner, "2inner": 2 * one.inner, "shared": one.shared_inner}
    sizes |= {"experts": one.experts, "expert": one.expert_inner or one.inner}
    sizes |= one.extras
    if "kv_rank" in sizes:
        rope, nope = sizes.get("rope", 0), sizes.get("nope", 0)
        sizes["latent"] = sizes["kv_rank"] + rope
        sizes["mla_q"] = one.heads * (nope + rope)
        sizes["mla_out"] = one.heads * sizes.get("value", 0)
    if "linear_keys" in sizes:
        keys = sizes["linear_keys"] * sizes["key_head"]
        sizes["gates"] = sizes["linear_values"]
        sizes["2gates"] = 2 * sizes["gates"]
        sizes["values"] = sizes["linear_values"] * sizes["value_head"]
        sizes["mixed"] = 2 * keys + sizes["values"]
    return sizes


@cache
def _words(layout: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    parsed = []
    for entry in layout.split(";"):
        name, _, shape = entry.strip().partition(" ")
        parsed.append((name.rstrip(".") if "." in name else f"{name}.weight", shape))
    return tuple((name, tuple(shape.split(","))) for name, shape in parsed)


def _fill(layout: str, sizes: dict[str, int]) -> list[tuple[str, tuple[int, ...]]]:
    try:
        return [(name, tuple(sizes[word] for word in shape)) for name, shape in _words(layout)]
    except KeyError as error:
        raise FitError(
            f"The facts lack {error} of this family, so its tensors cannot be computed. "
            "Give a GGUF file to have it priced."
        ) from error

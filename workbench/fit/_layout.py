"""Which tensors a network of each family has: names and shapes as llama.cpp writes them.

A layout is data: words of the form `name size,size` (row length first, as in the file). Names
without a dot end in `.weight`. Sizes are words that `_parameters` computes for each layer. The
layouts are facts of llama.cpp's converters and graphs; the package's tests hold them against
real headers and against published parameter counts. Left out, since small: tables of rotary
factors, the vision and audio towers (a file of their own, or a gap that a card explains).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

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
QKV_BIAS = "; attn_q.bias q; attn_k.bias k; attn_v.bias v"
QK_NORM = "; attn_q_norm head; attn_k_norm head"
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
    + QK_NORM
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


PER_LAYER_HEAD = (
    "; per_layer_token_embd per_layers,per_layer_vocabulary; "
    "per_layer_model_proj width,per_layers; per_layer_proj_norm per_layer"
)
PER_LAYER = "; inp_gate width,per_layer; proj per_layer,width; post_norm width"
_ALTUP_HEAD = "; altup_proj width,width,others; altup_unembd_proj width,width,others"
_ALTUP = (
    "; altup_correct_coef altup,altup; altup_correct_scale width; altup_router width,altup; "
    "altup_predict_coef altup,altups; altup_router_norm width; "
    "laurel_l width,laurel; laurel_r laurel,width; laurel_post_norm width"
)
_MAMBA = (
    "attn_norm width; ssm_in width,projected; ssm_conv1d kernel,mixed; ssm_conv1d.bias mixed; "
    "ssm_dt.bias mamba_heads; ssm_a. 1,mamba_heads; ssm_d. 1,mamba_heads; "
    "ssm_norm group,groups; ssm_out mamba,width"
)
_SQUARED = "ffn_up_exps routed_width,expert,experts; ffn_down_exps expert,routed_width,experts"


class Family(NamedTuple):
    """One architecture's layout. `recurrent` is of layers that keep a state and no keys, or
    attend to a picture.

    `alone`: a layer has attention or a state or a feed-forward part, never two of them.
    """

    attention: str = _NORMED
    ffn: str = _GATED
    routed: str = "ffn_norm width; " + _ROUTED
    recurrent: str = ""
    head: str = _HEAD
    alone: bool = False


_LLAMA = Family()
_QWEN2 = Family(attention=_NORMED + QKV_BIAS)
_QWEN3 = Family(attention=_NORMED + QK_NORM)
_GEMMA2 = Family(ffn=_GATED + _POST)
_GEMMA3 = _GEMMA2._replace(attention=_NORMED + QK_NORM)
_COMMAND = Family(ffn=_FFN)
_LFM2 = Family(
    _NORMED + QK_NORM,
    recurrent="attn_norm width; shortconv.conv.weight kernel,width; "
    "shortconv.in_proj.weight width,3width; shortconv.out_proj.weight width,width",
    head="token_embd width,vocabulary; token_embd_norm width",
)
_QWEN35 = Family(
    _DELTA_ATTENTION,
    _DELTA_DENSE,
    _DELTA_ROUTED,
    _DELTA + "; ssm_beta width,gates; ssm_alpha width,gates",
)

FAMILIES: Mapping[str, Family] = {
    "llama": _LLAMA,
    "mistral3": _LLAMA,
    "mllama": _LLAMA._replace(
        recurrent=_NORMED.replace("attn_", "cross_attn_")
        + "; cross_attn_q_norm head; cross_attn_k_norm head; cross_attn_gate. 1; ffn_gate. 1"
    ),
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
    "gemma3": _GEMMA3,
    "gemma-embedding": _GEMMA3._replace(head=_HEAD + "; dense_2 width,wide; dense_3 wide,width"),
    "gemma3n": _GEMMA3._replace(
        ffn=_GATED + _POST + PER_LAYER + _ALTUP, head=_HEAD + PER_LAYER_HEAD + _ALTUP_HEAD
    ),
    "gemma4": _GEMMA3._replace(
        head=_HEAD + "; rope_freqs full_half",
        ffn=_GATED + _POST + "; layer_output_scale 1",
        routed=_GATED + _POST + "; layer_output_scale 1; ffn_gate_inp width,experts; "
        "ffn_gate_inp.scale width; ffn_gate_up_exps width,2expert,experts; "
        "ffn_down_exps expert,width,experts; ffn_down_exps.scale experts; "
        "pre_ffw_norm_2 width; post_ffw_norm_1 width; post_ffw_norm_2 width",
    ),
    "command-r": _COMMAND,
    "cohere2": _COMMAND,
    "phi3": Family(_FUSED, "ffn_norm width; ffn_up width,2inner; ffn_down inner,width"),
    "phi2": Family(
        _FUSED + "; attn_norm.bias width; attn_qkv.bias qkv; attn_output.bias width",
        _BIASED_PLAIN,
        head=_BIASED_HEAD + "; output.bias vocabulary",
    ),
    "olmo2": Family(_PROJECTIONS + "; attn_q_norm q; attn_k_norm k", _FFN + _POST),
    "starcoder2": Family(
        _NORMED + QKV_BIAS + "; attn_output.bias width" + _BIASED_NORMS,
        _BIASED_PLAIN,
        head=_BIASED_HEAD,
    ),
    "stablelm": Family(_NORMED + _BIASED_NORMS, _FFN, head=_BIASED_HEAD),
    "nemotron": Family(_NORMED + _BIASED_NORMS, _PLAIN, head=_BIASED_HEAD),
    "falcon": Family(_FUSED + "; attn_norm.bias width", _PLAIN, head=_BIASED_HEAD),
    "gpt-oss": Family(
        _NORMED + QKV_BIAS + "; attn_output.bias width; attn_sinks heads",
        routed="post_attention_norm width; ffn_gate_inp.bias experts; "
        "ffn_gate_exps.bias expert,experts; ffn_up_exps.bias expert,experts; "
        "ffn_down_exps.bias width,experts; " + _ROUTED,
    ),
    "llama4": Family(routed=f"ffn_norm width; {_ROUTED}; {_SHARED}"),
    "deepseek2": Family(
        "attn_norm width; attn_kv_a_mqa width,latent; attn_kv_a_norm kv_rank; "
        "attn_k_b nope,kv_rank,heads; attn_v_b kv_rank,value,heads; attn_output mla_out,width",
        routed=f"ffn_norm width; {_ROUTED}; {_SHARED}",
    ),
    "chatglm": Family(
        _FUSED + "; attn_qkv.bias qkv", "ffn_norm width; ffn_up width,2inner; ffn_down inner,width"
    ),
    "dbrx": Family(_FUSED + "; attn_output_norm width", routed=_ROUTED),
    "starcoder": Family(
        _FUSED + "; attn_qkv.bias qkv; attn_output.bias width" + _BIASED_NORMS,
        _BIASED_PLAIN,
        head=_BIASED_HEAD + "; position_embd width,positions",
    ),
    "granitehybrid": Family(routed=f"ffn_norm width; {_ROUTED}; {_SHARED}", recurrent=_MAMBA),
    "nemotron_h": Family(ffn="attn_norm width; " + _PLAIN, recurrent=_MAMBA, alone=True),
    "nemotron_h_moe": Family(
        routed="attn_norm width; ffn_gate_inp width,experts; exp_probs_b.bias experts; "
        f"{_SQUARED}; ffn_up_shexp width,shared; ffn_down_shexp shared,width",
        recurrent=_MAMBA,
        alone=True,
    ),
    "lfm2moe": _LFM2,
    "lfm2": _LFM2,
    "qwen35": _QWEN35,
    "qwen35moe": _QWEN35,
    "qwen3next": _QWEN35._replace(recurrent=_DELTA + "; ssm_ba width,2gates"),
    "bert": Family(
        _PROJECTIONS + QKV_BIAS + "; attn_output.bias width",
        _BIASED_PLAIN + _ENCODER_NORMS,
        head=_ENCODER_HEAD + "; position_embd width,positions",
    ),
    "nomic-bert-moe": Family(
        "attn_qkv width,qkv; attn_qkv.bias qkv; attn_output q,width; attn_output.bias width",
        _BIASED_PLAIN + _ENCODER_NORMS,
        "ffn_gate_inp width,experts; ffn_up_exps width,expert,experts; "
        "ffn_down_exps expert,width,experts" + _ENCODER_NORMS,
        head=_ENCODER_HEAD,
    ),
    "nomic-bert": Family(
        "attn_qkv width,qkv; attn_output q,width", _FFN + _ENCODER_NORMS, head=_ENCODER_HEAD
    ),
}

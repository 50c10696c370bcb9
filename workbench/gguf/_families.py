"""What is particular to each family of models: its metadata, and what happens to its tensors.

The names of tensors come from gguf's `TensorNameMap`. Facts about the layouts come from
Transformers' model code and from what llama.cpp's graph of the same architecture expects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from gguf import GGUFWriter

from workbench.errors import GGUFError
from workbench.gguf._checkpoint import Config, Lazy
from workbench.gguf._rope import add_rope, interleave, rope_of

Extra = dict[str, Lazy]


def _unchanged(name: str, tensor: Lazy, config: Config) -> Lazy:
    return tensor


@dataclass(frozen=True)
class Family:
    """`metadata` writes keys and returns extra tensors; `change` adapts one tensor."""

    architecture: str
    metadata: Callable[[GGUFWriter, Config], Extra]
    change: Callable[[str, Lazy, Config], Lazy] = _unchanged
    skip: re.Pattern[str] = re.compile(r"rotary_emb\.inv_freq$")
    prefixes: tuple[tuple[str, str], ...] = (("layers.", "model."), ("embed_tokens", "model."))
    """A name that begins with the first gets the second in front: bare base models."""


def heads_of(config: Config) -> tuple[int, int]:
    """Query heads and key-value heads."""
    heads = config.integer("num_attention_heads", "n_head")
    return heads, config.integer("num_key_value_heads", default=heads)


def head_dim_of(config: Config) -> int:
    """Features of one head."""
    heads, _ = heads_of(config)
    return config.integer("head_dim", default=config.integer("hidden_size") // heads)


def _sizes(writer: GGUFWriter, config: Config) -> None:
    """The keys that all families have, by their newer or by GPT-2's names."""
    width = config.integer("hidden_size", "n_embd")
    context = config.integer("max_position_embeddings", "n_positions", "n_ctx", default=2048)
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(config.integer("num_hidden_layers", "n_layer"))
    writer.add_feed_forward_length(
        config.integer("intermediate_size", "n_inner", default=4 * width)
    )
    writer.add_head_count(heads_of(config)[0])


def _decoder(
    writer: GGUFWriter, config: Config, *, epsilon: float = 1e-6, theta: float = 1e4
) -> Extra:
    """The keys of a decoder with RMS norms and rotary positions."""
    head_dim = head_dim_of(config)
    _sizes(writer, config)
    writer.add_head_count_kv(heads_of(config)[1])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.number("rms_norm_eps", default=epsilon))
    return add_rope(writer, config, head_dim, default_theta=theta)


def _pairs(name: str, tensor: Lazy, config: Config) -> Lazy:
    """Query and key rows in llama.cpp's order for the `llama` architecture."""
    heads, kv_heads = heads_of(config)
    for part, count in (("q_proj", heads), ("k_proj", kv_heads)):
        if name.endswith((f".{part}.weight", f".{part}.bias")):
            return tensor.map(partial(interleave, heads=count))
    return tensor


def _silent_window(writer: GGUFWriter, config: Config) -> Extra:
    """Qwen: a sliding window only if switched on, which llama.cpp cannot do for it."""
    if config.get("use_sliding_window"):
        raise GGUFError(f"{config.source}: a sliding window is not supported for Qwen models.")
    return _decoder(writer, config)


def _phi3(writer: GGUFWriter, config: Config) -> Extra:
    extra = _decoder(writer, config, epsilon=1e-5)
    if config.get("sliding_window"):
        writer.add_sliding_window(config.integer("sliding_window"))
    return extra


def _gemma3(writer: GGUFWriter, config: Config) -> Extra:
    head_dim, window = head_dim_of(config), config.integer("sliding_window", default=4096)
    scale = config.number("query_pre_attn_scalar", default=head_dim)
    is_27b = config.integer("num_hidden_layers") == 62  # llama.cpp's sign of the other scale
    if scale != (config.integer("hidden_size") / heads_of(config)[0] if is_27b else head_dim):
        raise GGUFError(f"{config.source}: query_pre_attn_scalar {scale:g} is not supported.")
    extra = _decoder(writer, config, theta=1e6)
    writer.add_sliding_window(window)
    local = Config(rope_of(config, "sliding_attention"), config.source)
    default = config.number("rope_local_base_freq", default=1e4)
    nested = "full_attention" in (config.get("rope_parameters") or {})
    writer.add_rope_freq_base_swa(local.number("rope_theta") if nested else default)
    if config.get("final_logit_softcapping"):
        writer.add_final_logit_softcapping(config.number("final_logit_softcapping"))
    return extra


def _plus_one(name: str, tensor: Lazy, config: Config) -> Lazy:
    """Gemma multiplies by 1 + weight, llama.cpp's norm by the weight."""
    return tensor.map(lambda weight: weight + 1) if name.endswith("norm.weight") else tensor


def _gpt2(writer: GGUFWriter, config: Config) -> Extra:
    if config.get("activation_function", "gelu_new") not in {"gelu_new", "gelu_pytorch_tanh"}:
        raise GGUFError(f"{config.source}: only GPT-2's own activation, gelu_new, is supported.")
    _sizes(writer, config)
    writer.add_layer_norm_eps(config.number("layer_norm_epsilon", default=1e-5))
    return {}


def _turned(name: str, tensor: Lazy, config: Config) -> Lazy:
    """GPT-2 keeps its projections as (inputs, outputs)."""
    if not re.search(r"\.(c_attn|c_proj|c_fc)\.weight$", name):
        return tensor
    return tensor.map(lambda weight: weight.T, tensor.shape[::-1])


def _bert(writer: GGUFWriter, config: Config) -> Extra:
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise GGUFError(f"{config.source}: only absolute positions are supported for BERT.")
    if config.get("hidden_act", "gelu") not in {"gelu", "gelu_new", "gelu_pytorch_tanh"}:
        raise GGUFError(f"{config.source}: only the activation gelu is supported for BERT.")
    _sizes(writer, config)
    writer.add_layer_norm_eps(config.number("layer_norm_eps", default=1e-12))
    writer.add_causal_attention(False)
    writer.add_token_type_count(config.integer("type_vocab_size", default=2))
    return {}


_VISION = re.compile(r"^(model\.)?(vision_tower|multi_modal_projector)\.")
_MASKS = re.compile(r"\.attn\.(masked_)?bias$")
_HEADS = re.compile(r"^pooler\.|position_ids$|^cls\.")
_LLAMA = Family("llama", _decoder, _pairs)
_GEMMA3 = Family("gemma3", _gemma3, _plus_one, skip=_VISION)

FAMILIES: Mapping[str, Family] = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": Family("qwen2", _silent_window),
    "qwen3": Family("qwen3", _silent_window),
    "gemma3": _GEMMA3,
    "gemma3_text": _GEMMA3,
    "phi3": Family("phi3", _phi3),
    "gpt2": Family("gpt2", _gpt2, _turned, skip=_MASKS, prefixes=()),
    "bert": Family("bert", _bert, skip=_HEADS, prefixes=(("layer.", "encoder."),)),
}


def family_of(config: Config) -> Family:
    """The family of `model_type`; GGUFError names those that are supported."""
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None:
        raise GGUFError(
            f"Models of the type {config.get('model_type')!r} cannot be converted. "
            f"Supported: {', '.join(FAMILIES)}."
        )
    return family

"""A GGUF header as a `Network`: the shape that memory and speed depend on, checked.

Sizes that a header states are taken over, the others follow from the tensors or from the
defaults of llama.cpp (facts from its `llama-hparams` and `src/models`): heads of width / heads
numbers, key and value alike; sliding windows in the layers that each family's pattern names;
recurrent layers where a hybrid keeps no keys. A header that contradicts itself, or lacks what
memory hangs on, is refused with FitError.
"""

from __future__ import annotations

from typing import Any

from workbench.errors import FitError
from workbench.fit._records import Architecture, Network
from workbench.gguf import Array, Header

_ENCODERS = {
    "bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert",
    "neo-bert", "eurobert", "gemma-embedding", "t5encoder",
}  # fmt: skip
# every n-th layer sees all tokens, the others a window; negative: the first of each n does
_PATTERNS = {
    "gemma2": 2, "gemma3": 6, "gemma3n": 5, "gemma-embedding": 6, "gpt-oss": 2, "cohere2": 4,
    "olmo2": 4, "exaone4": 4, "exaone-moe": 4, "llama4": 4, "smallthinker": -4, "afmoe": 4,
    "modern-bert": -3, "cohere2moe": 4,
}  # fmt: skip
_MOST = {"layers": 2048, "width": 1 << 18, "heads": 1 << 14, "size": 1 << 16, "inner": 1 << 22}
_CONTEXT = 1 << 31


def network_of(header: Header) -> Network:
    """The network that a file's header describes. Raises FitError when it cannot be told."""
    name = header.architecture
    if not name:
        raise FitError("The file does not name its architecture; is it a language model?")
    if name == "clip":
        raise FitError("The file is a projector for images, not a language model.")
    tensors = {tensor.name: tensor for tensor in header.tensors}
    table = tensors.get("token_embd.weight")
    if table is None or len(table.shape) < 2:
        raise FitError(f"The file has no token embeddings, so it is no {name} model to load.")
    layers = _one(header, "block_count", "layers", "layers")
    width = _one(header, "embedding_length", "width", "features")
    if table.shape[0] != width:
        raise FitError(f"The embeddings have {table.shape[0]} features, the header says {width}.")
    heads = _per_layer(header, "attention.head_count", layers, "heads", 0)
    kv_heads = _kv_heads(header, layers, heads)
    default = width // max(*heads, 1)
    windows = _windows(header, layers)
    key = _sizes(header, "key_length", windows, default)
    value = _sizes(header, "value_length", windows, default)
    extras = {k: v for k, v in _extras(header) if v}
    shape = Architecture(
        name=name,
        layers=layers,
        width=width,
        vocabulary=table.shape[1],
        heads=max(heads, default=0),
        kv_heads=kv_heads,
        key_size=key,
        value_size=value,
        windows=windows,
        inner=max(_per_layer(header, "feed_forward_length", layers, "inner", 0), default=0),
        tied="output.weight" not in tensors,
        context=_optional(header, "context_length", _CONTEXT),
        experts=_optional(header, "expert_count", 1 << 14) or 0,
        experts_used=_optional(header, "expert_used_count", 1 << 14) or 0,
        expert_inner=_optional(header, "expert_feed_forward_length", _MOST["inner"]) or 0,
        shared_inner=_optional(header, "expert_shared_feed_forward_length", _MOST["inner"]) or 0,
        state_bytes=_state_bytes(header, layers, width, kv_heads),
        causal=header.get("attention.causal") is not False and name not in _ENCODERS,
        extras=extras,
    )
    spans = (span for key, span in header.spans.items() if key.startswith("tokenizer."))
    tokenizer = sum(end - start for start, end in spans)
    return Network(shape, header.tensors, header.file_type, tokenizer, from_file=True)


def _one(header: Header, key: str, kind: str, what: str) -> int:
    value = header.get(key)
    if not _is_count(value) or value < 1:
        raise FitError(f"The file does not tell its {what} ({header.architecture}.{key}).")
    if value > _MOST[kind]:
        raise FitError(f"The file claims {value} {what}, which no model has.")
    return int(value)


def _optional(header: Header, key: str, most: int) -> int | None:
    value = header.get(key)
    if isinstance(value, Array) and value.values:
        value = max((v for v in value.values if _is_count(v)), default=None)
    if value is None:
        return None
    if not _is_count(value) or value > most:
        raise FitError(f"The file says {header.architecture}.{key} is {value!r}, which cannot be.")
    return int(value) or None


def _per_layer(header: Header, key: str, layers: int, kind: str, default: int) -> tuple[int, ...]:
    """A number per layer, from one number or a list of them."""
    value = header.get(key, default)
    values = value.values if isinstance(value, Array) else (value,) * layers
    if values is None or len(values) < layers:
        raise FitError(f"The file's {header.architecture}.{key} is not one number per layer.")
    for number in values[:layers]:
        if not _is_count(number) or number > _MOST[kind]:
            raise FitError(f"The file says {header.architecture}.{key} is {number!r}.")
    return tuple(values[:layers])


def _kv_heads(header: Header, layers: int, heads: tuple[int, ...]) -> tuple[int, ...]:
    if header.get("attention.head_count_kv") is None:
        found = heads
    else:
        found = _per_layer(header, "attention.head_count_kv", layers, "heads", 0)
    without = _optional(header, "attention.shared_kv_layers", layers) or 0
    without += _optional(header, "nextn_predict_layers", layers) or 0  # not used by the engine
    own = max(layers - without, 0)
    interval = _optional(header, "full_attention_interval", layers)
    if interval:
        found = tuple(n if (i + 1) % interval == 0 else 0 for i, n in enumerate(found))
    return found[:own] + (0,) * (layers - own)


def _sizes(
    header: Header, key: str, windows: tuple[int | None, ...], default: int
) -> tuple[int, ...]:
    full = _optional(header, f"attention.{key}", _MOST["size"]) or default
    windowed = _optional(header, f"attention.{key}_swa", _MOST["size"]) or full
    return tuple(full if window is None else windowed for window in windows)


def _windows(header: Header, layers: int) -> tuple[int | None, ...]:
    window = _optional(header, "attention.sliding_window", _CONTEXT)
    if not window:
        return (None,) * layers
    given = header.get("attention.sliding_window_pattern")
    if isinstance(given, Array) and given.values and len(given.values) >= layers:
        return tuple(window if windowed else None for windowed in given.values[:layers])
    period = given if _is_count(given) and given > 0 else _PATTERNS.get(header.architecture)
    if period is None:  # llama.cpp knows no windows for the others
        return (None,) * layers
    if period < 0:
        return tuple(None if i % -period == 0 else window for i in range(layers))
    return tuple(window if i % period < period - 1 else None for i in range(layers))


def _state_bytes(header: Header, layers: int, width: int, kv_heads: tuple[int, ...]) -> int:
    """Recurrent state of one sequence, 32-bit, as llama.cpp's `n_embd_r` and `n_embd_s`."""

    def number(key: str) -> int:
        return _optional(header, key, 1 << 24) or 0

    inner_sizes = _per_layer(header, "feed_forward_length", layers, "inner", 0)
    alone = [size > 0 for size in inner_sizes] if "nemotron_h" in header.architecture else []
    recurrent = sum(heads == 0 for heads in kv_heads) - sum(alone)
    if header.architecture == "falcon-h1":
        recurrent = layers
    if short := number("shortconv.l_cache"):
        return 4 * recurrent * (short - 1) * width
    if inner := number("ssm.inner_size"):
        state, groups = number("ssm.state_size"), number("ssm.group_count")
        convolution = (number("ssm.conv_kernel") - 1) * (inner + 2 * groups * state)
        return 4 * recurrent * (max(convolution, 0) + state * inner)
    if size := number("wkv.head_size"):
        shifts = number("token_shift_count") or 2
        return 4 * layers * (shifts * width + size * width)
    return 0


def _extras(header: Header) -> list[tuple[str, int]]:
    merges = header.metadata.get("tokenizer.ggml.merges")
    latent = _optional(header, "attention.kv_lora_rank", _MOST["size"]) or 0
    return [
        ("merges", merges.count if isinstance(merges, Array) else 0),
        ("latent", latent if header.get("attention.key_length_mla") else 0),
        ("per_layer", _optional(header, "embedding_length_per_layer_input", _MOST["width"]) or 0),
        ("mla_key", _optional(header, "attention.key_length_mla", _MOST["size"]) or 0),
        ("mla_value", _optional(header, "attention.value_length_mla", _MOST["size"]) or 0),
    ]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

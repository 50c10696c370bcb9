"""Which type each tensor gets in a quantised file: llama.cpp's mixes, tensor by tensor.

A mix has a base type and exceptions: the output matrix (or the token embeddings that serve as
one) gets Q6_K; in the *_M mixes attention's values and the feed-forward's second matrix get
more bits in the first and last eighth of the layers and in every third between; 80-layer
models with grouped heads and 8-expert models have small matrices that are worth more bits.
Norms, vectors, positions and expert gates stay as they are. A type whose blocks do not divide a
row is replaced by a near one. Facts from llama.cpp's `llama_tensor_get_type`; not modelled:
importance matrices, the Falcon architecture's exceptions.
"""

from __future__ import annotations

import re

from workbench.errors import GGUFError
from workbench.gguf._header import Header, TensorInfo

_K_TYPES = ("Q6_K", "Q5_K_M", "Q5_K_S", "Q4_K_M", "Q4_K_S")
QUANTISATIONS = ("F32", "F16", "BF16", "Q8_0", *_K_TYPES, "Q5_0", "Q5_1", "Q4_0", "Q4_1")
BASES = {mix: mix.removesuffix("_M").removesuffix("_S") for mix in QUANTISATIONS}
FLOATS = {"F32", "F16", "BF16"}

_BLOCK = {"Q4_K": 256, "Q5_K": 256, "Q6_K": 256}
_SMALLER_BLOCK = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
_KEPT = re.compile(
    r"_norm\.weight$|^(position_embd|token_types)\.weight$|ffn_gate_inp\.weight|altup|laurel"
    r"|per_layer_model_proj|ssm_conv1d|shortconv\.conv\.weight|attn_rel_b\.weight|\.position_embd"
    r"|time_mix_(first|w[0-2]|v[0-2]|a[0-2]|g[12]|decay_w[12]|lerp_fused)\.weight"
)
_VALUES = re.compile(r"attn_(v|qkv|kv_b)\.weight")


class _Model:
    """What the rules ask about the whole file."""

    def __init__(self, header: Header) -> None:
        self.architecture = header.architecture
        self.layers = _integer(header, "block_count")
        self.heads = _integer(header, "attention.head_count")
        self.kv_heads = _integer(header, "attention.head_count_kv", self.heads)
        self.experts = _integer(header, "expert_count")
        names = [tensor.name for tensor in header.tensors]
        self.value_tensors = sum(bool(_VALUES.search(name)) for name in names)
        self.tied = "output.weight" not in names

    @property
    def is_70b(self) -> bool:
        """80 layers: Llama's when heads share keys and values, Qwen's in any case."""
        grouped = self.architecture == "qwen2" or self.heads != self.kv_heads
        return self.layers == 80 and self.architecture in {"llama", "qwen2"} and grouped


def tensor_types(header: Header, mix: str) -> dict[str, str]:
    """The type of each tensor, by name, in the mix; GGUFError for an unknown mix."""
    if mix not in BASES:
        raise GGUFError(f"{mix!r} is not a quantisation. Use one of {', '.join(QUANTISATIONS)}.")
    model = _Model(header)
    values = downs = 0
    types = {}
    for tensor in sorted(header.tensors, key=lambda one: (_layer(one.name), one.name)):
        types[tensor.name] = tensor.type
        if not may_change(tensor):
            continue
        kind = BASES[mix]
        if kind not in FLOATS:
            kind = _chosen(tensor, mix, model, values, downs)
            values += bool(_VALUES.search(tensor.name))
            downs += "ffn_down" in tensor.name
            kind = _fitting(kind, tensor.shape[0])
        types[tensor.name] = kind
    return types


def may_change(tensor: TensorInfo) -> bool:
    """Whether quantising touches it: a matrix of weights that is not small and delicate."""
    name = tensor.name
    return len(tensor.shape) > 1 and name.endswith("weight") and not _KEPT.search(name)


def _integer(header: Header, key: str, default: int = 0) -> int:
    """A number of the metadata; the default for an array (one number for each layer)."""
    value = header.get(key, default)
    return value if isinstance(value, int) else default


def _layer(name: str) -> int:
    match = re.match(r"blk\.(\d{1,9})\.", name)
    return int(match[1]) if match else -1


def _more_bits(layer: int, layers: int) -> bool:
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def _chosen(tensor: TensorInfo, mix: str, model: _Model, values: int, downs: int) -> str:
    """The rule's choice; `values` and `downs` count the tensors of these roles before it."""
    name, base = tensor.name, BASES[mix]
    is_output = name == "output.weight"
    is_table = name in {"token_embd.weight", "per_layer_token_embd.weight"}
    if is_output or (model.tied and is_table):
        if tensor.shape[0] % _BLOCK.get(base, 32):
            return "Q8_0"
        return base if base == "Q8_0" else "Q6_K"
    if is_table:
        return base
    if _VALUES.search(name):
        return _for_values(mix, model, values)
    if "attn_k.weight" in name:
        return "Q8_0" if model.experts == 8 else base
    if "ffn_down" in name:
        return _for_down(mix, model, _layer(name) if model.experts > 1 else downs)
    if "attn_output.weight" in name and model.experts == 8 and base == "Q4_K":
        return "Q5_K"
    return base


def _for_values(mix: str, model: _Model, place: int) -> str:
    kind = BASES[mix]
    if mix in {"Q4_K_M", "Q5_K_M"} and _more_bits(place, model.value_tensors):
        kind = "Q6_K"
    elif mix == "Q4_K_S" and place < 4:
        kind = "Q5_K"
    if model.is_70b and kind == "Q4_K":
        kind = "Q5_K"
    return "Q8_0" if model.experts == 8 else kind


def _for_down(mix: str, model: _Model, place: int) -> str:
    if mix in {"Q4_K_M", "Q5_K_M"} and _more_bits(place, model.layers):
        return "Q6_K"
    if mix == "Q4_K_S" and place < model.layers // 8:
        return "Q5_K"
    return BASES[mix]


def _fitting(kind: str, row: int) -> str:
    """`kind`, or a near one whose blocks divide a row; F16 when none of them does."""
    if row % _BLOCK.get(kind, 32):
        kind = _SMALLER_BLOCK.get(kind, kind)
    return kind if row % _BLOCK.get(kind, 32) == 0 else "F16"

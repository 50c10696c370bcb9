"""A network computed from facts: the tensors that a quantised file of it would hold.

The shapes are `_parameters`'s; the types are those of llama.cpp's mixes (`workbench.gguf`), and for
published low-bit mixes that we do not write, rules of the same source, simplified. Sizes of the
tokenizer are estimates by the vocabulary: files of known size hold 20 to 65 bytes per token.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

from workbench.errors import FitError
from workbench.fit._parameters import shapes
from workbench.fit._records import Architecture, Network
from workbench.gguf import QUANTISATIONS, Header, TensorInfo, tensor_types

# numbers of a block, bytes of a block (ggml's types)
_BLOCKS = {
    "F32": (1, 4),
    "F16": (1, 2),
    "BF16": (1, 2),
    "Q8_0": (32, 34),
    "Q6_K": (256, 210),
    "Q5_K": (256, 176),
    "Q5_0": (32, 22),
    "Q5_1": (32, 24),
    "Q4_K": (256, 144),
    "Q4_0": (32, 18),
    "Q4_1": (32, 20),
}
_ALIASES = {"FP16": "F16", "FP32": "F32"}


@lru_cache(maxsize=4096)
def computed_network(architecture: Architecture, quantisation: str) -> Network:
    """The network that a file of this architecture in this quantisation holds.

    FitError when the family's layout or the quantisation's types are not known.
    """
    mix = _ALIASES.get(quantisation.upper(), quantisation.upper())
    if mix not in QUANTISATIONS:
        raise FitError(
            f"The sizes of {quantisation!r} cannot be computed. "
            f"Use one of {', '.join(QUANTISATIONS)}."
        )
    plain = [TensorInfo(name, shape, "F32", 0, 0) for name, shape in shapes(architecture)]
    types = tensor_types(_header(architecture, tuple(plain)), mix)
    tensors = tuple(
        TensorInfo(one.name, one.shape, types[one.name], 0, _bytes(one.shape, types[one.name]))
        for one in plain
    )
    return Network(architecture, tensors, mix, _tokenizer_bytes(architecture), from_file=False)


def _header(architecture: Architecture, tensors: tuple[TensorInfo, ...]) -> Header:
    """What the mixes ask of a file."""
    name = architecture.name
    facts = {
        "general.architecture": name,
        f"{name}.block_count": architecture.layers,
        f"{name}.attention.head_count": architecture.heads,
        f"{name}.attention.head_count_kv": max(architecture.kv_heads),
        f"{name}.expert_count": architecture.experts,
    }
    return Header(3, facts, tensors, alignment=32, data_offset=0, size=0)


def _bytes(shape: tuple[int, ...], kind: str) -> int:
    numbers, size = _BLOCKS[kind]
    return prod(shape) // numbers * size


def _tokenizer_bytes(architecture: Architecture) -> int:
    """Texts, scores or merges, types: more per token where the merges are listed."""
    per_token = 24 if architecture.vocabulary < 50_000 else 45
    return architecture.vocabulary * per_token

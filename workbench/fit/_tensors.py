"""A network computed from facts: the tensors that a quantised file of it would hold.

The shapes are `_parameters`'; the types are those of llama.cpp's mixes (`workbench.gguf`, and
`_low_bits` for those that we do not write). The tokenizer's size is an estimate by the
vocabulary: what files of known size hold beside their tensors. Against 200 published files the
median error is below 0.1 % (tests/fit/test_fit_tensors.py); files that were made with other
rules are further off, and their cards say so.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import prod

from workbench.errors import FitError
from workbench.fit._low_bits import MIXES, low_bit_types
from workbench.fit._parameters import shapes
from workbench.fit._records import Architecture, Network
from workbench.gguf import QUANTISATIONS, Header, TensorInfo, tensor_types

# numbers of a block, bytes of a block (ggml's types)
_BLOCKS = {
    "F32": (1, 4), "F16": (1, 2), "BF16": (1, 2), "Q8_0": (32, 34), "MXFP4": (32, 17),
    "Q4_0": (32, 18), "Q4_1": (32, 20), "Q5_0": (32, 22), "Q5_1": (32, 24), "IQ4_NL": (32, 18),
    "Q2_K": (256, 84), "Q3_K": (256, 110), "Q4_K": (256, 144), "Q5_K": (256, 176),
    "Q6_K": (256, 210), "IQ4_XS": (256, 136), "IQ3_S": (256, 110), "IQ3_XXS": (256, 98),
    "IQ2_S": (256, 82), "IQ2_XS": (256, 74), "IQ2_XXS": (256, 66), "IQ1_M": (256, 56),
    "IQ1_S": (256, 50),
}  # fmt: skip
_ALIASES = {"FP16": "F16", "FP32": "F32"}
# bytes per token of some vocabularies, measured in files; those of merged pairs are larger
_PER_TOKEN = {128256: 61.2, 131072: 60.1, 262144: 60.2, 262400: 60.2, 256000: 24.0, 200064: 31.4}


def computed_network(architecture: Architecture, quantisation: str) -> Network:
    """The network that a file of this architecture in this quantisation holds.

    FitError when the family's layout or the quantisation's types are not known.
    """
    mix = _mix(quantisation)
    tensors = _tensors(replace(architecture, context=None), mix)
    return Network(architecture, tensors, mix, _tokenizer_bytes(architecture), from_file=False)


def requantised(network: Network, quantisation: str) -> Network:
    """The network of a file as it would be in another quantisation: of any family.

    FitError when the quantisation's types are not known.
    """
    mix = _mix(quantisation)
    tensors = _typed(network.architecture, network.tensors, mix)
    return replace(network, tensors=tensors, quantisation=mix, from_file=False)


def _mix(quantisation: str) -> str:
    mix = _ALIASES.get(quantisation.upper(), quantisation.upper())
    if mix not in QUANTISATIONS and mix not in MIXES and mix != "MXFP4":
        known = ", ".join([*QUANTISATIONS, *MIXES, "MXFP4"])
        raise FitError(f"The sizes of {mix[:40]!r} cannot be computed. Use one of {known}.")
    return mix


@lru_cache(maxsize=4096)
def _tensors(architecture: Architecture, mix: str) -> tuple[TensorInfo, ...]:
    plain = tuple(TensorInfo(name, shape, "F32", 0, 0) for name, shape in shapes(architecture))
    return _typed(architecture, plain, mix)


def _typed(
    architecture: Architecture, tensors: tuple[TensorInfo, ...], mix: str
) -> tuple[TensorInfo, ...]:
    """The tensors with the types of the mix, and the bytes that follow."""
    types = _types(architecture, tensors, mix)
    return tuple(
        TensorInfo(one.name, one.shape, types[one.name], 0, _bytes(one.shape, types[one.name]))
        if one.type != types[one.name] or not one.bytes
        else one
        for one in tensors
    )


def _types(architecture: Architecture, plain: tuple[TensorInfo, ...], mix: str) -> dict[str, str]:
    """Each tensor's type in the mix."""
    header = _header(architecture, plain)
    if mix in QUANTISATIONS:
        return tensor_types(header, mix)
    if mix == "MXFP4":  # experts in 4 bits, the rest as the publisher of gpt-oss left it
        rest = tensor_types(header, "BF16" if architecture.name == "gpt-oss" else "Q8_0")
        return {name: "MXFP4" if "_exps.weight" in name else kind for name, kind in rest.items()}
    group = architecture.heads // _kv_heads(architecture)
    rows = {tensor.name: tensor.shape[0] for tensor in plain}
    return low_bit_types(tensor_types(header, "Q4_0"), rows, mix, architecture.layers, group)


def _header(architecture: Architecture, tensors: tuple[TensorInfo, ...]) -> Header:
    """What the mixes ask of a file."""
    name = architecture.name
    facts = {
        "general.architecture": name,
        f"{name}.block_count": architecture.layers,
        f"{name}.attention.head_count": architecture.heads,
        f"{name}.attention.head_count_kv": _kv_heads(architecture),
        f"{name}.expert_count": architecture.experts,
    }
    return Header(3, facts, tensors, alignment=32, data_offset=0, size=0)


def _kv_heads(architecture: Architecture) -> int:
    # an encoder's layers keep no cache
    return max(architecture.kv_heads, default=0) or architecture.heads or 1


def _bytes(shape: tuple[int, ...], kind: str) -> int:
    numbers, size = _BLOCKS[kind]
    return prod(shape) // numbers * size


def _tokenizer_bytes(architecture: Architecture) -> int:
    """Texts, scores or merges, and types."""
    vocabulary = architecture.vocabulary
    per_token = _PER_TOKEN.get(vocabulary, 24 if vocabulary < 33_000 else 39)
    return int(vocabulary * per_token)

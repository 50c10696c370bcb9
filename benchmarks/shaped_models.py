"""GGUF files with the shapes of real models and random weights, written in seconds.

The tensors are those that `workbench.fit.computed_network` lists for an architecture; each one
is a pattern of some random blocks, repeated, with scales that keep the numbers finite. Tokens
look like words of the lengths that real vocabularies have, because llama.cpp's vocabulary takes
memory by their lengths and number.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from workbench.fit import Architecture, Network
from workbench.gguf import TensorInfo

# where a block's 16-bit scales lie, and the weights' size that makes them harmless
_SCALES = {
    "Q8_0": ((0, 3e-4),),
    "Q4_0": ((0, 4e-3),),
    "Q5_0": ((0, 2e-3),),
    "Q4_1": ((0, 4e-3), (2, -3e-2)),
    "Q5_1": ((0, 2e-3), (2, -3e-2)),
    "Q2_K": ((80, 4e-4), (82, 6e-4)),
    "Q3_K": ((108, 2e-4),),
    "Q4_K": ((0, 1e-4), (2, 8e-4)),
    "Q5_K": ((0, 5e-5), (2, 8e-4)),
    "Q6_K": ((208, 1e-5),),
    "IQ4_NL": ((0, 2e-4),),
}
_SYLLABLES = (
    "an", "ber", "co", "dis", "el", "fur", "gra", "hum", "ing", "ja", "ka", "lo", "min", "ne", "or",
    "pra", "qua", "ri", "sta", "ti", "un", "ver", "wo",
)  # fmt: skip


def architecture(name: str, layers: int, width: int, **facts: Any) -> Architecture:
    """An architecture from a model's published facts; `kv`, `head`, `window` hold for all layers.

    `window` is (tokens, period): every period-th layer sees everything.
    """
    heads = facts.pop("heads")
    kv, head = facts.pop("kv", heads), facts.pop("head", width // heads)
    window, period = facts.pop("window", (None, 1))
    recurrent = facts.pop("recurrent", lambda layer: False)
    facts.setdefault("tied", False)
    facts.setdefault("inner", 0)
    facts.setdefault("context", 32768)
    return Architecture(
        name=name,
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=tuple(0 if recurrent(i) else kv for i in range(layers)),
        key_size=(head,) * layers,
        value_size=(facts.pop("value", head),) * layers,
        windows=tuple(window if i % period < period - 1 else None for i in range(layers)),
        **facts,
    )


def write_network(
    path: Path, network: Network, tokenizer: str = "bpe", more: Mapping[str, Any] | None = None
) -> Path:
    """Write a model of this network; `more` are metadata of one family alone."""
    shape = network.architecture
    writer = gguf.GGUFWriter(path, shape.name)
    for key, value in (_metadata(shape) | dict(more or {})).items():
        _add(writer, key if key.startswith("general.") else f"{shape.name}.{key}", value)
    writer.add_file_type(int(gguf.LlamaFileType[_file_type(network.quantisation)]))
    _add_tokenizer(writer, tokenizer, shape.vocabulary)
    for tensor in network.tensors:
        kind = gguf.GGMLQuantizationType[tensor.type]
        rows = tensor.shape[::-1]
        writer.add_tensor_info(tensor.name, rows, np.dtype(np.float32), tensor.bytes, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in network.tensors:
        writer.write_tensor_data(_data(tensor))
    writer.close()
    return path


def _metadata(shape: Architecture) -> dict[str, Any]:
    """What llama.cpp asks of every family."""
    windows = [window for window in shape.windows if window]
    facts: dict[str, Any] = {
        "context_length": shape.context or 32768,
        "embedding_length": shape.width,
        "block_count": shape.layers,
        "feed_forward_length": shape.inner or shape.expert_inner,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": max(shape.kv_heads),
        "attention.key_length": shape.key_size[0],
        "attention.value_length": shape.value_size[0],
        "attention.layer_norm_rms_epsilon": 1e-5,
        "attention.layer_norm_epsilon": 1e-5,
        "rope.dimension_count": shape.key_size[0],
        "rope.freq_base": 10000.0,
    }
    optional = {
        "attention.sliding_window": max(windows, default=0),
        "expert_count": shape.experts,
        "expert_used_count": shape.experts_used,
        "expert_feed_forward_length": shape.expert_inner,
        "expert_shared_feed_forward_length": shape.shared_inner,
    }
    return facts | {key: value for key, value in optional.items() if value}


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


@cache
def _words(count: int) -> tuple[str, ...]:
    """Different words, as long as a real vocabulary's: 1 to 20 letters, 6 to 7 on average."""
    chance = random.Random(count)
    seen: dict[str, None] = {}
    while len(seen) < count:
        parts = chance.choices((1, 2, 3, 4, 5, 6, 7), (5, 22, 33, 24, 10, 4, 2))[0]
        word = "".join(chance.choice(_SYLLABLES) for _ in range(parts))
        if chance.random() < 0.3:
            word = word.title()
        if chance.random() < 0.12:  # another script: two bytes a letter
            word = "".join(chr(0x410 + ord(letter) % 64) for letter in word[:6])
        seen[("\u0120" if chance.random() < 0.5 else "") + word] = None
    return tuple(seen)


def _letters() -> list[str]:
    """How byte-level BPE writes the 256 bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(byte) for byte in printable] + [chr(256 + n) for n in range(256 - len(printable))]


def _add_tokenizer(writer: gguf.GGUFWriter, kind: str, size: int) -> None:
    """A vocabulary of the kind "bpe", "spm" or "wpm"."""
    if kind == "bpe":
        special, plain, model = ["<|begin|>", "<|end|>"], _letters(), "gpt2"
    elif kind == "spm":
        special, model = ["<unk>", "<s>", "</s>"], "llama"
        plain = [f"<0x{byte:02X}>" for byte in range(256)]
    else:
        special, model = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "bert"
        plain = [chr(letter) for letter in range(33, 127)]
    words = _words(max(size - len(special) - len(plain), 0))
    mark = {"bpe": "\u0120", "spm": "\u2581", "wpm": "\u2581"}[kind]
    tokens = [*special, *plain, *(word.replace("\u0120", mark) for word in words)][:size]
    first = 3 if kind == "bpe" else 6  # types: 1 normal, 2 unknown, 3 control, 6 byte
    types = [3] * len(special) + [1 if first == 3 or kind == "wpm" else 6] * len(plain)
    types += [1] * (size - len(types))
    writer.add_tokenizer_model(model)
    writer.add_token_list(tokens)
    writer.add_token_types(types[:size])
    if kind == "bpe":
        writer.add_tokenizer_pre("gpt-2")
        halves = [(word, 1 + len(word) // 2) for word in words if len(word) > 1]
        writer.add_token_merges([f"{word[:at]} {word[at:] or word[0]}" for word, at in halves])
    elif kind == "spm":
        writer.add_token_scores([-float(rank) for rank in range(size)])
        writer.add_unk_token_id(0)
    else:
        writer.add_unk_token_id(1)
        writer.add_sep_token_id(3)
        writer.add_pad_token_id(0)
        writer.add_mask_token_id(4)
        writer.add_token_type_count(2)
    begin = {"bpe": 0, "spm": 1, "wpm": 2}[kind]
    writer.add_bos_token_id(begin)
    writer.add_eos_token_id(begin + 1)


def _file_type(quantisation: str) -> str:
    return f"{'ALL' if quantisation == 'F32' else 'MOSTLY'}_{quantisation}"


@cache
def _pattern(kind: str) -> np.ndarray:
    """About 1 MB of random blocks of this type."""
    chance = np.random.default_rng(7)
    if kind in {"F32", "F16", "BF16"}:
        values = chance.standard_normal(1 << 18, np.float32) * np.float32(0.02)
        if kind == "BF16":
            return (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
        return values.astype(np.float32 if kind == "F32" else np.float16).view(np.uint8)
    _, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    blocks = chance.integers(0, 256, ((1 << 20) // size, size), np.uint8)
    if kind == "MXFP4":
        blocks[:, 0] = 120  # an exponent: 2^-7
    for place, scale in _SCALES.get(kind, ()):
        blocks[:, place : place + 2] = np.float16([scale]).view(np.uint8)
    return blocks.reshape(-1)


def _data(tensor: TensorInfo) -> np.ndarray:
    if len(tensor.shape) == 1 and tensor.type == "F32":
        value = 1.0 if "norm" in tensor.name and tensor.name.endswith("weight") else 0.0
        value = -1.0 if "ssm_a" in tensor.name else value
        return np.full(tensor.shape[0], value, np.float32)
    return np.resize(_pattern(tensor.type), tensor.bytes)

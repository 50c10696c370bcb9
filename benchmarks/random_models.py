"""GGUF models of a given shape with random weights, for measuring speed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np


@dataclass(frozen=True)
class Shape:
    """A model to measure with: Llama's or Qwen 2's layers, `kind` the weights' type."""

    name: str
    budget: float
    tokens: int  # per answer
    architecture: str
    layers: int
    width: int
    inner: int
    heads: int
    kv_heads: int
    vocabulary: int
    kind: str


def letters() -> list[str]:
    """How byte-level BPE writes the 256 bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(byte) for byte in printable] + [chr(256 + n) for n in range(256 - len(printable))]


def write_model(path: Path, shape: Shape) -> None:
    """Random weights of the shape, quantised by gguf."""
    kind = gguf.GGMLQuantizationType[shape.kind]
    writer = gguf.GGUFWriter(path, shape.architecture)
    writer.add_context_length(4096)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    tokens = ["<|begin|>", "<|end|>", *letters()]
    tokens += [f"Ġ{number:x}z" for number in range(shape.vocabulary - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] * 2 + [1] * (shape.vocabulary - 2))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    random = np.random.default_rng(0)

    def matrix(name: str, rows: int, columns: int) -> None:
        values = random.standard_normal((rows, columns), dtype=np.float32) * 0.02
        if name == "token_embd":
            values[1] = -0.02  # the end is unlikely
        data = gguf.quants.quantize(values, kind)
        writer.add_tensor(f"{name}.weight", data, raw_dtype=kind)

    def vector(name: str, size: int, value: float) -> None:
        writer.add_tensor(name, np.full(size, value, np.float32))

    key_width = shape.width // shape.heads * shape.kv_heads
    matrix("token_embd", shape.vocabulary, shape.width)
    vector("output_norm.weight", shape.width, 1)
    for block in range(shape.layers):
        start = f"blk.{block}."
        for name in ("attn_norm", "ffn_norm"):
            vector(f"{start}{name}.weight", shape.width, 1)
        for name, rows in (("attn_q", shape.width), ("attn_k", key_width), ("attn_v", key_width)):
            matrix(start + name, rows, shape.width)
            if shape.architecture == "qwen2":
                vector(f"{start}{name}.bias", rows, 0)
        matrix(f"{start}attn_output", shape.width, shape.width)
        matrix(f"{start}ffn_gate", shape.inner, shape.width)
        matrix(f"{start}ffn_up", shape.inner, shape.width)
        matrix(f"{start}ffn_down", shape.width, shape.inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

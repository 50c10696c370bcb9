"""How much memory a model will take, from its GGUF header, before anything is loaded.

    need = weights + repacked weights + KV cache + prompt cache + compute buffers + process

- KV cache: 2 · layers · KV heads · head size · tokens · bytes per value, summed over layers
  (some models give the heads per layer; the larger value is taken for all).
- Repacked: on a CPU llama.cpp rearranges tensors of these types; beside a mapped file that
  is a second copy, otherwise it replaces the first.
- Compute buffers: logits and activations of one batch, 32-bit.

An estimate errs on the large side: recurrent and sliding-window models need less than this.
Measured: see docs/engine.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import psutil

from workbench import settings
from workbench.errors import NotEnoughMemory, SettingsError
from workbench.gguf import Header
from workbench.hardware import memory

PROCESS_BYTES = 45 * 2**20  # Python, llama.cpp and its allocator, without a model
_BYTES_PER_VALUE = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
_REPACKED = {"Q4_0", "Q4_K", "Q2_K", "Q5_K", "Q6_K", "IQ4_NL", "Q8_0"}
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True, slots=True)
class Shape:
    """What the formulas need to know of a load."""

    num_ctx: int  # per slot
    parallel: int
    num_batch: int
    cache_type: str
    prompt_cache_mib: int
    use_mmap: bool


def kv_cache_bytes(header: Header, tokens: int, cache_type: str = "f16") -> int:
    """Bytes of the keys and values of `tokens` tokens over all layers."""
    heads = _largest(header.get("attention.head_count"), 1)
    kv_heads = _largest(header.get("attention.head_count_kv"), heads)
    size = _largest(header.get("embedding_length"), 0) // max(heads, 1)
    key = _largest(header.get("attention.key_length"), size)
    value = _largest(header.get("attention.value_length"), size)
    layers = _largest(header.get("block_count"), 0)
    return int(layers * kv_heads * (key + value) * tokens * _BYTES_PER_VALUE[cache_type])


def needed_bytes(header: Header, shape: Shape) -> int:
    """Resident bytes that a child with this model will take at most, as estimated."""
    weights = sum(tensor.bytes for tensor in header.tensors)
    repacked = 0
    if shape.use_mmap:
        repacked = sum(t.bytes for t in header.tensors if t.type in _REPACKED)
    vocabulary = max((t.shape[-1] for t in header.tensors if "token_embd" in t.name), default=0)
    width = _largest(header.get("embedding_length"), 0)
    inner = _largest(header.get("feed_forward_length"), 4 * width)
    compute = 4 * shape.num_batch * (8 * width + 2 * inner) + 8 * vocabulary * 64
    cache = kv_cache_bytes(header, shape.num_ctx * shape.parallel, shape.cache_type)
    prompts = min(shape.prompt_cache_mib * 2**20, cache)
    return weights + repacked + cache + prompts + compute + PROCESS_BYTES


def available_bytes(held: int) -> int:
    """What models may take beside the `held` bytes of those that are loaded.

    WORKBENCH_ENGINE_MEMORY ("6G") limits all models together; the machine always does.
    """
    free = memory()[1] + int(psutil.swap_memory().free)
    limit = settings.env("WORKBENCH_ENGINE_MEMORY")
    return min(free, parse_size(limit) - held) if limit else free


def parse_size(text: str) -> int:
    """ "6G", "512 MiB" or plain bytes. Raises SettingsError."""
    match = re.fullmatch(r"(\d{1,15})\s*([KMGT]?)(i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise SettingsError(f'WORKBENCH_ENGINE_MEMORY must be a size like "6G", not {text!r}.')
    return int(match[1]) * _UNITS[match[2].upper()]


def refuse(need: int, there: int) -> NotEnoughMemory:
    """The error of a model that can never fit."""
    return NotEnoughMemory(
        f"model requires more system memory ({human(need)}) than is available ({human(there)}); "
        "choose a smaller model or a smaller num_ctx",
        500,
    )


def human(size: int) -> str:
    """1610612736 → "1.5 GiB"."""
    value = float(max(size, 0))
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.1f} {unit}" if unit != "B" else f"{value:.0f} B"
        value /= 1024
    return f"{value:.1f} TiB"


def _largest(value: Any, default: int) -> int:
    """A header's number; of a list per layer the largest. Damaged values count as absent."""
    values = getattr(value, "values", None) or (value,)
    numbers = [v for v in values if isinstance(v, int) and not isinstance(v, bool) and v >= 0]
    return max(numbers, default=default)

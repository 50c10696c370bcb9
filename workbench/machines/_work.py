"""What reading a prompt and writing an answer consist of: amounts, each with a cost elsewhere.

    writing = Σ bytes of the weights read · read(type) + their rows · row
              + keys and values · cache(type) + operations on them · attention + cells · cell
              + layers · layer + token + vocabulary
    reading = Σ operations on weights · compute(type) + operations between tokens · attention
              + per batch: layers · layer + token

A row of a matrix costs something however short it is, which narrow networks feel; so does a cell
of a layer's cache however few heads it has. All weights are read for a token except the
embeddings, which are looked up (tied ones are read as the output matrix), and of experts those
that are used. A sliding window caps the keys that a layer reads. The last layer's feed-forward
part and the output matrix see a prompt's last token only, as llama.cpp computes it; an encoder
needs all tokens everywhere. Not counted: layers that read another layer's keys. Amounts are
linear, so the same list with one unknown cost gives that cost from a measurement (`_derive`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from workbench.fit import Load, Network, check_load

if TYPE_CHECKING:
    from workbench.gguf import TensorInfo

PROMPT, WRITTEN = 512, 128  # tokens that a speed is told for
_CACHE_BYTES = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
_LOOKED_UP = ("token_embd.", "token_types.", "position_embd.", "per_layer_token_embd.")
Amounts = Mapping[str, float]
Sums = defaultdict[str, float]


def work(
    network: Network, load: Load, prompt: int = PROMPT, written: int = WRITTEN
) -> tuple[Amounts, Amounts]:
    """The amounts of reading a prompt of so many tokens, and of writing one token behind it.

    Writing is told for the middle of the answer. FitError for a load that cannot be.
    """
    check_load(load)
    reading, writing = Sums(float), Sums(float)
    batches = -(-prompt // load.batch)
    for tensor in network.tensors:
        _add_weights(network, tensor, prompt, batches, reading, writing)
    _add_attention(network, load, prompt, prompt + written // 2, reading, writing)
    layers = network.architecture.layers
    writing |= {"layer": layers, "token": 1, "vocabulary": network.architecture.vocabulary}
    reading |= {"layer": layers * batches, "token": batches}
    return reading, writing


def _add_weights(
    network: Network,
    tensor: TensorInfo,
    prompt: int,
    batches: int,
    reading: Sums,
    writing: Sums,
) -> None:
    shape = network.architecture
    name = tensor.name
    if len(tensor.shape) < 2:
        return
    output = name.startswith("output.") or (name.startswith("token_embd.") and shape.tied)
    output = output and shape.causal
    if name.startswith(_LOOKED_UP) and not output:
        return
    operations = 2.0 * math.prod(tensor.shape)
    if "_exps." in name and shape.experts:
        share = shape.experts_used / shape.experts
        writing[f"experts-read:{tensor.type}"] += tensor.bytes * share
        writing["rows"] += operations / 2 / tensor.shape[0] * share
        if _is_last(network, name):
            reading[f"experts-read:{tensor.type}"] += tensor.bytes * share
            return
        seen = 1 - (1 - share) ** min(prompt, 512)  # of the experts, by one batch
        reading[f"experts-read:{tensor.type}"] += tensor.bytes * seen * batches
        reading[f"experts-compute:{tensor.type}"] += operations * share * prompt
        return
    writing[f"read:{tensor.type}"] += tensor.bytes
    writing["rows"] += operations / 2 / tensor.shape[0]
    if output or _is_last(network, name):
        reading[f"read:{tensor.type}"] += tensor.bytes
    else:
        reading[f"compute:{tensor.type}"] += operations * prompt


def _is_last(network: Network, name: str) -> bool:
    """Whether only a prompt's last token passes this tensor. An encoder needs all of them."""
    shape = network.architecture
    return shape.causal and name.startswith(f"blk.{shape.layers - 1}.ffn_")


def _add_attention(
    network: Network,
    load: Load,
    prompt: int,
    depth: int,
    reading: Sums,
    writing: Sums,
) -> None:
    shape, kind = network.architecture, load.cache_type if network.architecture.causal else "f16"
    batch = min(load.batch, prompt)
    for heads, key, value, window in zip(
        shape.kv_heads, shape.key_size, shape.value_size, shape.windows, strict=True
    ):
        if not heads and shape.causal:
            continue
        span = prompt if window is None else min(prompt, window)
        pairs = prompt * (span + batch) / 2  # a batch sees itself and what is before it
        if window is not None and window < prompt:
            pairs = prompt * min(span + batch / 2, prompt)
        reading[f"attention-compute:{kind}"] += 2.0 * pairs * shape.heads * (key + value)
        seen = depth if window is None else min(depth, window)
        writing[f"cache:{kind}"] += seen * heads * (key + value) * _CACHE_BYTES[kind]
        writing["attention"] += 2.0 * seen * shape.heads * (key + value)
        writing["cells"] += seen
    if shape.state_bytes:
        writing["state"] += 2.0 * shape.state_bytes
        reading["state"] += 2.0 * shape.state_bytes * prompt / 8

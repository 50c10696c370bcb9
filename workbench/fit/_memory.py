"""What a loaded model takes at its peak: thin first version, to be refined by measurement."""

from __future__ import annotations

from workbench.fit._records import Estimate, Load, Memory, Network, Part

PROCESS_BYTES = 60 * 2**20
_VALUE_BYTES = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}


def kv_cache_bytes(network: Network, load: Load) -> int:
    """Keys and values of all slots over all layers."""
    shape = network.architecture
    if not shape.causal:
        return 0
    total = 0.0
    for heads, key, value, window in zip(
        shape.kv_heads, shape.key_size, shape.value_size, shape.windows, strict=True
    ):
        cells = _padded(load.context)
        if window is not None:
            cells = min(cells, _padded(window + load.batch))
        total += heads * (key + value) * cells * load.slots * _VALUE_BYTES[load.cache_type]
    return int(total) + shape.state_bytes * load.slots


def memory(network: Network, load: Load) -> Memory:
    """The peak of resident memory, part by part."""
    shape = network.architecture
    weights = sum(tensor.bytes for tensor in network.tensors)
    compute = 4 * load.batch * (8 * shape.width + 2 * shape.inner) + 8 * shape.vocabulary * 64
    parts = (
        Part("weights", weights, "ram"),
        Part("KV cache", kv_cache_bytes(network, load), "ram"),
        Part("compute", compute, "ram"),
        Part("process", PROCESS_BYTES + 4 * network.tokenizer_bytes, "ram"),
    )
    value = float(sum(part.bytes for part in parts))
    return Memory(parts, Estimate(value, 0.9 * value, 1.1 * value, "formula"))


def _padded(cells: int) -> int:
    return -(-cells // 256) * 256

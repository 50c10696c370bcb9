"""What a loaded model takes at its peak, part by part, from its shape and how it is loaded.

The formulas say what llama.cpp does (its log prints each buffer) and were checked against it
buffer by buffer; `docs/fit.md` explains them, `docs/benchmarks/fit.md` has the errors.

- KV cache: cells · (keys + values) · bytes, per layer and slot, cells padded to 256; a layer
  with a window keeps window + batch of them; latent attention keeps no values. It is cleared
  when it is made, so all of it is resident at once.
- Compute: one batch's activations at the widest place, beside five rows of the model's width
  that the graph's allocator cannot reuse; the attention mask; without flash attention the
  scores. Of it two rows are never written.
- Vocabulary: texts, tables and merges, several times over; per answer a list of candidates.
- Checkpoints: models with windows or recurrent layers keep copies of that part per slot.

The peak is that of a usual use: every slot has had a prompt of half its context, at most 768
tokens (an embedding model one of all its context). The interval reaches from what is just
loaded up to full contexts and a full prompt cache. The half on graphics cards follows
llama.cpp's rules (the last layers go first, the output matrix last) and was not measured.
"""

from __future__ import annotations

from workbench.errors import FitError
from workbench.fit._records import CACHE_TYPES, Architecture, Estimate, Load, Memory, Network, Part
from workbench.fit._weights import Weights, weights_of

_MIB = 2**20
PROCESS_BYTES = 33 * _MIB  # Python, llama.cpp and its server, without a model
GPU_BYTES = 457 * _MIB  # what a card's runtime takes (Ollama's constant for CUDA and ROCm)
_VALUE_BYTES = dict(zip(CACHE_TYPES, (2.0, 34 / 32, 18 / 32), strict=True))
_TOKEN_BYTES, _MERGE_BYTES, _TEXT_COPIES = 148, 185, 2  # of a vocabulary in memory, measured
_CANDIDATE_BYTES = 12  # per token of the vocabulary and slot: id, logit, probability
_SLOT_BYTES = _MIB * 3 // 4
_USUAL_PROMPT = 768  # tokens: a batch and a half
_CHECKPOINT_STEP = 8192  # tokens between two checkpoints; two more end each prompt
_MOST_CHECKPOINTS = 8  # per slot, of llama.cpp's 32, that are expected at all
_BIG_GRAPHS = {"qwen35", "qwen35moe", "qwen3next", "kimi-linear"}
_BIG_GRAPH_BYTES = 19 * _MIB
_NOISE = 0.03


def kv_cache_bytes(network: Network, load: Load) -> int:
    """Keys, values and recurrent states of all slots over all layers."""
    return int(sum(_cache(network.architecture, load, 0)))


def memory(network: Network, load: Load) -> Memory:
    """What the process that holds the model takes at its peak. Raises FitError for bad loads."""
    check_load(load)
    shape = network.architecture
    routed = shape.experts_used * (shape.expert_inner or shape.inner) if shape.experts else 0
    weights = weights_of(network.tensors, shape.layers, routed, shape.tied)
    on_gpu = shape.layers + 1 if load.gpu_layers < 0 else min(load.gpu_layers, shape.layers + 1)
    ram, gpu = _weights_parts(weights, shape, load, on_gpu)
    cache_ram, cache_gpu = _cache(shape, load, on_gpu)
    ram.append(Part("KV cache", int(cache_ram), "ram"))
    filled = load.context if load.embedding else min(-(-load.context // 2), _USUAL_PROMPT)
    usual, least, most = (
        _compute(shape, weights, load, tokens) for tokens in (filled, 1, load.context)
    )
    if on_gpu:
        gpu += [Part("KV cache", int(cache_gpu), "gpu"), Part("compute", most, "gpu")]
        gpu.append(Part("graphics runtime", GPU_BYTES, "gpu"))
        if on_gpu > shape.layers:  # only the embeddings are looked up here
            usual = least = most = 4 * shape.width * _tokens(load)
    copies = _checkpoints(shape, load, filled)
    ram.append(Part("compute", usual, "ram"))
    ram.append(Part("checkpoints", copies, "ram"))
    ram.append(Part("vocabulary", _vocabulary(network), "ram"))
    ram.append(Part("answers", _answers(shape, load), "ram"))
    graph = _BIG_GRAPH_BYTES if shape.name in _BIG_GRAPHS else 0
    ram.append(Part("process", PROCESS_BYTES + graph, "ram"))
    more = most - usual + _growth(shape, load) - copies
    return Memory(
        tuple(part for part in (*ram, *gpu) if part.bytes),
        _estimate(ram, usual - least + copies, more, "formula"),
        _estimate(gpu, GPU_BYTES // 2, GPU_BYTES, "formula, not measured on a card")
        if gpu
        else None,
    )


def check_load(load: Load) -> None:
    numbers = (load.context, load.slots, load.batch)
    if any(not 0 < number <= 2**53 for number in numbers):
        raise FitError("Context, slots and batch must be whole numbers above 0.")
    if load.cache_type not in CACHE_TYPES:
        raise FitError(f"The cache type must be one of {', '.join(CACHE_TYPES)}.")
    if load.prompt_cache < 0 or load.gpu_layers < -1:
        raise FitError("The prompt cache and the layers on a card cannot be negative.")


def _estimate(parts: list[Part], less: float, more: float, basis: str) -> Estimate:
    value = float(sum(part.bytes for part in parts))
    low = max(0.0, value * (1 - _NOISE) - max(less, 0))
    return Estimate(value, low, value * (1 + _NOISE) + max(more, 0), basis)


def _tokens(load: Load) -> int:
    """Tokens of the largest batch; the engine computes an embedding in one."""
    if load.embedding:
        return max(load.batch, load.context)
    return min(load.batch, _padded(load.context) * load.slots)


def _padded(cells: int) -> int:
    return -(-cells // 256) * 256


def _cells(load: Load, window: int | None) -> int:
    """Tokens that a layer's cache holds for one slot."""
    full = _padded(load.context)
    return full if window is None else min(full, _padded(window + _tokens(load)))


def _rows(shape: Architecture, load: Load) -> list[tuple[float, int | None]]:
    """Per layer: bytes of one token's keys and values, and the layer's window."""
    size = _VALUE_BYTES[load.cache_type] if shape.causal else 0.0
    latent = "latent" in shape.extras  # values are a part of the keys
    rows = zip(shape.kv_heads, shape.key_size, shape.value_size, shape.windows, strict=True)
    return [
        (heads * (key if latent else key + value) * size, window)
        for heads, key, value, window in rows
    ]


def _cache(shape: Architecture, load: Load, on_gpu: int) -> tuple[float, float]:
    """Bytes over all slots in main memory, and on the card."""
    places = [0.0, 0.0]
    for layer, (row, window) in enumerate(_rows(shape, load)):
        on_card = layer >= shape.layers - on_gpu
        places[on_card] += row * _cells(load, window) * load.slots
    share = min(on_gpu, shape.layers) / shape.layers
    states = shape.state_bytes * load.slots
    return places[0] + states * (1 - share), places[1] + states * share


def _weights_parts(
    weights: Weights, shape: Architecture, load: Load, on_gpu: int
) -> tuple[list[Part], list[Part]]:
    if not on_gpu:
        extra = weights.repacked if load.mmap else weights.doubled
        left = 0 if load.mmap else weights.read_buffer
        name = "weights, rearranged copy"
        return [
            Part("weights", weights.mapped if load.mmap else weights.total, "ram"),
            Part(name, extra, "ram"),
            Part("left from loading", left, "ram"),
        ], []  # fmt: skip
    moved = sum(weights.layers[max(0, shape.layers - on_gpu) :])
    whole = on_gpu > shape.layers
    output = weights.output if whole else 0
    here = weights.total - moved - (0 if shape.tied else output)
    return [Part("weights", here, "ram")], [Part("weights", moved + output, "gpu")]


def _compute(shape: Architecture, weights: Weights, load: Load, filled: int) -> int:
    """Bytes that a batch writes when each slot has had a prompt of `filled` tokens."""
    tokens, width = min(_tokens(load), filled * load.slots), shape.width
    widest = max(6 * width, 5 * width + weights.feed_forward)
    used = shape.experts_used * width
    if shape.experts and 3 * used > 2 * weights.feed_forward:  # does not fit where gates were
        widest = max(widest, 5 * width + weights.feed_forward + used)
    key, value = max(shape.key_size, default=0), max(shape.value_size, default=0)
    grouped = max(shape.kv_heads, default=0) * (key + value)
    query = shape.heads * key
    flash = load.flash_attention is not False
    attention = 3 * width + (2 if flash else 3) * query + grouped
    if "latent" in shape.extras:
        attention = 3 * width + shape.heads * (
            key + value + shape.extras.get("mla_key", 0) + shape.extras.get("mla_value", 0)
        )
    attention = max(attention, 3 * width + weights.recurrent)
    mask = scores = 0
    for window in set(shape.windows):
        cells = min(_cells(load, window), max(_padded(filled), tokens))
        mask += cells * (2 if flash else 4)
        scores = max(scores, 0 if flash else 4 * shape.heads * cells)
    logits = 4 * shape.vocabulary if load.embedding and shape.causal else 0
    widest = max(4 * widest, 4 * attention + scores, logits + 20 * width) - 8 * width
    per_layer = 16 * shape.layers * shape.extras.get("per_layer", 0)
    return tokens * (widest + mask + per_layer)


def _answers(shape: Architecture, load: Load) -> int:
    """Logits and candidates; an embedding model has logits of each token."""
    if load.embedding:
        return 4 * _tokens(load) * (shape.vocabulary + shape.width)
    return load.slots * (shape.vocabulary * (4 + _CANDIDATE_BYTES) + _SLOT_BYTES)


def _vocabulary(network: Network) -> int:
    shape = network.architecture
    merges = shape.extras.get("merges", 0)
    if not network.from_file and network.tokenizer_bytes > 35 * shape.vocabulary:
        merges = shape.vocabulary
    texts = _TEXT_COPIES * network.tokenizer_bytes
    return shape.vocabulary * _TOKEN_BYTES + merges * _MERGE_BYTES + texts


def _checkpoint(shape: Architecture, load: Load, tokens: int) -> float:
    """Bytes of one copy of what a prompt of this length cannot be rolled back in."""
    rows = _rows(shape, load)
    return shape.state_bytes + sum(row * min(window, tokens) for row, window in rows if window)


def _checkpoints(shape: Architecture, load: Load, filled: int) -> int:
    """Copies of all slots after a prompt: one a batch before its end, one at it, some before;
    where slots share batches, about one more for each second slot."""
    if load.embedding or not shape.causal:
        return 0
    before = max(0, filled - load.batch)
    copies = _checkpoint(shape, load, filled) + _checkpoint(shape, load, before)
    copies += before // _CHECKPOINT_STEP * _checkpoint(shape, load, before)
    shared = _checkpoint(shape, load, filled) * (load.slots - 1) / 2  # batches that slots share
    return int(copies * load.slots + shared)


def _growth(shape: Architecture, load: Load) -> float:
    """What longer use adds: more checkpoints and a full prompt cache."""
    if load.embedding or not shape.causal:
        return 0.0
    copies = _MOST_CHECKPOINTS * load.slots * _checkpoint(shape, load, load.context)
    return load.prompt_cache + copies

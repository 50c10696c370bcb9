"""The records of this room: a network, how it is to be loaded, on what, and what that takes.

Sizes are bytes, speeds tokens per second. A number that cannot be told is None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.gguf import TensorInfo

CACHE_TYPES = ("f16", "q8_0", "q4_0")


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network's shape, as far as memory and speed depend on it.

    Tuples have one entry per layer. A layer with 0 `kv_heads` keeps no cache (recurrent layers,
    layers that share another's, encoders). `key_size` and `value_size` are numbers per KV head
    and token; for latent attention (MLA) the compressed row, with one KV head.
    """

    name: str  # llama.cpp's word: "llama", "qwen3moe"
    layers: int
    width: int
    vocabulary: int
    heads: int
    kv_heads: tuple[int, ...]
    key_size: tuple[int, ...]
    value_size: tuple[int, ...]
    windows: tuple[int | None, ...]  # tokens that a layer sees; None is all
    inner: int  # width of a dense layer's feed-forward part
    tied: bool  # the output matrix is the embedding's
    context: int | None = None  # tokens it was trained with
    experts: int = 0
    experts_used: int = 0
    expert_inner: int = 0  # width of one expert
    shared_inner: int = 0  # width of what all tokens pass beside the experts
    state_bytes: int = 0  # recurrent state of one sequence
    causal: bool = True  # False: an encoder, which keeps no cache
    extras: Mapping[str, int] = field(default_factory=dict, hash=False)  # of one family alone
    kinds: str = ""  # a letter per layer where a family mixes kinds (docs/cards.md)


@dataclass(frozen=True, slots=True)
class Network:
    """A shape with its weights, from a file's header or computed from a card's facts."""

    architecture: Architecture
    tensors: tuple[TensorInfo, ...]
    quantisation: str  # "Q4_K_M"
    tokenizer_bytes: int  # of the vocabulary's texts, scores and merges in the file
    from_file: bool


@dataclass(frozen=True, slots=True)
class Load:
    """How a model is to be loaded."""

    context: int = 4096  # tokens per slot
    slots: int = 1  # answers at the same time
    batch: int = 512  # tokens of a prompt computed at once
    cache_type: str = "f16"  # one of CACHE_TYPES
    gpu_layers: int = 0  # -1 is all, the output matrix included
    mmap: bool = False
    flash_attention: bool | None = None  # None lets llama.cpp choose
    prompt_cache: int = 256 * 2**20  # bytes that finished prompts may take in main memory
    embedding: bool = False
    threads: int = 0  # 0 is as many as the engine would take


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and the interval that holds it in 9 of 10 cases."""

    value: float
    low: float
    high: float
    basis: str  # in words: "formula", "formula, corrected by 12 measurements", "measured"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that takes memory."""

    name: str  # "weights", "KV cache", "compute", "prompt cache", "process", …
    bytes: int
    where: str  # "ram" or "gpu"


@dataclass(frozen=True, slots=True)
class Memory:
    """What a loaded model takes at its peak, part by part and in all."""

    parts: tuple[Part, ...]
    ram: Estimate
    gpu: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second: reading a prompt, and writing one answer."""

    prompt: Estimate
    generation: Estimate


@dataclass(frozen=True, slots=True)
class ProfileGpu:
    """A graphics card of a profile. Rates None when they are not known."""

    name: str
    memory: int  # bytes
    bandwidth: float | None = None  # bytes per second
    compute: float | None = None  # 16-bit floating point operations per second


@dataclass(frozen=True, slots=True)
class Profile:
    """A machine to ask about: this one or a named one."""

    name: str  # "this", "gpu-24gb", "laptop-16gb"
    title: str
    memory: int  # bytes of main memory that a model may use
    gpus: tuple[ProfileGpu, ...] = ()
    shared: bool = False  # the card uses main memory (Apple)
    cores: int | None = None
    bandwidth: float | None = None  # main memory, bytes per second
    source: str = ""  # "measured 2026-11-21", a vendor's data sheet, …


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether and how a network fits a machine."""

    verdict: str  # "gpu", "split" (GPU and main memory), "ram", "tight", "no", "unknown"
    memory: Memory | None
    speed: Speed | None  # None: no calibration for that machine
    load: Load  # what was priced; `gpu_layers` is chosen
    headroom: int | None  # bytes left where it is tightest; negative when it does not fit
    score: float | None  # 0 to 1: how comfortably
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

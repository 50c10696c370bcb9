"""What a network's list of tensors says about memory: sizes by place, and what is repacked.

On a processor llama.cpp rearranges matrices of some types for its vector instructions. The
rearranged copy replaces the original, with two exceptions: beside a mapped file it is a second
copy, and an embedding table that serves as the output too is kept both plain, to look up rows,
and rearranged, to multiply with. Types by instruction set: ggml's `repack.cpp`, x86 with AVX2
and Arm with dot products or i8mm; both want rows in multiples of 8 (Arm 4).

When tensors are rearranged, each is first read into a buffer; what glibc's allocator keeps of
it afterwards is the largest below 32 MiB (its largest threshold for mapping blocks), measured.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache, lru_cache

from workbench.gguf import TensorInfo

_REPACKED_X86 = frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"})
_REPACKED_ARM = _REPACKED_X86 | {"Q2_K", "Q5_K", "Q6_K", "Q8_0"}
_KEPT_BELOW = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Weights:
    """Sums over tensors, in bytes unless said otherwise. `layers` has one sum per layer."""

    total: int
    layers: tuple[int, ...]
    output: int  # the output matrix, its norm, or the table that serves as one
    repacked: int  # a second copy when the file is mapped
    mapped: int  # of the file, from the first tensor that is not rearranged to the last
    doubled: int  # kept plain and rearranged in any case
    read_buffer: int  # what is left of loading
    feed_forward: int  # numbers per token that the widest feed-forward part holds at once
    recurrent: int  # the same of a recurrent layer


def weights_of(tensors: tuple[TensorInfo, ...], layers: int, expert: int, tied: bool) -> Weights:
    """The sums; kept for tuples that were seen lately. `expert` is numbers of used experts."""
    return _sums(_Same(tensors), layers, expert, tied)


class _Same:
    """A tuple known by its identity: hashing hundreds of tensors would cost more than summing."""

    __slots__ = ("tensors",)

    def __init__(self, tensors: tuple[TensorInfo, ...]) -> None:
        self.tensors = tensors

    def __hash__(self) -> int:
        return id(self.tensors)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.tensors is self.tensors


@lru_cache(maxsize=4096)
def _sums(same: _Same, layers: int, expert: int, tied: bool) -> Weights:
    kinds = repacked_types()
    by_layer = [0] * layers
    total = output = repacked = doubled = buffer = 0
    first, last = 1 << 62, 0
    for tensor in same.tensors:
        total += tensor.bytes
        layer = _layer(tensor.name)
        if 0 <= layer < layers:
            by_layer[layer] += tensor.bytes
        table = tensor.name == "token_embd.weight"
        if tensor.name.startswith("output") or (table and tied):
            output += tensor.bytes
        if _is_rearranged(tensor, kinds) and (not table or tied):
            repacked += tensor.bytes
            doubled += tensor.bytes if table else 0
            if tensor.bytes < _KEPT_BELOW:
                buffer = max(buffer, tensor.bytes)
        else:
            first, last = min(first, tensor.offset), max(last, tensor.offset + tensor.bytes)
    mapped = last - first if any(tensor.offset for tensor in same.tensors) else total
    return Weights(
        total=total,
        layers=tuple(by_layer),
        output=output,
        repacked=repacked,
        mapped=max(mapped, 0),
        doubled=doubled,
        read_buffer=buffer,
        feed_forward=_feed_forward(same.tensors, expert),
        recurrent=_recurrent(same.tensors),
    )


@cache
def repacked_types() -> frozenset[str]:
    """The types that llama.cpp rearranges on this kind of processor."""
    machine = platform.machine().lower()
    if machine in {"arm64", "aarch64"}:
        return _REPACKED_ARM
    return _REPACKED_X86 if machine in {"x86_64", "amd64"} else frozenset()


def _is_rearranged(tensor: TensorInfo, kinds: frozenset[str]) -> bool:
    return (
        tensor.type in kinds
        and len(tensor.shape) > 1
        and tensor.shape[1] % 8 == 0
        and tensor.name.endswith(".weight")
    )


def _layer(name: str) -> int:
    _, _, rest = name.partition("blk.")
    number = rest.partition(".")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 6 else -1


def _feed_forward(tensors: tuple[TensorInfo, ...], expert: int) -> int:
    """Numbers per token: what goes up, its gate, their product; a plain one works in place."""
    ups: dict[int, int] = {}
    gated: set[int] = set()
    downs: dict[int, int] = {}
    routed = False
    for tensor in tensors:
        _, _, name = tensor.name.rpartition("blk.")
        part = name.partition(".")[2]
        if part == "ffn_up.weight" and len(tensor.shape) > 1:
            ups[_layer(tensor.name)] = tensor.shape[1]
        elif part == "ffn_gate.weight":
            gated.add(_layer(tensor.name))
        elif part == "ffn_down.weight":
            downs[_layer(tensor.name)] = tensor.shape[0]
        routed = routed or "_exps." in part
    widest = 3 * expert if routed else 0
    for layer, up in ups.items():
        down = downs.get(layer, up)
        fused = up == 2 * down
        widest = max(widest, 3 * up if layer in gated else 3 * down if fused else up)
    return widest


def _recurrent(tensors: tuple[TensorInfo, ...]) -> int:
    """Numbers per token, as llama.cpp's buffers showed: Mamba's input and its convolution three
    times over; of a delta network's mixed keys, queries and values 2.4 times."""
    mixed = widest = 0
    delta = False
    for tensor in tensors:
        if tensor.name.endswith("ssm_in.weight"):
            widest = max(widest, 3 * tensor.shape[-1])
        elif tensor.name.endswith("attn_qkv.weight"):
            mixed = max(mixed, tensor.shape[-1])
        delta = delta or tensor.name.endswith("ssm_out.weight")
    return max(widest, mixed * 12 // 5 if delta else 0)

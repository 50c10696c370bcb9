"""What a GGUF file says of itself: metadata, tensors, and what can be derived from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any


@dataclass(frozen=True, slots=True)
class Array:
    """An array that was stepped over. `values` is filled only when it is short."""

    kind: str  # "string", "float32", …
    count: int
    values: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor: `shape` begins with the row length, as in the file (reversed NumPy order).

    `offset` counts from the header's `data_offset`; `bytes` is the size without padding.
    """

    name: str
    shape: tuple[int, ...]
    type: str  # "F16", "Q4_K", …
    offset: int
    bytes: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """Everything before the weights. `size` is the whole file's, in bytes."""

    version: int
    metadata: Mapping[str, Any]
    tensors: tuple[TensorInfo, ...]
    alignment: int
    data_offset: int
    size: int
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict, repr=False)
    """Where each metadata entry (key, type, value) lies in the file: start, end."""

    @property
    def architecture(self) -> str:
        """`general.architecture`, "" when the file has none."""
        value = self.metadata.get("general.architecture")
        return value if isinstance(value, str) else ""

    def get(self, key: str, default: Any = None) -> Any:
        """`<architecture>.<key>`, for example `context_length`."""
        return self.metadata.get(f"{self.architecture}.{key}", default)

    @property
    def parameter_count(self) -> int:
        """Numbers in all tensors together."""
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def bytes_by_type(self) -> dict[str, int]:
        """Bytes of weights for each tensor type, the largest first."""
        sizes: Counter[str] = Counter()
        for tensor in self.tensors:
            sizes[tensor.type] += tensor.bytes
        return dict(sizes.most_common())

    @property
    def file_type(self) -> str:
        """The mix's name ("Q4_K_M"); without one in the file, the type of most bytes."""
        from gguf import LlamaFileType

        number = self.metadata.get("general.file_type")
        if isinstance(number, int):
            try:
                name: str = LlamaFileType(number).name
                return name.removeprefix("MOSTLY_").removeprefix("ALL_")
            except ValueError:
                pass  # a mix newer than the installed gguf: say what is inside instead
        return next(iter(self.bytes_by_type), "unknown")


def file_type_number(mix: str) -> int:
    """`general.file_type` for a mix: llama.cpp's number."""
    from gguf import LlamaFileType

    return int(LlamaFileType[f"{'ALL' if mix == 'F32' else 'MOSTLY'}_{mix}"])

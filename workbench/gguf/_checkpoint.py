"""A Hugging Face folder: its configuration and its tensors, one at a time.

Tensors stay on disk until their values are asked for (memory-mapped), so a conversion needs
the memory of one tensor. The safetensors library checks each file's header before we map it.
Pickled weights (`pytorch_model.bin`) are refused: reading them can run foreign code.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import GGUFError

Floats = NDArray[np.float32]
# what Python raises when foreign JSON or numbers are not what they should be
DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
)
_MAX_JSON = 1 << 27  # bytes; the largest tokenizer.json have 35 MB
_PART = 1 << 22  # numbers that are converted at a time
STORED = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True, slots=True)
class Lazy:
    """A tensor to come: `shape` in NumPy's order, `read(first, last)` gives some of its rows.

    `whole` says that only all rows together can be had, since they change places.
    """

    shape: tuple[int, ...]
    read: Callable[[int, int | None], Floats]
    whole: bool = False

    def map(self, change: Callable[[Floats], Floats], shape: tuple[int, ...] | None = None) -> Lazy:
        """The same after `change`, which is applied to all of it when it is read."""
        return Lazy(shape or self.shape, lambda first, last: change(self.read(0, None)), whole=True)

    def parts(self) -> Iterator[Floats]:
        """All of it in order, some rows at a time."""
        rows = self.shape[0] if self.shape else 1
        step = rows if self.whole else max(1, _PART * rows // max(1, prod(self.shape)))
        for first in range(0, rows, step):
            yield self.read(first, first + step)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; GGUFError when it is missing, huge, or something else."""
    try:
        if path.stat().st_size > _MAX_JSON:
            raise GGUFError(f"{path} is too large for a {path.name}.")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GGUFError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise GGUFError(f"{path} is not valid JSON.") from error
    if not isinstance(value, dict):
        raise GGUFError(f"{path} does not hold a JSON object.")
    return value


class Config(dict[str, Any]):
    """`config.json`, with a language model's part (`text_config`) on top."""

    def __init__(self, values: Mapping[str, Any], source: str = "config.json") -> None:
        inner = values.get("text_config")
        super().__init__({**values, **(inner if isinstance(inner, Mapping) else {})})
        self.source = source

    def integer(self, *names: str, default: int | None = None) -> int:
        """The first of `names` that is set, as a positive whole number."""
        value = self._first(names, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 31:
            raise GGUFError(f"{self.source}: {names[0]} must be a whole number, not {value!r}.")
        return value

    def number(self, *names: str, default: float | None = None) -> float:
        """The first of `names` that is set, as a float."""
        value = self._first(names, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise GGUFError(f"{self.source}: {names[0]} must be a number, not {value!r}.")
        return float(value)

    def _first(self, names: tuple[str, ...], default: Any) -> Any:
        found = (self[name] for name in names if self.get(name) is not None)
        return next(found, default)


def tensors_of(folder: Path, *, prefix: str = "model") -> dict[str, Lazy]:
    """All tensors of `<prefix>.safetensors`, or of the shards its index names."""
    files = [folder / f"{prefix}.safetensors"]
    if not files[0].is_file():
        files = _shards(folder, prefix)
    tensors: dict[str, Lazy] = {}
    for file in files:
        for name, tensor in _tensors_in(file).items():
            if name in tensors:
                raise GGUFError(f"{folder}: two of its files hold the tensor {name!r}.")
            tensors[name] = tensor
    return tensors


def _shards(folder: Path, prefix: str) -> list[Path]:
    index = folder / f"{prefix}.safetensors.index.json"
    if not index.is_file():
        raise GGUFError(f"{folder} has no {prefix}.safetensors. Call model.save_pretrained on it.")
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise GGUFError(f"{index} has no weight_map.")
    files = sorted(set(names.values()))
    for name in files:
        if Path(name).name != name or not (folder / name).is_file():
            raise GGUFError(f"{index} names {name!r}, which is not a file beside it.")
    return [folder / name for name in files]


def _tensors_in(file: Path) -> dict[str, Lazy]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy"):
            pass  # opening checks lengths, offsets and shapes against the file
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            header = json.loads(opened.read(length))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise GGUFError(f"{file} is not a usable safetensors file ({error}).") from error
    return {
        name: _lazy(file, 8 + length, name, info)
        for name, info in header.items()
        if name != "__metadata__"
    }


def widened(stored: NDArray[Any], dtype: str) -> Floats:
    """Stored numbers as float32; a bfloat16 is the upper half of one."""
    if dtype == "BF16":
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(stored, dtype=np.float32)


def _lazy(file: Path, start: int, name: str, info: Mapping[str, Any]) -> Lazy:
    shape, dtype = tuple(info["shape"]), info["dtype"]
    begin = start + info["data_offsets"][0]

    def read(first: int, last: int | None) -> Floats:
        if dtype not in STORED:
            raise GGUFError(
                f"{file}: tensor {name!r} is stored as {dtype}, which is not supported. "
                "Save the model in float32, float16 or bfloat16."
            )
        return widened(np.memmap(file, STORED[dtype], "r", begin, shape)[first:last], dtype)

    return Lazy(shape, read)

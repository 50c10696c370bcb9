"""Quantise a float GGUF file with llama.cpp's own kernels, rows in parallel.

`ggml_quantize_chunk` comes from the shared library that xllamacpp ships; it runs without the
interpreter's lock, so threads work. Metadata is copied byte for byte, but for the file type.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from gguf import GGML_QUANT_SIZES, GGML_QUANT_VERSION, GGMLQuantizationType
from numpy.typing import NDArray

from workbench.errors import GGUFError
from workbench.gguf._api import Progress
from workbench.gguf._checkpoint import STORED, widened
from workbench.gguf._header import Header, TensorInfo, file_type_number
from workbench.gguf._mix import FLOATS, may_change, tensor_types
from workbench.gguf._output import replacing
from workbench.gguf._reader import read_header

_CHUNK = 1 << 21  # numbers that one thread works on at a time: 8 MB of float32
_REPLACED = {"general.file_type", "general.quantization_version"}


def quantise(source: Path, out: Path, kind: str, progress: Progress | None) -> Path:
    """See `_api.quantise`."""
    kind = kind.upper()
    header = read_header(source)
    types = tensor_types(header, kind)
    _check_source(source, header)
    tensors = [_retyped(tensor, types[tensor.name]) for tensor in header.tensors]
    total = sum(tensor.elements for tensor in tensors) or 1
    done = 0
    with (
        replacing(out) as temporary,
        source.open("rb") as reading,
        temporary.open("wb") as writing,
        ThreadPoolExecutor() as pool,
    ):
        _write_header(reading, writing, header, tensors, kind)
        for before, after in zip(header.tensors, tensors, strict=True):
            _pad(writing, header.alignment)
            for piece, elements in _pieces(source, header, before, after.type, pool):
                writing.write(piece)
                done += elements
                if progress:
                    progress(done / total)
        _pad(writing, header.alignment)
    return out


def _check_source(source: Path, header: Header) -> None:
    if header.metadata.get("split.count", 1) not in {0, 1}:
        raise GGUFError(f"{source} is a part of a split model. Join the parts first.")
    for tensor in header.tensors:
        if may_change(tensor) and tensor.type not in FLOATS:
            raise GGUFError(
                f"{source} is already quantised ({header.file_type}). "
                "Quantise from its F16, BF16 or F32 original."
            )


def _retyped(tensor: TensorInfo, kind: str) -> TensorInfo:
    block, size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    return TensorInfo(tensor.name, tensor.shape, kind, 0, tensor.elements // block * size)


def _pad(file: BinaryIO, alignment: int) -> None:
    file.write(bytes(-file.tell() % alignment))


def _write_header(
    reading: BinaryIO, file: BinaryIO, header: Header, tensors: list[TensorInfo], kind: str
) -> None:
    numbers = {
        "general.file_type": file_type_number(kind),
        "general.quantization_version": GGML_QUANT_VERSION,
    }
    kept = [span for key, span in header.spans.items() if key not in _REPLACED]
    file.write(struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(kept) + len(numbers)))
    for start, end in kept:
        reading.seek(start)
        file.write(reading.read(end - start))
    for key, number in numbers.items():
        file.write(_text(key) + struct.pack("<II", 4, number))
    offset = 0
    for tensor in tensors:
        dimensions = len(tensor.shape)
        number = GGMLQuantizationType[tensor.type]
        file.write(_text(tensor.name) + struct.pack("<I", dimensions))
        file.write(struct.pack(f"<{dimensions}QIQ", *tensor.shape, number, offset))
        offset += -(-tensor.bytes // header.alignment) * header.alignment


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _pieces(
    source: Path, header: Header, tensor: TensorInfo, kind: str, pool: ThreadPoolExecutor
) -> Iterator[tuple[bytes, int]]:
    """The tensor's new bytes in order, each with how many numbers it holds."""
    start = header.data_offset + tensor.offset
    if kind == tensor.type:
        step = 1 << 24
        raw = np.memmap(source, np.uint8, "r", start, (tensor.bytes,))
        for at in range(0, tensor.bytes, step):
            piece = raw[at : at + step].tobytes()
            yield piece, len(piece) * tensor.elements // tensor.bytes
        return
    width = tensor.shape[0]
    rows = tensor.elements // width
    data = np.memmap(source, STORED[tensor.type], "r", start, (rows, width))
    step = max(1, _CHUNK // width)

    def work(first: int) -> tuple[bytes, int]:
        values = np.ascontiguousarray(widened(data[first : first + step], tensor.type))
        if not np.isfinite(values).all():
            raise GGUFError(f"The tensor {tensor.name!r} holds values that are not finite numbers.")
        return _quantised(values, kind), values.size

    yield from pool.map(work, range(0, rows, step))


def _quantised(values: NDArray[np.float32], kind: str) -> bytes:
    if kind == "F32":
        return values.tobytes()
    number = GGMLQuantizationType[kind]
    block, size = GGML_QUANT_SIZES[number]
    rows, width = values.shape
    target = ctypes.create_string_buffer(values.size // block * size)
    written = _kernel()(int(number), values.ctypes.data, target, 0, rows, width, None)
    if written != len(target):
        raise GGUFError(f"llama.cpp wrote {written} bytes of {kind} instead of {len(target)}.")
    return target.raw


@cache
def _kernel() -> Callable[..., int]:
    """llama.cpp's quantiser. Float kinds go through it too, so rounding is llama.cpp's."""
    import xllamacpp.xllamacpp as library

    try:
        function = ctypes.CDLL(library.__file__).ggml_quantize_chunk
    except (OSError, AttributeError) as error:
        raise GGUFError("This xllamacpp lacks llama.cpp's quantiser. Reinstall it.") from error
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    function.argtypes = [ctypes.c_int, pointer, pointer, number, number, number, pointer]
    function.restype = ctypes.c_size_t
    return function

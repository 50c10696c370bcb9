"""Read a GGUF header, believing nothing: every count, length and offset is checked first.

The format (little-endian): magic, version, number of tensors, number of metadata entries; the
entries (key, type, value); the tensors' names, shapes, types and offsets; padding; weights.
Work and memory are bounded by what is really in the file and by the limits below, so a hostile
file costs milliseconds. Short arrays are kept, long ones stepped over unless asked for.
Not supported: GGUF version 1, big-endian files, arrays of arrays (llama.cpp has none either).
"""

from __future__ import annotations

import struct
from contextlib import closing
from math import prod
from pathlib import Path
from typing import Any

from workbench.errors import GGUFError
from workbench.gguf._header import Array, Header, TensorInfo
from workbench.gguf._source import Source, open_source

MAX_ENTRIES = 1 << 16  # of metadata; real files have fewer than 100
MAX_TENSORS = 1 << 16  # the largest models have a few thousand
MAX_STRINGS = 1 << 22  # in all arrays together; the largest vocabularies have 262,144 tokens
MAX_KEPT = 1 << 22  # numbers of an array that is kept
MAX_HEADER = 1 << 28  # bytes
MAX_STRING = 1 << 24
MAX_NAME = 63  # bytes of a tensor's name, llama.cpp's limit
MAX_KEY = 1 << 10  # bytes of a key; the longest real ones have about 60
MAX_ALIGNMENT = 1 << 16
SHORT = 256  # elements of an array that is kept in any case

_STRING, _ARRAY = 8, 9
_CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?"} | {
    10: "Q",
    11: "q",
    12: "d",
}
_ONE = {kind: struct.Struct("<" + code) for kind, code in _CODES.items()}
_U64 = struct.Struct("<Q")


def read_header(source: Path | str, *, arrays: bool = False) -> Header:
    """The header of a local file or of an http(s) URL; GGUFError when anything is wrong.

    Long arrays come as `Array` summaries; with `arrays` all of them come as lists.
    """
    with closing(open_source(source)) as opened:
        return _Parser(opened, arrays).header()


class _Parser:
    """One pass over the header: `at` is where we are, `_buffer` what was read around it."""

    def __init__(self, source: Source, arrays: bool) -> None:
        self.source = source
        self.arrays = arrays
        self.limit = min(source.size, MAX_HEADER)
        self.at = 0
        self.strings_left = MAX_STRINGS
        self._base = 0
        self._buffer = b""

    def fail(self, what: str) -> GGUFError:
        return GGUFError(f"{self.source.name} is not a usable GGUF file: {what}.")

    def header(self) -> Header:
        if self.source.size < 24:
            raise self.fail("it is shorter than any GGUF file")
        if self.take(4) != b"GGUF":
            raise self.fail("it does not begin with the letters GGUF")
        version = self.number(4)
        if version not in {2, 3}:
            raise self.fail(f"its version {version} is not supported (2 and 3 are, not big-endian)")
        tensor_count, entry_count = self.number(10), self.number(10)
        if entry_count > MAX_ENTRIES or tensor_count > MAX_TENSORS:
            raise self.fail(f"it claims {entry_count} entries and {tensor_count} tensors")
        metadata, spans = self.entries(entry_count)
        alignment = self.alignment(metadata)
        raw = [self.tensor(number) for number in range(tensor_count)]
        data_offset = -(-self.at // alignment) * alignment
        tensors = tuple(_sized(self, *one) for one in raw)
        self.check_layout(tensors, data_offset, alignment)
        size = self.source.size
        return Header(version, metadata, tensors, alignment, data_offset, size, spans)

    # Bytes

    def need(self, count: int) -> int:
        """Make `count` bytes from here available; their index in the buffer."""
        self.within(count)
        start = self.at - self._base
        if start < 0 or start + count > len(self._buffer):
            length = min(max(count, self.source.chunk), self.limit - self.at)
            self._buffer = self.source.read(self.at, length)
            self._base, start = self.at, 0
        return start

    def take(self, count: int) -> bytes:
        start = self.need(count)
        self.at += count
        return self._buffer[start : start + count]

    def number(self, kind: int) -> Any:
        packer = _ONE[kind]
        start = self.need(packer.size)
        self.at += packer.size
        return packer.unpack_from(self._buffer, start)[0]

    def text(self, limit: int, what: str) -> str:
        length = self.number(10)
        if length > limit:
            raise self.fail(f"{what} claims {length} bytes")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise self.fail(f"{what} is not UTF-8") from None

    # Metadata

    def entries(self, count: int) -> tuple[dict[str, Any], dict[str, tuple[int, int]]]:
        metadata: dict[str, Any] = {}
        spans: dict[str, tuple[int, int]] = {}
        for _ in range(count):
            start = self.at
            key = self.text(MAX_KEY, "a key")
            if key in metadata:
                raise self.fail(f"the key {key!r} is there twice")
            metadata[key] = self.value(key)
            spans[key] = (start, self.at)
        return metadata, spans

    def value(self, key: str) -> Any:
        kind = self.number(4)
        if kind == _STRING:
            return self.text(MAX_STRING, f"the value of {key!r}")
        if kind == _ARRAY:
            return self.array(key)
        if kind not in _ONE:
            raise self.fail(f"{key!r} has the unknown type {kind}")
        return self.number(kind)

    def array(self, key: str) -> Any:
        from gguf import GGUFValueType

        kind, count = self.number(4), self.number(10)
        keep = self.arrays or count <= SHORT
        values: list[Any] | None = None
        if kind == _STRING:
            values = self.strings(key, count, keep)
        elif kind not in _CODES:
            raise self.fail(f"{key!r} is an array of the unsupported type {kind}")
        elif not keep:
            self.at += self.within(count * _ONE[kind].size)
        elif count > MAX_KEPT:
            raise self.fail(f"{key!r} claims {count} numbers")
        else:
            data = self.take(count * _ONE[kind].size)
            values = list(struct.unpack(f"<{count}{_CODES[kind]}", data))
        if self.arrays:
            return values
        name = GGUFValueType(kind).name.lower()
        return Array(name, count, None if values is None else tuple(values))

    def within(self, size: int) -> int:
        """`size`, checked before anything of that size is made."""
        if size > self.limit - self.at:
            raise self.fail(f"it ends inside its header (at byte {self.limit})")
        return size

    def strings(self, key: str, count: int, keep: bool) -> list[str] | None:
        """Step over `count` strings, the hot loop: 100,000s of them in a vocabulary."""
        self.strings_left -= count
        if self.strings_left < 0 or count * 8 > self.limit - self.at:
            raise self.fail(f"{key!r} claims {count} strings")
        kept: list[str] = []
        done = 0
        while done < count:
            position = self.need(8)
            buffer, end = self._buffer, len(self._buffer)
            first = position
            while done < count and position + 8 <= end:
                (length,) = _U64.unpack_from(buffer, position)
                after = position + 8 + length
                if after > end:
                    break
                if keep:  # token pieces may be cut inside a character, so replace
                    kept.append(buffer[position + 8 : after].decode(errors="replace"))
                position = after
                done += 1
            self.at += position - first
            if position == first:  # one string is longer than the buffer's rest
                self.big_string(key)
        return kept if keep else None

    def big_string(self, key: str) -> None:
        """Bring the string at `at` into the buffer whole."""
        start = self.need(8)
        (length,) = _U64.unpack_from(self._buffer, start)
        if length > MAX_STRING:
            raise self.fail(f"a string of {key!r} claims {length} bytes")
        self.need(8 + length)

    def alignment(self, metadata: dict[str, Any]) -> int:
        value = metadata.get("general.alignment", 32)
        valid = isinstance(value, int) and not isinstance(value, bool)
        if not valid or not 0 < value <= MAX_ALIGNMENT or value & (value - 1):
            raise self.fail("its alignment is not a power of two up to 65,536")
        return int(value)

    # Tensors

    def tensor(self, number: int) -> tuple[str, tuple[int, ...], int, int]:
        name = self.text(MAX_NAME, f"the name of tensor {number}")
        dimensions = self.number(4)
        if not 1 <= dimensions <= 4:
            raise self.fail(f"tensor {name!r} claims {dimensions} dimensions")
        shape = tuple(self.number(10) for _ in range(dimensions))
        if 0 in shape or prod(shape) >= 1 << 62:
            raise self.fail(f"tensor {name!r} has the impossible shape {shape}")
        return name, shape, self.number(4), self.number(10)

    def check_layout(self, tensors: tuple[TensorInfo, ...], start: int, alignment: int) -> None:
        """No name twice; every tensor aligned, inside the file, and apart from the others."""
        if len({tensor.name for tensor in tensors}) != len(tensors):
            raise self.fail("two tensors have the same name")
        end = 0
        for tensor in sorted(tensors, key=lambda one: one.offset):
            if tensor.offset % alignment:
                raise self.fail(f"tensor {tensor.name!r} is not aligned")
            if tensor.offset < end:
                raise self.fail(f"tensor {tensor.name!r} overlaps another one")
            end = tensor.offset + tensor.bytes
        if tensors and start + end > self.source.size:
            raise self.fail(
                f"its weights need {start + end} bytes but it has {self.source.size} "
                "(is the download complete?)"
            )


def _sized(
    parser: _Parser, name: str, shape: tuple[int, ...], kind: int, offset: int
) -> TensorInfo:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        known = GGMLQuantizationType(kind)
        block, block_bytes = GGML_QUANT_SIZES[known]
    except (ValueError, KeyError):
        raise parser.fail(f"tensor {name!r} has the unknown type {kind}") from None
    if shape[0] % block:
        raise parser.fail(f"tensor {name!r}: rows of {shape[0]} do not suit {known.name}")
    return TensorInfo(name, shape, known.name, offset, prod(shape) // block * block_bytes)

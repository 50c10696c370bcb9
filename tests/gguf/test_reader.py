"""Headers: what they say, and that no damaged or hostile file does harm."""

from __future__ import annotations

import random
import resource
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import GGUFError
from workbench.gguf import Array, read_header

STRING, ARRAY, U32, U64, F32 = 8, 9, 4, 10, 6


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def entry(key: str | bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(name: str = "x", shape: tuple[int, ...] = (4,), kind: int = 0, offset: int = 0) -> bytes:
    data = text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
    return data + struct.pack("<IQ", kind, offset)


def build(
    entries: list[bytes] | None = None,
    tensors: list[bytes] | None = None,
    *,
    weights: int = 64,
    counts: tuple[int, int] | None = None,
    version: int = 3,
) -> bytes:
    entries = entries if entries is not None else [entry("a.b", U32, struct.pack("<I", 7))]
    tensors = tensors if tensors is not None else [tensor()]
    numbers = counts or (len(tensors), len(entries))
    head = struct.pack("<4sIQQ", b"GGUF", version, *numbers) + b"".join(entries + tensors)
    return head + bytes(-len(head) % 32) + bytes(weights)


def array(kind: int, count: int, values: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, count) + values


def test_header_of_a_real_file(tiny_gguf: Path) -> None:
    header = read_header(tiny_gguf)
    expected = gguf.GGUFReader(tiny_gguf)
    assert header.architecture == "llama"
    assert header.get("context_length") == 512
    assert header.file_type == "F32"
    assert header.size == tiny_gguf.stat().st_size
    assert header.data_offset == expected.data_offset
    assert header.metadata["tokenizer.ggml.tokens"] == Array("string", 1000)
    assert header.bytes_by_type == {"F32": 4 * header.parameter_count}
    assert {one.name: (list(one.shape), one.offset + header.data_offset, one.bytes)
            for one in header.tensors} == {
        one.name: (one.shape.tolist(), one.data_offset, one.n_bytes) for one in expected.tensors
    }  # fmt: skip


def test_arrays_come_when_asked_for(tiny_gguf: Path) -> None:
    whole = read_header(tiny_gguf, arrays=True).metadata
    field = gguf.GGUFReader(tiny_gguf).get_field("tokenizer.ggml.tokens")
    assert field is not None
    assert whole["tokenizer.ggml.tokens"] == field.contents()
    assert whole["tokenizer.ggml.token_type"][:4] == [3, 3, 3, 1]


@pytest.mark.parametrize("version", [2, 3])
def test_every_kind_of_value(version: int, tmp_path: Path) -> None:
    values = {
        "u8": (0, "B", 255), "i8": (1, "b", -1), "u16": (2, "H", 9), "i16": (3, "h", -9),
        "u32": (4, "I", 9), "i32": (5, "i", -9), "f32": (6, "f", 0.5), "bool": (7, "?", True),
        "u64": (10, "Q", 1 << 60), "i64": (11, "q", -9), "f64": (12, "d", 0.1),
    }  # fmt: skip
    entries = [
        entry(key, kind, struct.pack("<" + code, v)) for key, (kind, code, v) in values.items()
    ]
    entries.append(entry("text", STRING, text("Größe")))
    entries.append(entry("short", ARRAY, array(F32, 2, struct.pack("<2f", 1, 2))))
    entries.append(entry("long", ARRAY, array(U64, 300, bytes(2400))))
    path = tmp_path / "m.gguf"
    path.write_bytes(build(entries, version=version))
    metadata = read_header(path).metadata
    assert {key: metadata[key] for key in values} == {k: v for k, (_, _, v) in values.items()}
    assert metadata["text"] == "Größe"
    assert metadata["short"] == Array("float32", 2, (1.0, 2.0))
    assert metadata["long"] == Array("uint64", 300)


def test_strings_across_the_edges_of_what_is_read_at_once(tmp_path: Path) -> None:
    words = ["x" * (i * 37 % 3000) for i in range(2000)] + ["y" * 700_000, "z"]
    values = b"".join(text(word) for word in words)
    path = tmp_path / "m.gguf"
    path.write_bytes(build([entry("k", ARRAY, array(STRING, len(words), values))]))
    assert read_header(path, arrays=True).metadata["k"] == words
    assert read_header(path).metadata["k"] == Array("string", len(words))


HUGE = 1 << 62
HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "shorter"),
    "another format": (b"PK\x03\x04" + bytes(100), "letters GGUF"),
    "version 1": (build(version=1), "version"),
    "version 9": (build(version=9), "version"),
    "big-endian": (build(version=0x03000000), "big-endian"),
    "10^18 entries": (build(counts=(1, 10**18)), "claims"),
    "10^18 tensors": (build(counts=(10**18, 1)), "claims"),
    "more entries than there are": (build(counts=(1, 50_000)), ""),
    "a key of 2^62 bytes": (build([struct.pack("<Q", HUGE) + bytes(50)]), "a key claims"),
    "a key that is not UTF-8": (build([entry(b"\xff\xfe", U32, bytes(4))]), "UTF-8"),
    "a key twice": (build([entry("k", U32, bytes(4))] * 2), "twice"),
    "a string of 2^62 bytes": (
        build([entry("k", STRING, struct.pack("<Q", HUGE))]),
        "claims",
    ),
    "a string longer than the file": (
        build([entry("k", STRING, struct.pack("<Q", 5000))]),
        "ends inside",
    ),
    "a string that is not UTF-8": (build([entry("k", STRING, text(b"\xc3("))]), "UTF-8"),
    "a value of type 77": (build([entry("k", 77, bytes(8))]), "unknown type"),
    "an array of 2^62 numbers": (build([entry("k", ARRAY, array(U64, HUGE))]), "claims"),
    "an array longer than the file": (build([entry("k", ARRAY, array(U64, 999))]), "ends inside"),
    "an array of 2^62 strings": (build([entry("k", ARRAY, array(STRING, HUGE))]), "claims"),
    "an array of 2^21 strings in a small file": (
        build([entry("k", ARRAY, array(STRING, 1 << 21))]),
        "claims",
    ),
    "an array whose string is huge": (
        build([entry("k", ARRAY, array(STRING, 2, struct.pack("<Q", HUGE) + bytes(64)))]),
        "claims",
    ),
    "an array of type 77": (build([entry("k", ARRAY, array(77, 1))]), "unsupported type"),
    "arrays in arrays": (
        build([entry("k", ARRAY, array(ARRAY, 1) * 10_000)]),
        "unsupported type 9",
    ),
    "alignment 0": (build([entry("general.alignment", U32, struct.pack("<I", 0))]), "alignment"),
    "alignment 48": (build([entry("general.alignment", U32, struct.pack("<I", 48))]), "alignment"),
    "alignment 2^31": (
        build([entry("general.alignment", U32, struct.pack("<I", 1 << 31))]),
        "alignment",
    ),
    "alignment in words": (build([entry("general.alignment", STRING, text("32"))]), "alignment"),
    "a tensor without dimensions": (build(tensors=[tensor(shape=())]), "dimensions"),
    "a tensor of 5 dimensions": (build(tensors=[tensor(shape=(1,) * 5)]), "dimensions"),
    "a tensor of 2^31 dimensions": (
        build(tensors=[text("x") + struct.pack("<I", 1 << 31)]),
        "dimensions",
    ),
    "a dimension of 0": (build(tensors=[tensor(shape=(4, 0))]), "impossible shape"),
    "a size that overflows": (build(tensors=[tensor(shape=(1 << 33, 1 << 31))]), "impossible"),
    "a negative dimension": (build(tensors=[tensor(shape=((1 << 64) - 4,))]), "impossible"),
    "a tensor of type 999": (build(tensors=[tensor(kind=999)]), "unknown type"),
    "rows that do not suit the type": (build(tensors=[tensor(shape=(33,), kind=2)]), "suit"),
    "a name of 64 bytes": (build(tensors=[tensor("x" * 64)]), "name"),
    "a name twice": (build(tensors=[tensor(), tensor(offset=32)]), "same name"),
    "tensors that overlap": (build(tensors=[tensor(), tensor("y")]), "overlaps"),
    "a crooked offset": (build(tensors=[tensor(offset=8)]), "aligned"),
    "an offset outside": (build(tensors=[tensor(offset=1 << 40)]), "complete"),
    "an offset of 2^64 - 32": (build(tensors=[tensor(offset=(1 << 64) - 32)]), "complete"),
    "weights cut off": (build(tensors=[tensor(shape=(64, 64))]), "complete"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_with_little_memory(case: str, tmp_path: Path) -> None:
    data, words = HOSTILE[case]
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(GGUFError, match=words or "GGUF"):
            read_header(path, arrays=True)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_a_huge_sparse_file_of_empty_strings_is_bounded(tmp_path: Path) -> None:
    """A terabyte of zeros reads as 2^40 empty strings; the limit is on the count."""
    path = tmp_path / "m.gguf"
    path.write_bytes(build([entry("k", ARRAY, array(STRING, 1 << 30))]))
    with path.open("rb+") as file:
        file.truncate(1 << 40)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(GGUFError, match="claims"):
        read_header(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_things_that_are_no_files(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(GGUFError, match="not a file"):
            read_header(place)


@pytest.fixture(scope="module")
def small() -> bytes:
    """A whole small file with every part of the format in it."""
    values = b"".join(text(word) for word in ("a", "bc", "", "def"))
    entries = [
        entry("general.architecture", STRING, text("llama")),
        entry("general.alignment", U32, struct.pack("<I", 32)),
        entry("general.file_type", U32, struct.pack("<I", 1)),
        entry("words", ARRAY, array(STRING, 4, values)),
        entry("numbers", ARRAY, array(F32, 3, bytes(12))),
    ]
    return build(entries, [tensor("a", (32, 2), 2), tensor("b", (4,), 0, 64)], weights=96)


def _reads_or_refuses(path: Path, data: bytes) -> None:
    """Any outcome but a header or a GGUFError fails the test by itself."""
    path.write_bytes(data)
    try:
        header = read_header(path, arrays=True)
    except GGUFError:
        return
    assert header.parameter_count >= 0
    assert isinstance(header.file_type, str)
    for one in header.tensors:
        assert header.data_offset + one.offset + one.bytes <= header.size


def test_every_truncation_is_refused(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(small)
    header = read_header(path)
    needed = header.data_offset + max(one.offset + one.bytes for one in header.tensors)
    for length in range(needed):
        path.write_bytes(small[:length])
        with pytest.raises(GGUFError):
            read_header(path)


def test_random_flips(small: bytes, tmp_path: Path) -> None:
    dice = random.Random(7)
    for _ in range(1500):
        data = bytearray(small)
        for _ in range(dice.choice((1, 1, 2, 8))):
            data[dice.randrange(len(data))] = dice.choice(
                (0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256))
            )
        _reads_or_refuses(
            tmp_path / "m.gguf", bytes(data[: dice.choice((len(data), dice.randrange(len(data))))])
        )


@given(st.binary(max_size=400), st.integers(0, 40), st.integers(0, 40))
def test_random_bytes_after_a_beginning(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, entries: int, tensors: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.gguf"
    _reads_or_refuses(path, struct.pack("<4sIQQ", b"GGUF", 3, tensors, entries) + data)


def make_vocabulary_file(path: Path, tokens: int) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_token_list([f"token{i}" for i in range(tokens)])
    writer.add_token_scores([0.5] * tokens)
    writer.add_tensor("x", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_large_vocabulary_is_stepped_over(tmp_path: Path) -> None:
    """Counted in memory, since tests assert no time: 150,000 tokens are not kept."""
    path = make_vocabulary_file(tmp_path / "m.gguf", 150_000)
    read: Callable[[], object] = lambda: read_header(path)  # noqa: E731
    read()
    tracemalloc.start()
    read()
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()

"""Read a SentencePiece `tokenizer.model`: the few fields of its protobuf that matter here.

ModelProto: pieces = 1 {piece = 1, score = 2, type = 3}, trainer_spec = 2 {model_type = 3},
normalizer_spec = 3 {add_dummy_prefix = 3, remove_extra_whitespaces = 4}. The wire format is
checked as it is read. Only BPE: Unigram models come with a tokenizer.json.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gguf import TokenType as Kind

from workbench.errors import GGUFError
from workbench.gguf._checkpoint import DAMAGE
from workbench.gguf._vocabulary import Piece, Vocabulary

_MAX_SIZE = 1 << 27
_UNIGRAM, _BPE = 1, 2


def read_sentencepiece(path: Path) -> Vocabulary:
    """The vocabulary of a `tokenizer.model`; GGUFError when it is none."""
    try:
        if path.stat().st_size > _MAX_SIZE:
            raise GGUFError(f"{path} is too large for a tokenizer.")
        return _vocabulary(path.read_bytes())
    except OSError as error:
        raise GGUFError(f"{path} cannot be read ({error.strerror}).") from error
    except DAMAGE as error:
        raise GGUFError(f"{path} is not a SentencePiece model.") from error


def _vocabulary(data: bytes) -> Vocabulary:
    pieces: list[Piece] = []
    flags = {"add_space_prefix": True, "remove_extra_whitespaces": True}
    for number, value in _fields(data):
        if number == 1:
            pieces.append(_piece(value))
        elif number == 2 and dict(_fields(value)).get(3, _UNIGRAM) != _BPE:
            raise GGUFError("A Unigram tokenizer.model is not supported, but tokenizer.json is.")
        elif number == 3:
            settings = dict(_fields(value))
            flags["add_space_prefix"] = bool(settings.get(3, True))
            flags["remove_extra_whitespaces"] = bool(settings.get(4, True))
    if not pieces:
        raise ValueError("no pieces")
    adds = {"bos": True}  # the convention of Llama's and Mistral's
    return Vocabulary("llama", dict(enumerate(pieces)), flags=flags, adds=adds)


def _piece(data: bytes) -> Piece:
    text, score, kind = "", 0.0, Kind.NORMAL
    for number, value in _fields(data):
        if number == 1:
            text = value.decode()
        elif number == 2:
            (score,) = struct.unpack("<f", value)
        elif number == 3:
            kind = Kind(value)
    return Piece(text, score, kind)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and values: a number for varints, bytes for everything else.

    The caller expects one of the two; the other one raises TypeError or AttributeError.
    """
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if wire == 2:
            length, at = _varint(data, at)
        elif wire in {1, 5}:
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + length > len(data):
            raise ValueError("it ends inside a field")
        yield tag >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 64 bits")

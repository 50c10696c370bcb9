"""Lines of anybody's text file: encoding detected, length bounded, damage told.

UTF-8 is believed where most of what is not ASCII reads as UTF-8; then a byte that does not is
damage, told with its line. Otherwise charset-normalizer guesses from the first 256 kB, and that it
is a guess is told.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from workbench.errors import DataError
from workbench.examples._findings import Finding

MOST_LINE = 16 << 20  # characters of a line, a cell, an object, a paragraph
_HEAD = 256 << 10
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PACKED = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"%PDF")
_ESCAPED = re.compile("[\ud800-\udfff]")


class Row(NamedTuple):
    """What a file has for one example, and where it begins."""

    line: int
    values: Mapping[str, Any]


class Line(NamedTuple):
    number: int
    text: str  # with its line end


def head_of(path: Path) -> bytes:
    """The file's first bytes. Raises DataError where there is no plain file that can be read."""
    if not path.is_file():
        what = "This is a folder. Name one file in it." if path.is_dir() else "There is no file."
        raise DataError(what, str(path))
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise DataError(f"It cannot be read ({error.strerror}).", str(path)) from None


def encoding_of(path: Path) -> str:
    """As Python names it. Raises DataError for a file that is no text."""
    head = head_of(path)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if head.startswith(_PACKED):
        raise DataError("This is a packed file or a PDF, not text. Unpack it first.", str(path))
    if b"\0" in head and not _few_nuls(head):
        raise DataError("This is a binary file, not text.", str(path))
    read = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(head)
    damaged = len(_ESCAPED.findall(read))
    good = len(head) - len(read)  # bytes beyond the first of characters that are whole
    return "utf-8" if good >= damaged else _guess(head)


def read_lines(path: Path) -> Iterator[Line | Finding]:
    """The lines; one that is too long or damaged is a finding (a damaged one comes as well)."""
    encoding = encoding_of(path)
    if not encoding.startswith("utf"):
        reason = f"The file is not UTF-8. It is read as {encoding}, which is a guess."
        yield Finding("guessed", "note", reason, str(path))
    errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    number = 0
    with path.open(encoding=encoding, errors=errors, newline="\n") as file:
        while text := file.readline(MOST_LINE + 1):
            number += 1
            if len(text) > MOST_LINE:
                while text and not text.endswith("\n"):
                    text = file.readline(MOST_LINE)
                yield Finding(
                    "too-large", "error", "The line is longer than 16 million characters.",
                    str(path), number,
                )  # fmt: skip
                continue
            if not text.isascii() and _ESCAPED.search(text):
                text = _ESCAPED.sub("\ufffd", text)
                yield Finding(
                    "bytes", "warning", "Bytes that are not UTF-8 stand here; each became U+FFFD.",
                    str(path), number,
                )  # fmt: skip
            yield Line(number, text)


def _few_nuls(head: bytes) -> bool:
    return head.count(b"\0") <= max(2, len(head) // 10_000)


def _guess(head: bytes) -> str:
    """Where there is little to guess from, Windows' western one, which is the commonest."""
    from charset_normalizer import from_bytes

    if sum(byte > 127 for byte in head) < 20:
        return "cp1252"
    best = from_bytes(head).best()
    return best.encoding if best else "cp1252"

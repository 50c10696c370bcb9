"""Bytes to text: BOM, then UTF-8, then what the bytes look like; line by line where mixed.

Only bytes that are not UTF-8 are guessed at (by charset-normalizer), and where the guess found
no language that speaks for it, it is Windows-1252, which also reads Latin-1.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol

LONGEST_LINE = 16 << 20
_SAMPLE, _EVIDENCE = 1 << 20, 32 << 10
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CANDIDATES = [
    "cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "shift_jis",
    "euc_jp", "gb18030", "big5", "euc_kr",
]  # fmt: skip
_TEXT_CONTROLS = b"\t\n\r\f\b\x1b"


class Unreadable(Exception):
    """Why a file gives no text: the end of a sentence that begins with the file's name."""


class Lines(Protocol):
    """Anything that reads lines up to a length, as files do."""

    def readline(self, size: int, /) -> bytes: ...


def decode(data: bytes) -> tuple[str, dict[str, Any]]:
    """The text, and what is worth knowing of its encoding (nothing where it is sound UTF-8).

    Raises Unreadable where it is no text. Line ends become `\\n`.
    """
    encoding = encoding_of(data)
    more: dict[str, Any] = {}
    if encoding.startswith("utf-8"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:  # the sample was sound, the rest is not
            text, more = _mixed(data, _legacy(data))
    elif encoding.startswith("utf-"):
        text = data.decode(encoding, "replace").removeprefix("\ufeff")
        more = {"encoding": encoding}
    else:
        text, more = _mixed(data, encoding)
    if encoding.startswith("utf-") and "\ufffd" in text and more:
        more["damaged"] = text.count("\ufffd")
    return text.replace("\r\n", "\n").replace("\r", "\n"), more


def encoding_of(data: bytes) -> str:
    """The encoding by the first MB. Raises Unreadable where it is no text."""
    sample = data[:_SAMPLE]
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    head = sample[:8192]
    if b"\0" in head:
        even, odd = head[0::2].count(0), head[1::2].count(0)
        wide = "utf-16-le" if odd > even else "utf-16-be"
        text = codecs.getincrementaldecoder(wide)("replace").decode(head).encode("utf-8")
        if max(even, odd) * 5 > len(head) and not _controls(text) and b"\xef\xbf\xbd" not in text:
            return wide  # without a mark, of a language that is mostly ASCII
        raise Unreadable("is no text (binary)")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=len(data) <= _SAMPLE)
        return "utf-8"
    except UnicodeDecodeError:
        if _controls(head) * 50 > len(head):
            raise Unreadable("is no text (binary)") from None
        return _legacy(sample)


def _controls(data: bytes) -> int:
    """How many control characters there are that no text has."""
    return len(data) - len(data.translate(None, bytes({*range(32)} - {*_TEXT_CONTROLS})))


def decode_line(line: bytes, fallback: str) -> str:
    """One line of a long file: UTF-8 where it is, else the fallback."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252" if fallback.startswith("utf-") else fallback, "replace")


def lines(file: Lines) -> Iterator[tuple[int, bytes | None]]:
    """Numbers from 1 and lines; None for one longer than 16 MB, which is passed over."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        whole = len(line) <= LONGEST_LINE
        yield number, line if whole else None
        while not whole and line and not line.endswith(b"\n"):
            line = file.readline(1 << 20)


def as_utf8(file: BinaryIO, encoding: str) -> Lines:
    """The file itself, or, where its characters are wide, as if it were UTF-8."""
    file.seek(3 if encoding == "utf-8-sig" else 0)
    wide = encoding.startswith(("utf-16", "utf-32"))
    return _Recoded(io.TextIOWrapper(file, encoding, "replace", "\n")) if wide else file


class _Recoded:
    def __init__(self, file: io.TextIOWrapper) -> None:
        self._file = file

    def readline(self, size: int, /) -> bytes:
        return self._file.readline(size).encode("utf-8", "replace")


def _mixed(data: bytes, legacy: str) -> tuple[str, dict[str, Any]]:
    """Line by line where a good part of what is not ASCII is UTF-8 after all."""
    rows = data.splitlines(keepends=True)
    special = [row for row in rows if not row.isascii()]
    bad = sum(not _is_utf8(row) for row in special)
    if (len(special) - bad) * 4 >= bad:
        text = "".join(decode_line(row, legacy) for row in rows)
        return text, {"encoding": f"utf-8 and {legacy}", "lines_not_utf8": bad}
    return data.decode(legacy, "replace"), {"encoding": legacy}


def _is_utf8(row: bytes) -> bool:
    try:
        row.decode("utf-8")
        return True
    except UnicodeDecodeError:
        return False


def _legacy(data: bytes) -> str:
    from charset_normalizer import from_bytes

    rows = [row for row in data.splitlines() if not row.isascii() and not _is_utf8(row)]
    evidence = b"\n".join(rows)[:_EVIDENCE]
    best = from_bytes(evidence, cp_isolation=_CANDIDATES).best()
    return best.encoding if best is not None and best.coherence > 0 else "cp1252"

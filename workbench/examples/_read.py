"""Rows of a file, whatever its format, one at a time: a bad one is a finding and the rest goes on.

Memory does not grow with the file: a line, a cell, an object and a paragraph have at most 16
million characters. Only the start of a file is looked at to tell its format.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from workbench.cells import CSVRows
from workbench.errors import DataError
from workbench.examples._findings import Finding
from workbench.examples._lines import MOST_LINE, Row, encoding_of, head_of, read_lines
from workbench.examples._transcript import is_transcript, read_transcript
from workbench.texts import nearest

Format = Literal["jsonl", "json", "csv", "tsv", "text", "document", "transcript", "parquet"]
_SUFFIXES: Mapping[str, Format] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv",
    ".parquet": "parquet",
}  # fmt: skip
_MESSAGES = ("messages", "conversations", "conversation", "dialog", "dialogue", "tools")
_LIST = re.compile(r'\s*\{\s*"([^"\\]{1,64})"\s*:\s*\[\s*\{')
_BLANK = re.compile(r"[\s,]*")


def read_rows(path: str | Path, *, format: str = "auto") -> Iterator[Row | Finding]:
    """The file's rows. Raises DataError where nothing at all can be read.

    `text` gives a row for each paragraph (blank lines stand between them), `document` the whole
    file as one row, `transcript` a row for each conversation of "User: … Assistant: …".
    """
    path = Path(path).expanduser()
    found = format_of(path) if format == "auto" else format
    if found not in _READERS:
        raise DataError(f"There is no format {format!r}.{nearest(format, _READERS)}", str(path))
    head_of(path)
    return _READERS[found](path)


def format_of(path: Path) -> Format:
    """By the file's name, then by how it begins."""
    suffix = path.suffix.lower()
    if head_of(path).startswith(b"PAR1"):
        return "parquet"
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    with path.open(encoding=encoding_of(path), errors="replace") as file:
        head = file.read(64 << 10)
    start = head.lstrip()[:1]
    if start in {"{", "["} or suffix == ".json":
        return "jsonl" if start == "{" and _first_line_is_object(head) else "json"
    return "transcript" if is_transcript(head) else "text"


def _first_line_is_object(head: str) -> bool:
    line = head.lstrip().partition("\n")[0]
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return line.rstrip().endswith("}") and head.lstrip().count("\n{") > 0


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


_JSON = json.JSONDecoder(parse_constant=_no_constant)


def _jsonl(path: Path) -> Iterator[Row | Finding]:
    for line in read_lines(path):
        if isinstance(line, Finding):
            yield line
        elif text := line.text.strip():
            try:
                value = _JSON.decode(text)
            except (ValueError, RecursionError) as error:
                yield _bad(path, line.number, _reason(error))
            else:
                yield _row(path, line.number, value)


def _json(path: Path) -> Iterator[Row | Finding]:
    """Objects in a list, in the first list of an object, or simply one behind the other."""
    with path.open(encoding=encoding_of(path), errors="replace") as file:
        text = file.read(1 << 20)
        within = _LIST.match(text)
        if within and within[1].lower() not in _MESSAGES:
            at = text.index("[", within.end(1)) + 1
        else:
            at = len(text) - len(text.lstrip()) + text.lstrip().startswith("[")
        number = 1 + text.count("\n", 0, at)
        while True:
            start = _end_of_blank(text, at)
            number += text.count("\n", at, start)
            if start < len(text) and text[start] == "]":
                return
            try:
                value, at = _JSON.raw_decode(text, start)
            except (ValueError, RecursionError) as error:
                more = (
                    ""
                    if _is_wrong(error, len(text))
                    else file.read(max(1 << 20, len(text) - start))
                )
                if not more or len(text) - start > MOST_LINE:
                    if text[start:].strip():
                        reason = f"{_reason(error)} What follows in this file is not read."
                        yield _bad(path, number, reason)
                    return
                text, at = text[start:] + more, 0
                continue
            yield _row(path, number, value)
            number += text.count("\n", start, at)


def _end_of_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _is_wrong(error: Exception, length: int) -> bool:
    """Whether more of the text could not help: it is wrong before its end."""
    if not isinstance(error, json.JSONDecodeError):
        return True
    return error.pos < length - 16 and not error.msg.startswith("Unterminated")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "The JSON is nested too deeply."
    reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    return f"This is not JSON: {reason[:100]}."


def _row(path: Path, number: int, value: Any) -> Row | Finding:
    if isinstance(value, dict):
        return Row(number, value)
    return _bad(path, number, "A row must be an object of JSON, with names and values.")


def _bad(path: Path, number: int, message: str) -> Finding:
    return Finding("format", "error", message, str(path), number)


def _csv(path: Path, delimiter: str = "") -> Iterator[Row | Finding]:
    """Rows by the first line's names. The delimiter is that which cuts the first rows evenly."""
    told: list[Finding] = []
    start = 0  # line of a row's beginning; 0 while none has begun

    def texts() -> Iterator[str]:
        nonlocal start
        for line in read_lines(path):
            if isinstance(line, Finding):
                told.append(line)
            else:
                start = start or line.number
                yield line.text

    reader = CSVRows(texts(), MOST_LINE, delimiter=delimiter or _delimiter(path), strict=True)
    names: list[str] = []
    while True:
        start = 0
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield _bad(path, start, f"This is not CSV: {error}.")
            continue
        yield from told
        told.clear()
        if cells is None:
            return
        if not names:
            names = _names(cells)
        elif cells and len(cells) != len(names):
            reason = f"There are {len(cells)} cells where the first line names {len(names)}."
            yield Finding("ragged", "error", reason, str(path), start)
        elif cells:
            yield Row(start, dict(zip(names, cells, strict=True)))


def _names(cells: Sequence[str]) -> list[str]:
    """The columns' names: none empty, none twice."""
    names: list[str] = []
    for number, cell in enumerate(cells, 1):
        name = cell.strip() or f"column {number}"
        while name in names:
            name += f" {number}"
        names.append(name)
    return names


def _delimiter(path: Path) -> str:
    with path.open(encoding=encoding_of(path), errors="replace", newline="") as file:
        head = file.read(64 << 10)
    best, most = ",", (0.0, 0)
    for delimiter in ",;\t|":
        try:
            lines = head.split("\n")
            rows = [len(row) for row in CSVRows(lines, MOST_LINE, delimiter=delimiter)]
        except csv.Error:
            continue
        if rows and rows[0] > 1:
            even = sum(1 for count in rows[:50] if count == rows[0]) / len(rows[:50])
            best, most = max((best, most), (delimiter, (even, rows[0])), key=lambda one: one[1])
    return best


def _text(path: Path, *, whole: bool = False) -> Iterator[Row | Finding]:
    """Paragraphs, or the whole file; one that is too large is told and not kept."""
    parts: list[str] = []
    size, start = 0, 1

    def paragraph() -> Iterator[Row | Finding]:
        text = "".join(parts).strip("\r\n")
        if size > MOST_LINE:
            reason = "The text is longer than 16 million characters."
            yield Finding("too-large", "error", reason, str(path), start)
        elif text.strip():
            yield Row(start, {"text": text})
        parts.clear()

    for line in read_lines(path):
        if isinstance(line, Finding):
            yield line
        elif whole or line.text.strip():
            start = start if size else line.number
            size += len(line.text)
            if size <= MOST_LINE:
                parts.append(line.text)
        else:
            yield from paragraph()
            size = 0
    yield from paragraph()


def _parquet(path: Path) -> Iterator[Row | Finding]:
    """Its rows, a thousand at a time, by pyarrow where it is installed."""
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise DataError(
            "A Parquet file needs pyarrow. Install it with pip install pyarrow, or save the table "
            "as JSON lines.", str(path),
        ) from None  # fmt: skip
    number = 0
    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1000):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(number, values)
    except (OSError, ValueError) as error:
        yield _bad(path, number + 1, f"The Parquet file cannot be read on: {str(error)[:100]}")


_READERS: Mapping[str, Callable[[Path], Iterator[Row | Finding]]] = {
    "jsonl": _jsonl,
    "json": _json,
    "csv": _csv,
    "tsv": lambda path: _csv(path, "\t"),
    "text": _text,
    "document": lambda path: _text(path, whole=True),
    "transcript": read_transcript,
    "parquet": _parquet,
}
FORMATS: tuple[str, ...] = get_args(Format)

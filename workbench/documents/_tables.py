"""Rows of CSV, JSONL and JSON as documents, one at a time, whatever the file's length.

A row's text is its column of texts where one has a common name, else its columns of text in the
form "name: value". Rows that cannot be read are left out, and the file says which.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from workbench.cells import CSVRows
from workbench.documents._decode import (
    Lines,
    Unreadable,
    as_utf8,
    decode,
    decode_line,
    encoding_of,
    lines,
)

TEXT_COLUMNS = (
    "text", "content", "document", "body", "article", "passage", "page_content", "markdown",
    "transcript", "code",
)  # fmt: skip
_TOO_LONG = "a line longer than 16 MB"
_NO_TEXT = "no text (conversations and pairs belong into a dataset)"
_SHOWN = 12

_MOST_CELL = 131_072  # characters: a quote that is never closed takes no more along


class Row(NamedTuple):
    """A row's text, the line it begins at (or its number in a list), and its bytes' SHA-256."""

    text: str
    title: str
    number: int
    digest: str


class Faults:
    """What was left out of a file: for each reason how often and where first."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, list[int]]] = {}

    def add(self, reason: str, line: int) -> None:
        count, first = self._found.get(reason, (0, []))
        self._found[reason] = count + 1, [*first, line][:_SHOWN]

    def sentences(self, where: str) -> Iterator[str]:
        """One for each reason."""
        for reason, (count, first) in self._found.items():
            more = f" and {count - len(first):,} more" if count > len(first) else ""
            plural = "s" if count > 1 else ""
            numbers = ", ".join(map(str, first))
            yield f"left out {where}{plural} {numbers}{more}: {reason}"


def rows(name: str, file: BinaryIO, most: int, faults: Faults) -> Iterator[Row]:
    """The file's rows in order. Raises Unreadable where it has none at all to give.

    `most` bounds the bytes of a .json, which is read as a whole.
    """
    end = PurePosixPath(name.lower()).suffix
    if end == ".json":
        data = file.read(most + 1)
        if len(data) > most:
            raise Unreadable("is larger than `max_bytes` allows: save it as .jsonl")
        found = _json(data, faults)
        if found is not None:
            yield from found
            return
        file = io.BytesIO(data)
    encoding = encoding_of(file.read(1 << 20))
    text = as_utf8(file, encoding)
    if end in {".csv", ".tsv"}:
        yield from _csv(text, encoding, "\t" if end == ".tsv" else "", faults)
    else:
        yield from _jsonl(text, encoding, faults)


def row_text(row: Mapping[str, Any]) -> str:
    """The text of a row; "" where it has none."""
    names = {name.lower().strip(): name for name in row if isinstance(row[name], str)}
    for column in TEXT_COLUMNS:
        if column in names and row[names[column]].strip():
            return str(row[names[column]])
    return "\n".join(f"{one}: {row[one].strip()}" for one in names.values() if row[one].strip())


def _row(fields: object, number: int, data: bytes, faults: Faults) -> Iterator[Row]:
    if isinstance(fields, str):
        fields = {"text": fields}
    text = row_text(fields) if isinstance(fields, dict) else ""
    if not text:
        faults.add(_NO_TEXT, number)
    elif isinstance(fields, dict):
        title = fields.get("title")
        named = title if isinstance(title, str) else ""
        yield Row(text, named[:300], number, hashlib.sha256(data).hexdigest())


def _jsonl(file: Lines, encoding: str, faults: Faults) -> Iterator[Row]:
    for number, line in lines(file):
        if line is None:
            faults.add(_TOO_LONG, number)
        elif line.strip():
            try:
                fields = json.loads(decode_line(line, encoding))
            except (ValueError, RecursionError):
                faults.add("not JSON", number)
                continue
            yield from _row(fields, number, line, faults)


def _json(data: bytes, faults: Faults) -> Iterator[Row] | None:
    """The rows of a list, or the one of an object; None where the whole is not JSON."""
    try:
        whole = json.loads(decode(data)[0])
    except (ValueError, RecursionError):
        return None
    found = whole if isinstance(whole, list) else [whole]
    return (
        row
        for number, fields in enumerate(found, 1)
        for row in _row(fields, number, json.dumps(fields).encode("utf-8"), faults)
    )


def _csv(file: Lines, encoding: str, delimiter: str, faults: Faults) -> Iterator[Row]:
    """Rows by the first row's names. A quote that is never closed costs 128 kB at most."""
    fed: list[tuple[int, bytes]] = []

    def feed() -> Iterator[str]:
        for number, line in lines(file):
            if line is None:
                faults.add(_TOO_LONG, number)
            else:
                fed.append((number, line))
                yield decode_line(line, encoding)

    source = feed()
    first = next(source, "")
    delimiter = delimiter or max(",;\t|", key=first.count)
    reader = CSVRows(_first(first, source), _MOST_CELL, delimiter=delimiter)
    names: list[str] = []
    while True:
        fed[:] = fed if not names and len(fed) == 1 else []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            faults.add(f"not CSV ({error})", fed[0][0] if fed else 0)
            continue
        number = fed[0][0]
        if not cells:
            continue
        if not names:
            names = _named(cells)
        elif len(cells) != len(names):
            faults.add(f"other than {len(names)} cells", number)
        else:
            fields = dict(zip(names, cells, strict=True))
            yield from _row(fields, number, b"".join(line for _, line in fed), faults)


def _first(line: str, others: Iterator[str]) -> Iterator[str]:
    if line:
        yield line
    yield from others


def _named(cells: Iterable[str]) -> list[str]:
    """The columns' names, made different where they are not."""
    names: list[str] = []
    for number, cell in enumerate(cells, 1):
        name = cell.strip() or f"column {number}"
        names.append(name if name not in names else f"{name} {number}")
    return names

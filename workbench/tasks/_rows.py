"""Rows of JSONL and CSV files, one at a time, each with its line.

A file may be anybody's: its size, its lines and its rows have limits, and what is not an object
of JSON in UTF-8 is refused with its line.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from workbench.cells import CSVRows
from workbench.errors import TaskError

SUFFIXES = (".jsonl", ".csv")
# a quote that is never closed takes no more along than a cell's characters
MOST_BYTES, MOST_LINE, MOST_CELL, MOST_ROWS = 512 << 20, 4 << 20, 128 << 10, 200_000


class Row(NamedTuple):
    """One row and where it stands."""

    fields: Mapping[str, Any]
    line: int | None


def read_rows(path: Path) -> Iterator[Row]:
    """The file's rows. Raises TaskError with file, line and reason."""
    check_rows(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = _csv(file, path) if path.suffix.lower() == ".csv" else _jsonl(file, path)
            for number, row in enumerate(rows):
                if number >= MOST_ROWS:
                    raise TaskError(f"There are more than {MOST_ROWS:,} rows.", str(path), row.line)
                yield row
    except (OSError, UnicodeError) as error:
        raise TaskError(f"It cannot be read as UTF-8 text ({error}).", str(path)) from None


def check_rows(path: Path) -> None:
    """Raise TaskError where the file cannot be one of rows, without reading it."""
    if path.suffix.lower() not in SUFFIXES:
        raise TaskError("Samples are read from .jsonl or .csv. Convert the file.", str(path))
    if not path.is_file():
        raise TaskError("There is no such file of samples.", str(path))
    if path.stat().st_size > MOST_BYTES:
        raise TaskError("The file of samples is larger than 512 MB. Shorten it.", str(path))


def _jsonl(file: Any, path: Path) -> Iterator[Row]:
    number = 0
    while line := file.readline(MOST_LINE + 1):
        number += 1
        if len(line) > MOST_LINE:
            raise TaskError("The line is longer than 4 MB.", str(path), number)
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_constant=_no_constant)
            if "\\u" in line:
                json.dumps(row, ensure_ascii=False).encode()  # halves of characters raise here
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise TaskError(f"This is not JSON: {reason[:200]}.", str(path), number) from None
        if not isinstance(row, dict):
            raise TaskError("A row must be an object of JSON.", str(path), number)
        yield Row(row, number)


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _csv(file: Iterable[str], path: Path) -> Iterator[Row]:
    """Rows by the first line's names. A cell that holds a list or an object of JSON becomes it."""
    reader = CSVRows(file, MOST_CELL, strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            if not cells:
                continue
            if not names:
                names = [name.strip() for name in cells]
                if len(set(names)) < len(names) or "" in names:
                    raise TaskError("Columns need names, all different.", str(path), 1)
                continue
            if len(cells) != len(names):
                reason = f"There are {len(cells)} cells for {len(names)} columns."
                raise TaskError(reason, str(path), reader.line_num)
            yield Row(dict(zip(names, map(_cell, cells), strict=True)), reader.line_num)
    except csv.Error as error:
        raise TaskError(f"This is not CSV: {error}.", str(path), reader.line_num) from None


def _cell(text: str) -> Any:
    if text[:1] + text[-1:] in {"[]", "{}"}:
        try:
            return json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            pass
    return text

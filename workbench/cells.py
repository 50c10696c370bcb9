"""Rows of CSV whose cells have a limit.

The csv module keeps its limit once for the process: two readers with different ones, used in
turns, would get each other's. So it is set for every row, and as it was after it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator


class CSVRows(Iterator[list[str]]):
    """The rows of `lines`, quoting as RFC 4180 where `strict`.

    A cell of more than `most` characters raises csv.Error, as bad quoting does; reading can go on
    with the next row after either. `line_num` is the number of lines read so far.
    """

    def __init__(
        self, lines: Iterable[str], most: int, *, delimiter: str = ",", strict: bool = False
    ) -> None:
        self._most = most
        self._reader = csv.reader(lines, delimiter=delimiter, strict=strict)

    def __next__(self) -> list[str]:
        before = csv.field_size_limit(self._most)
        try:
            return next(self._reader)
        finally:
            csv.field_size_limit(before)

    @property
    def line_num(self) -> int:
        return self._reader.line_num

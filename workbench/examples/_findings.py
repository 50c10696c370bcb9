"""What is wrong with a file of examples, told and not raised: the rest of the file goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Severity = Literal["note", "warning", "error"]
MOST_PLACES = 20  # that one finding remembers; all are counted


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, in a sentence, and where.

    `line` counts from 1 (of a Parquet file: its rows). A finding that stands for many has their
    `count` and in `lines` the first 20.
    """

    code: str
    severity: Severity
    message: str
    file: str = ""
    line: int | None = None
    count: int = 1
    lines: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"lines": [*self.lines]}


class Findings:
    """Findings by code, severity and file: the first message and 20 places of each, and counts."""

    def __init__(self, findings: Iterable[Finding] = ()) -> None:
        self._found: dict[tuple[str, str, str], Finding] = {}
        for one in findings:
            self.add(one)

    def add(self, new: Finding) -> None:
        key = (new.code, new.severity, new.file)
        lines = new.lines or (() if new.line is None else (new.line,))
        if old := self._found.get(key):
            lines = (old.lines + lines)[:MOST_PLACES]
            new = replace(old, count=old.count + new.count)
        self._found[key] = replace(new, lines=lines[:MOST_PLACES])

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found.values())

    def counts(self) -> Mapping[str, int]:
        """How many of each code."""
        counts: dict[str, int] = {}
        for one in self._found.values():
            counts[one.code] = counts.get(one.code, 0) + one.count
        return counts

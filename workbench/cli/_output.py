"""What the commands print: text for people, aligned tables, JSON for programs.

A model's or a server's text is data, and a terminal obeys control characters in data: colours,
moved cursors, changed titles, answers typed into the user's shell. So whatever goes to a terminal
passes `neutralise`, which shows them as visible symbols; a pipe gets the text as it is.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, TextIO

import click

_CONTROLS = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_CONTROLS |= {0x7F: "␡"} | dict.fromkeys(range(0x80, 0xA0), "\ufffd")
# Overrides of the writing direction show a text in another order than it has.
_CONTROLS |= dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def neutralise(text: str) -> str:
    """`text` with control characters made visible; line feeds and tabs stay."""
    return text.replace("\r\n", "\n").translate(_CONTROLS)


def cell(value: object) -> str:
    """A value as one line of a table: no control characters, no line feeds."""
    return neutralise(str(value)).replace("\n", "␊").replace("\t", " ")


def write(text: str, stream: TextIO | None = None) -> None:
    """Write a model's text at once: neutralised on a terminal, untouched in a pipe."""
    if not text:
        return
    stream = stream or sys.stdout
    stream.write(neutralise(text) if stream.isatty() else text)
    stream.flush()


def note(text: str) -> None:
    """A line for the person beside the output proper: on stderr."""
    click.echo(neutralise(text), err=True)


def emit(value: object) -> None:
    """One JSON document on one line. ASCII only, so no terminal and no locale can trip on it."""
    sys.stdout.write(json.dumps(plain(value)) + "\n")
    sys.stdout.flush()


def plain(value: object) -> Any:
    """Records, times and paths as JSON has them. `raw` (the engine's own words) is left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = (field.name for field in dataclasses.fields(value) if field.name != "raw")
        return {name: plain(getattr(value, name)) for name in fields}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no word for it
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Aligned columns under headers; nothing but the headers when there are no rows."""
    lines = [list(headers), *([cell(value) for value in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    for line in lines:
        padded = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values in two columns, those without a value left out."""
    known = [(name, cell(value)) for name, value in pairs if value not in (None, "", ())]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        click.echo(f"  {name.ljust(width)}  {value}")


def size_text(count: float | None) -> str:
    """Bytes for people, in powers of 1000 as disks and Ollama count them."""
    if count is None:
        return "?"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def duration_text(seconds: float | None) -> str:
    """Seconds for people: `4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 days`."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} days"


def age_text(when: datetime | None, now: datetime | None = None) -> str:
    """How long ago (or how soon) it is; times without a zone are UTC."""
    if when is None:
        return ""
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    seconds = ((now or datetime.now(UTC)) - when).total_seconds()
    if seconds < 0:
        return "never" if seconds < -(10 * 365 * 86400) else f"in {duration_text(-seconds)}"
    return "now" if seconds < 5 else f"{duration_text(seconds)} ago"


def tolerate_any_text() -> None:
    """A character that the terminal's encoding lacks is replaced, never an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")

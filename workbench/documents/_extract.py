"""A file's texts by its kind, from wherever its bytes are: a folder, a repository.

Text files above 2 MB become parts of about 1 MB, cut at empty lines; rows of tables are documents
of their own; both are read as a stream. All other kinds are read as a whole, up to `max_bytes`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, BinaryIO

from workbench.documents import _tables as tables
from workbench.documents._decode import Unreadable, as_utf8, decode, decode_line, encoding_of, lines
from workbench.documents._kinds import kind_of, refused
from workbench.documents._reader import Reader
from workbench.documents._records import Ask, Document, Kind, Skipped

WHOLE, PART = 2 << 20, 1 << 20
MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """One file: its document's address, its name in the folder, its bytes."""

    address: str
    name: str
    size: int
    open: Callable[[], BinaryIO]


class Extractor:
    """How files become documents. Close it after use (it is a context manager).

    `total` is the bytes of all files there will be, for the progress; without `kinds`, all are
    taken; `languages` are those of code and, without kinds, mean code alone.
    """

    def __init__(
        self,
        ask: Ask,
        total: int,
        *,
        kinds: tuple[str, ...] = (),
        languages: tuple[str, ...] = (),
        max_bytes: int = MAX_BYTES,
        licence: str = "",
    ) -> None:
        self.ask, self.total, self.seen = ask, max(total, 1), 0
        self.kinds = ("code",) if languages and not kinds else kinds
        self.languages, self.max_bytes, self.licence = languages, max_bytes, licence
        self._reader = Reader(lambda: self._tell(0, "Reading a long document"))

    def __enter__(self) -> Extractor:
        return self

    def __exit__(self, *_error: object) -> None:
        self._reader.close()

    def _tell(self, done: int, words: str) -> None:
        self.ask.tell((self.seen + done) / self.total, words)

    def documents(self, item: Item) -> Iterator[Document | Skipped]:
        """The file's documents, or why it has none. Kinds that were not asked for give nothing."""
        kind, language = kind_of(item.name)
        self._tell(0, item.name)
        self.seen += item.size
        if not self._asked(kind or "text", language):
            return
        try:
            if words := refused(item.name):
                raise Unreadable(words)
            if item.size == 0:
                raise Unreadable("is empty")
            for one in self._read(item, kind or "text", language):
                skip = isinstance(one, Skipped) or one.text.strip()
                yield one if skip else Skipped(one.address, f"{item.name} has no text.")
        except Unreadable as error:
            yield Skipped(item.address, f"{item.name} {error}.")
        except OSError as error:
            reason = error.strerror or "an error of the disk"
            yield Skipped(item.address, f"{item.name} cannot be read ({reason}).")

    def _asked(self, kind: Kind, language: str) -> bool:
        spoken = kind != "code" or not self.languages or language in self.languages
        return (not self.kinds or kind in self.kinds) and spoken

    def _read(self, item: Item, kind: Kind, language: str) -> Iterator[Document | Skipped]:
        blank = Document(
            "", item.address, kind, language=language, licence=self.licence,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        if kind == "table":
            yield from self._rows(item, blank)
        elif kind in {"text", "markdown"} and item.size > WHOLE:
            yield from self._parts(item, blank)
        elif not self.ask.known(item.address):
            if item.size > self.max_bytes:
                limit = f"{self.max_bytes / 2**20:,.0f} MB"
                raise Unreadable(f"is larger than {limit}, which `max_bytes` allows")
            with item.open() as file:
                data = file.read(self.max_bytes + 1)
            yield self._whole(data, blank)

    def _whole(self, data: bytes, blank: Document) -> Document:
        blank = replace(blank, digest=hashlib.sha256(data).hexdigest())
        if blank.kind in {"pdf", "docx", "page"}:
            data = decode(data)[0].encode("utf-8", "replace") if blank.kind == "page" else data
            found = self._reader.read(blank.kind, data)
            title, more = str(found.get("title") or "")[:300], found.get("more", {})
            licence = found.get("licence") or blank.licence
            text = found["text"] or ""
            return replace(blank, text=text, title=title, more=more, licence=licence)
        text, more = decode(data)
        if blank.kind == "notebook":
            text, language = notebook_text(text)
            return replace(blank, text=text, language=language)
        heading = text.lstrip().partition("\n")[0] if blank.kind == "markdown" else ""
        title = heading.lstrip("# ").strip()[:300] if heading.startswith("# ") else ""
        return replace(blank, text=text, more=more, title=title)

    def _rows(self, item: Item, blank: Document) -> Iterator[Document | Skipped]:
        faults, count = tables.Faults(), 0
        with item.open() as file:
            for row in tables.rows(item.name, file, self.max_bytes, faults):
                count += 1
                if count % 500 == 0:
                    self._tell(file.tell() - item.size, f"{item.name}, line {row.number:,}")
                address = f"{item.address}#{row.number}"
                yield replace(
                    blank, text=row.text, address=address, title=row.title, digest=row.digest
                )
        for sentence in faults.sentences("row" if item.name.lower().endswith(".json") else "line"):
            yield Skipped(item.address, f"{item.name}: {sentence}.")
        if not count:
            yield Skipped(item.address, f"{item.name} has no row with a text.")

    def _parts(self, item: Item, blank: Document) -> Iterator[Document | Skipped]:
        faults, done = tables.Faults(), 0
        with item.open() as file:
            encoding = encoding_of(file.read(PART))
            found = _cut(as_utf8(file, encoding), faults)
            for number, part in enumerate(found, 1):
                done += sum(map(len, part))
                self._tell(done - item.size, f"{item.name}, part {number:,}")
                text = "".join(decode_line(line, encoding) for line in part).replace("\r\n", "\n")
                digest = hashlib.sha256(b"".join(part)).hexdigest()
                yield replace(blank, text=text, address=f"{item.address}#{number}", digest=digest)
        for sentence in faults.sentences("line"):
            yield Skipped(item.address, f"{item.name}: {sentence}.")


def _cut(file: Any, faults: tables.Faults) -> Iterator[list[bytes]]:
    """Lines up to an empty one behind the first MB; at the latest after the second MB."""
    part: list[bytes] = []
    length = 0
    for number, line in lines(file):
        if line is None:
            faults.add("longer than 16 MB", number)
            continue
        part.append(line)
        length += len(line)
        if length >= PART and (not line.strip() or length >= 2 * PART):
            yield part
            part, length = [], 0
    if part:
        yield part


def notebook_text(text: str) -> tuple[str, str]:
    """A notebook's Markdown and code, without what it printed; and its language."""
    try:
        book = json.loads(text)
        cells = book["cells"] if "cells" in book else book["worksheets"][0]["cells"]
        facts = book.get("metadata", {})
        facts = facts.get("language_info") or facts.get("kernelspec") or {}
        language = str(facts.get("name") or facts.get("language") or "python").lower()
        language = "python" if language.startswith("python") else language
        found = []
        for cell in cells:
            source = cell.get("source", cell.get("input", ""))
            source = "".join(source) if isinstance(source, list) else str(source)
            if not source.strip() or cell.get("cell_type") not in {"markdown", "code", "heading"}:
                continue
            code = cell["cell_type"] == "code"
            found.append(f"```{language}\n{source}\n```" if code else source)
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
        raise Unreadable("is no notebook that can be read") from None
    return "\n\n".join(found), language

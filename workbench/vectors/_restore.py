"""A backup read into the store: hostile input, taken as a whole or not at all.

The lines pass one by one into one transaction; the hash of what was read is compared at the end,
before it is committed.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from workbench.errors import VectorError
from workbench.store import StoredCollection, StoredGeneration, StoredText, StoredVector, session
from workbench.vectors import _rows as rows
from workbench.vectors._backup import KIND, VERSION
from workbench.vectors._collection import Collection, batches, delete_rows
from workbench.vectors._embed import FLOATS
from workbench.vectors._records import bare, checked_item, checked_name

_LONGEST_LINE = 64 << 20  # bytes
_MOST_GENERATIONS, _MOST_DIMENSIONS = 1000, 65_536
_BLOCK = 500  # texts at once

Read = tuple[dict[str, Any], dict[int, bytes]]  # a text's columns, its vectors by generation


def restore(path: str | Path, name: str | None = None, *, replace: bool = False) -> Collection:
    """The collection that a file holds, under its own name or another. All of it or nothing.

    Raises VectorError: a file that is damaged or no backup; a name that is taken, unless `replace`.
    """
    file = Path(path).expanduser().absolute()
    try:
        if not file.is_file():
            raise VectorError(f"There is no backup {file}. Check the path.")
        with file.open("rb") as opened:
            return Collection(_read(_Reader(opened, file), name, replace))
    except OSError as error:
        raise VectorError(f"{file} cannot be read ({error.strerror}). Check its rights.") from error


class _Reader:
    """The lines of a backup, each a JSON object; after the last one it was checked to be whole."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path, self._number = file, path, 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        hashed, texts = hashlib.sha256(), -1  # the first line is no text
        line = self._line()
        while following := self._line():
            hashed.update(line)
            texts += 1
            yield self._object(line)
            line, self._number = following, self._number + 1
        last = self._object(line) if line else {}
        if last != {"texts": texts, "sha256": hashed.hexdigest()}:
            raise self.damaged("its end does not fit its content, so it was cut or changed")

    def damaged(self, what: str) -> VectorError:
        """The error for the line that was read last."""
        return VectorError(
            f"{self._path}, line {self._number + 1}: {what}. Nothing was restored; take another "
            "copy of the backup."
        )

    def _line(self) -> bytes:
        line = self._file.readline(_LONGEST_LINE)
        if len(line) == _LONGEST_LINE:
            raise self.damaged("this line is too long for a backup of vectors")
        return line

    def _object(self, line: bytes) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self.damaged("this is no line of a backup of vectors")
        return found


def _read(reader: _Reader, name: str | None, replace: bool) -> str:
    lines = iter(reader)
    head = _checked(reader, _head, next(lines, {}))
    wanted = checked_name(head["name"] if name is None else name)
    generations: Sequence[dict[str, Any]] = head["made"]
    sizes = {one["generation"]: 4 * one["dimensions"] for one in generations}

    def text(line: dict[str, Any]) -> Read:
        return _text(line, head["generation"], sizes)

    try:
        with session() as opened:
            number = _begin(opened, wanted, head, replace)
            opened.add_all(StoredGeneration(collection=number, **one) for one in generations)
            for some in batches((_checked(reader, text, line) for line in lines), _BLOCK):
                _put(opened, number, some)
    except IntegrityError:
        raise reader.damaged("it has two texts of the same key before this line") from None
    return wanted


def _begin(opened: Session, name: str, head: Mapping[str, Any], replace: bool) -> int:
    """The number of a collection without texts. Raises VectorError for a name that is taken."""
    if rows.row_of(opened, name) is not None:
        if not replace:
            raise VectorError(
                f"There is a collection {name} already. Give another name, or allow to replace it "
                "(replace=True)."
            )
        delete_rows(opened, rows.locked(opened, name))
    row = StoredCollection(name=name, generation=head["generation"], created_at=head["created_at"])
    opened.add(row)
    opened.flush()
    return row.number


def _put(opened: Session, collection: int, read: Sequence[Read]) -> None:
    texts = [StoredText(collection=collection, **text) for text, _ in read]
    opened.add_all(texts)
    opened.flush()
    opened.add_all(
        StoredVector(text=text.id, generation=generation, vector=vector)
        for text, (_, vectors) in zip(texts, read, strict=True)
        for generation, vector in vectors.items()
    )
    opened.flush()
    opened.expunge_all()


def _checked(reader: _Reader, read: Callable[[dict[str, Any]], Any], line: dict[str, Any]) -> Any:
    """What `read` makes of a line; whatever a hostile file makes it raise, in words."""
    try:
        return read(line)
    except VectorError as error:
        raise reader.damaged(str(error).rstrip(".")) from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise reader.damaged("this is no line of a backup of vectors") from None


def _head(line: dict[str, Any]) -> dict[str, Any]:
    if (line["kind"], line["version"]) != (KIND, VERSION):
        raise VectorError("this is another kind or version of file")
    made = [
        {"generation": _whole(one["number"]), "model": _words(one["model"], 256),
         "digest": _hex(one["digest"]), "dimensions": _whole(one["dimensions"], _MOST_DIMENSIONS),
         "created_at": _time(one["created_at"])}
        for one in line["generations"][:_MOST_GENERATIONS]
    ]  # fmt: skip
    numbers = [one["generation"] for one in made]
    if line["generation"] not in numbers or len(set(numbers)) < len(numbers):
        raise VectorError("the generation in use is not in the file, or one is there twice")
    return {"name": checked_name(line["name"]), "generation": _whole(line["generation"]),
            "created_at": _time(line["created_at"]), "made": made}  # fmt: skip


def _text(line: dict[str, Any], in_use: int, sizes: Mapping[int, int]) -> Read:
    """A text's columns, and its vectors by generation."""
    key, text, about = checked_item((line["key"], line["text"], line["about"]))
    vectors = {
        int(number): _vector(value, sizes[int(number)]) for number, value in line["vectors"].items()
    }
    if in_use not in vectors:
        raise VectorError("this text lacks its vector of the generation in use")
    return {"key": key, "text": text, "about": about, "at": _time(line["at"])}, vectors


def _vector(value: str, size: int) -> bytes:
    import numpy as np

    vector = b64decode(value, validate=True)
    length = float(np.linalg.norm(np.frombuffer(vector, FLOATS).astype(np.float64)))
    if len(vector) != size or not 0.99 < length < 1.01:
        raise VectorError("this vector has another size than its generation says")
    return vector


def _whole(value: Any, most: int = 2**31 - 1) -> int:
    if type(value) is not int or not 0 < value <= most:
        raise ValueError
    return value


def _words(value: Any, most: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
        raise ValueError
    return value


def _hex(value: Any) -> str:
    if not re.fullmatch(r"[0-9a-f]{1,64}", bare(value)):
        raise ValueError
    return bare(value)


def _time(value: Any) -> datetime:
    read = datetime.fromisoformat(value)
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)

"""A collection written to one file: its texts and the vectors of all its generations.

JSON Lines: a line about the collection, a line for each text, and a last line with the number of
texts and the SHA-256 of all bytes before it. It is written beside and renamed, so there is never
half a file of that name. `_restore` reads it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import select
from sqlalchemy.orm import Session

from workbench.errors import VectorError
from workbench.store import StoredText, StoredVector, session
from workbench.vectors import _rows as rows
from workbench.vectors._records import Generation

KIND, VERSION = "workbench vectors", 1
_BLOCK = 500  # rows at once


def backup(name: str, path: str | Path) -> str:
    """Write a collection to a file, in place of one that is there; returns the SHA-256 of its
    content. Raises VectorError: no such collection, the disk refuses."""
    final = Path(path).expanduser().absolute()
    beside: Path | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{final.name}.", dir=final.parent)
        beside = Path(temporary)
        with os.fdopen(handle, "wb") as file:
            digest = _write(name, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(final)
        _settle(final.parent)
    except OSError as error:
        raise VectorError(
            f"{final} cannot be written ({error.strerror}). Make room, or name a file in a folder "
            "that you may write to."
        ) from error
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)
    return digest


def _settle(folder: Path) -> None:
    """Make the renaming last through a power cut, where the system has a way to."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write(name: str, file: BinaryIO) -> str:
    hashed, texts = hashlib.sha256(), 0

    def put(value: Mapping[str, Any]) -> None:
        line = json.dumps(value, ensure_ascii=False).encode() + b"\n"
        hashed.update(line)
        file.write(line)

    with session(read_only=True) as opened:
        row = rows.known(opened, name)
        made = rows.records(opened, row)
        about = {"kind": KIND, "version": VERSION, "name": name, "generation": row.generation}
        about |= {"created_at": row.created_at.isoformat()}
        put(about | {"generations": [_about(one) for one in made]})
        numbers = {one.number for one in made}
        for line in _texts(opened, row.number, numbers):
            put(line)
            texts += 1
    digest = hashed.hexdigest()
    file.write(json.dumps({"texts": texts, "sha256": digest}).encode() + b"\n")
    return digest


def _about(one: Generation) -> dict[str, Any]:
    return {"number": one.number, "model": one.model, "digest": one.digest,
            "dimensions": one.dimensions, "created_at": one.created_at.isoformat()}  # fmt: skip


def _texts(opened: Session, collection: int, numbers: set[int]) -> Iterator[dict[str, Any]]:
    """A line for each text, in one statement: so it is one moment's in every database."""
    query = (
        select(StoredText.id, StoredText.key, StoredText.text, StoredText.about, StoredText.at,
               StoredVector.generation, StoredVector.vector)
        .outerjoin(StoredVector, StoredVector.text == StoredText.id)
        .where(StoredText.collection == collection)
        .order_by(StoredText.id, StoredVector.generation)
        .execution_options(yield_per=_BLOCK)
    )  # fmt: skip
    for _, some in groupby(opened.execute(query), key=lambda found: found.id):
        lines = list(some)
        first = lines[0]
        made = {
            str(one.generation): b64encode(one.vector).decode()
            for one in lines
            if one.generation in numbers
        }
        yield {"key": first.key, "text": first.text, "about": first.about,
               "at": first.at.isoformat(), "vectors": made}  # fmt: skip

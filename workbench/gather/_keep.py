"""Collections on the disk.

    <home>/collections/<name>/<key>/source.json             what was gathered; names the next file
    <home>/collections/<name>/<key>/documents-<digest>.jsonl  a document a line, by address
    <home>/collections/<name>/<key>/skipped-<digest>.jsonl    what was not taken
    <home>/collections/<name>/<key>/new/                    what is being gathered, kept over kills
    <home>/collections/<name>/<key>/scratch/                the source's own: caches, clones

`source.json` is replaced in one step when everything else is on the disk, so a collection is
always either what it was or what it becomes.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from workbench.documents import Document, Skipped
from workbench.errors import GatherError
from workbench.gather._records import Collection, Gathered
from workbench.settings import home
from workbench.texts import nearest

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def collection(name: str) -> Collection:
    """The collection, empty where nothing was gathered yet. Raises GatherError for a bad name."""
    if not _NAME.fullmatch(name):
        raise GatherError(
            f"{name!r} cannot name a collection. Use up to 64 small letters, digits, '.', '_' "
            "and '-', a letter or digit first."
        )
    folder = home() / "collections" / name
    found = [_read(path) for path in folder.glob("*/source.json")]
    return Collection(name, folder, tuple(sorted(found, key=lambda one: (one.source, one.address))))


def find_collection(name: str) -> Collection:
    """The collection. Raises GatherError where nothing was gathered under this name."""
    found = collection(name)
    if not found.sources:
        names = [one.name for one in collections()]
        raise GatherError(f"There is no collection {name!r}.{nearest(name, names)}")
    return found


def collections() -> list[Collection]:
    """All of them by name, but those that hold nothing yet or are damaged (see `problems`)."""
    return [one for one in _all() if isinstance(one, Collection) and one.sources]


def problems() -> tuple[str, ...]:
    """Why collections cannot be read, a sentence each."""
    return tuple(str(one) for one in _all() if isinstance(one, GatherError))


def _all() -> Iterator[Collection | GatherError]:
    for path in sorted((home() / "collections").glob("*/")):
        if _NAME.fullmatch(path.name):
            try:
                yield collection(path.name)
            except GatherError as error:
                yield error


def documents(name: str) -> Iterator[Document]:
    """The collection's documents: source by source, by address; the same order each time."""
    found = find_collection(name)
    for one in found.sources:
        for row in read_rows(_file(found.folder / one.key, "documents", one.digest)):
            yield Document(**row)


def skipped(name: str) -> Iterator[Skipped]:
    """What was not taken, and why."""
    found = find_collection(name)
    for one in found.sources:
        for row in read_rows(_file(found.folder / one.key, "skipped", one.digest)):
            yield Skipped(**row)


def remove_collection(name: str) -> None:
    """Delete a collection for good. Raises GatherError."""
    shutil.rmtree(find_collection(name).folder)


def remove_source(name: str, key: str) -> None:
    """Delete one source of a collection for good. Raises GatherError."""
    found = find_collection(name)
    if key not in {one.key for one in found.sources}:
        raise GatherError(f"The collection {name!r} has no source {key!r}.")
    shutil.rmtree(found.folder / key)


# ---- what the gathering itself uses


def key_of(source: str, address: str) -> str:
    """The folder of a source: gathered again, it replaces what it was."""
    return f"{source}-{hashlib.sha256(f'{source} {address}'.encode()).hexdigest()[:10]}"


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file of ours. Raises GatherError where one is damaged."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield json.loads(line)
            except ValueError:
                raise GatherError(
                    f"{path} is damaged at line {number}. Gather this source again."
                ) from None


def row_of(value: Document | Skipped) -> bytes:
    """As a line. Half characters, which UTF-8 cannot write, become question marks."""
    row = {one: getattr(value, one) for one in value.__slots__}  # asdict takes half of all time
    return (json.dumps(row, ensure_ascii=False, default=dict) + "\n").encode("utf-8", "replace")


def keep(folder: Path, new: Path, facts: Mapping[str, Any]) -> Gathered:
    """Put what was gathered in `new` in the place of what was there."""
    ordered = new / "ordered.jsonl"
    digest, count, characters = _order(new / "documents.jsonl", ordered)
    skipped_rows = sum(1 for _ in read_rows(new / "skipped.jsonl"))
    ordered.replace(_file(folder, "documents", digest))
    (new / "skipped.jsonl").replace(_file(folder, "skipped", digest))
    gathered = Gathered(
        key=folder.name, documents=count, characters=characters, skipped=skipped_rows,
        digest=digest, **facts,
    )  # fmt: skip
    text = json.dumps(asdict(gathered) | {"at": gathered.at.isoformat()}, ensure_ascii=False)
    (new / "source.json").write_text(text, "utf-8")
    (new / "asked.json").unlink()  # what is in `new` is nothing to resume from here on
    (new / "source.json").replace(folder / "source.json")
    for path in folder.glob("*.jsonl"):
        if digest[:12] not in path.name:
            path.unlink()
    shutil.rmtree(new)
    return gathered


def _order(path: Path, ordered: Path) -> tuple[str, int, int]:
    """Write the documents by address; their digest without times, their number and characters.

    What lies in order already, as files and repositories do, is not held in memory for it.
    """
    in_order = all(one <= next_one for one, next_one in pairwise(_places(path)))
    count, characters, digest = 0, 0, hashlib.sha256()
    with path.open("rb") as file, ordered.open("wb") as out:
        last = None
        for *rank, place in _places(path) if in_order else sorted(_places(path)):
            if rank == last:
                continue
            last = rank
            file.seek(place)
            line = file.readline()
            out.write(line)
            row = json.loads(line) | {"at": ""}
            count, characters = count + 1, characters + len(row["text"])
            digest.update(json.dumps(row, sort_keys=True).encode())
    return digest.hexdigest(), count, characters


def _places(path: Path) -> Iterator[tuple[str, int, int]]:
    """Each document's rank, then where its line begins."""
    offset = 0
    with path.open("rb") as file:
        for line in file:
            yield *_rank(json.loads(line)["address"]), offset
            offset += len(line)


def _rank(address: str) -> tuple[str, int]:
    """Parts of a file by their numbers: "book#9" comes before "book#10"."""
    head, mark, tail = address.rpartition("#")
    return (head, int(tail)) if mark and tail.isdecimal() and len(tail) < 19 else (address, 0)


def _file(folder: Path, what: str, digest: str) -> Path:
    return folder / f"{what}-{digest[:12]}.jsonl"


def _read(path: Path) -> Gathered:
    try:
        row = json.loads(path.read_text("utf-8"))
        return Gathered(**row | {"at": datetime.fromisoformat(row["at"])})
    except (ValueError, TypeError, KeyError) as error:
        raise GatherError(
            f"{path} is damaged ({error}). Delete the folder {path.parent} and gather it again."
        ) from None

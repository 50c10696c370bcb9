"""The first pass: documents in chunks, normalised, on the disk; and the lines near their ends.

    <folder>/parts/<digest>.texts       the normalised documents of one chunk
    <folder>/parts/<digest>.lines.npy   numbers of the lines near their ends (see _boilerplate)
    <folder>/parts/<digest>.json        what was counted; it is written last

A chunk is named by the SHA-256 of its documents and the rule, so one that is there need not be
made again, in whatever run it was made. The digest leaves out times.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from workbench.refine import _boilerplate as boilerplate
from workbench.refine._duplicates import merged, write_run
from workbench.refine._normalise import normalised, writable
from workbench.refine._pool import Workers
from workbench.refine._report import Tally
from workbench.refine._words import Numbers, Shape, shape

if TYPE_CHECKING:  # every process of the pool would load what gathers documents
    from workbench.gather import Document

Facts = tuple[str, ...]  # text, address and so on
_Item = TypeVar("_Item")
_CHARACTERS, _DOCUMENTS = 2_000_000, 2_000  # of a chunk, unless one document is larger
_FACTS = ("address", "kind", "title", "language", "licence", "digest")


@dataclass(slots=True)
class Row:
    """A document on its way: `about` goes into the corpus, `shape` is that of the text as it is."""

    text: str
    about: Mapping[str, str] = field(default_factory=dict)
    place: int = 0  # in its chunk
    shape: Shape | None = None

    def known(self) -> Shape:
        """The shape, counted when it is asked for first."""
        self.shape = self.shape or shape(self.text)
        return self.shape


def spool(
    documents: Iterable[Document], folder: Path, normalise: bool, workers: Workers
) -> Iterator[str]:
    """Write the documents in chunks; the digest of each, in order, as it is done."""
    folder.mkdir(parents=True, exist_ok=True)
    lists = together(map(_facts, documents), lambda facts: len(facts[0]))
    chunks = (_chunk(some, folder, normalise) for some in lists)
    yield from workers.in_order(partial(_write, folder, normalise), chunks)


def counts_of(stem: Path) -> dict[str, Any]:
    """What was counted when the chunk was made."""
    value: dict[str, Any] = json.loads(stem.with_suffix(".json").read_text("utf-8"))
    return value


def write_json(path: Path, value: Any) -> None:
    """In one step: it is there wholly or not at all."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    new.replace(path)


def rows_of(stem: Path) -> Iterator[Row]:
    """The normalised documents of a chunk: of each a line of facts, then the text as it is."""
    with stem.with_suffix(".texts").open("rb") as file:
        for place, line in enumerate(file):
            size, *facts = json.loads(line)
            yield Row(file.read(size).decode(), dict(zip(_FACTS, facts, strict=True)), place)


def shared_lines(stems: Iterable[Path], documents: Mapping[str, int]) -> list[int]:
    """The numbers of lines that enough documents of their site have; ascending.

    `documents` counts them by site.
    """
    least = {int(site): boilerplate.enough(count) for site, count in documents.items()}
    found: list[int] = []
    for part in merged([(stem.with_suffix(".lines.npy"), 0) for stem in stems]):
        starts = np.flatnonzero(np.concatenate([[True], part[0, 1:] != part[0, :-1]]))
        sites, which = np.unique(part[2, starts], return_inverse=True)
        enough = np.array([least[site] for site in sites.tolist()], np.uint64)[which]
        found += part[0, starts][np.add.reduceat(part[1], starts) >= enough].tolist()
    return found


def together(items: Iterable[_Item], size: Callable[[_Item], int]) -> Iterator[list[_Item]]:
    """The items in lists of so many characters or documents that are worked on together."""
    some: list[_Item] = []
    characters = 0
    for item in items:
        some.append(item)
        characters += size(item)
        if characters >= _CHARACTERS or len(some) >= _DOCUMENTS:
            yield some
            some, characters = [], 0
    if some:
        yield some


def _facts(document: Document) -> Facts:
    return tuple([str(getattr(document, name)) for name in ("text", *_FACTS)])


def _chunk(documents: list[Facts], folder: Path, normalise: bool) -> tuple[str, list[Facts]]:
    """The digest of documents that are worked on together; none where they are on the disk."""
    found = hashlib.sha256(b"normalise" if normalise else b"as it is")
    for facts in documents:
        for value in facts:
            raw = value.encode("utf-8", "surrogatepass")
            found.update(len(raw).to_bytes(8, "big"))
            found.update(raw)
    digest = found.hexdigest()
    there = all((folder / f"{digest}.{kind}").exists() for kind in ("json", "texts"))
    return digest, [] if there else documents


def _write(folder: Path, normalise: bool, chunk: tuple[str, list[Facts]]) -> str:
    digest, documents = chunk
    if not documents:
        return digest
    began = time.process_time()
    stem, rows, tally, changed = folder / digest, list[Row](), Tally(), 0
    with stem.with_suffix(".texts").open("wb") as out:
        for before, *facts in documents:
            text, *facts = map(writable, (before, *facts))
            text = normalised(text) if normalise else text
            row = Row(text, dict(zip(_FACTS, facts, strict=True)))
            if not text.strip():
                tally.drop("normalise", "empty", row.about["address"])
                continue
            raw = text.encode()
            out.write(json.dumps([len(raw), *facts]).encode() + b"\n" + raw)
            rows.append(row)
            changed += text != before
    sizes = [len(facts[0]) for facts in documents]
    tally.through("normalise", sizes, [len(row.text) for row in rows], changed)
    write_run(stem.with_suffix(".lines.npy"), *_edges(rows, tally))
    tally.add(time.process_time() - began, "seconds", "normalise")
    write_json(stem.with_suffix(".json"), tally)
    return digest


def _edges(rows: list[Row], tally: Tally) -> Numbers:
    """The numbers of lines near the documents' ends, how many documents have them, their sites."""
    lines, sites = [np.empty(0, np.uint64)], list[int]()
    for row in rows:
        if row.about["kind"] != "code":
            site = boilerplate.group(row.about["address"], row.about["kind"])
            lines.append(boilerplate.edge_lines(row.text, site))
            sites += [site] * len(lines[-1])
            tally.add(1, "sites", str(site))
    keys, first, counts = np.unique(np.concatenate(lines), return_index=True, return_counts=True)
    return np.stack([keys, counts.astype(np.uint64), np.array(sites, np.uint64)[first]])

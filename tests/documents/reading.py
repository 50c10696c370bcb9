"""One file, read as a gathering reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.documents._extract import Extractor
from workbench.gather import Ask, Document, Skipped
from workbench.gather._files import walk


def read(path: Path, **options: object) -> list[Document | Skipped]:
    """What one file gives."""
    with Extractor(Ask(str(path), path.parent), 1, **options) as extractor:  # type: ignore[arg-type]
        return [one for item in walk(path) for one in _of(extractor, item)]


def _of(extractor: Extractor, item: object) -> Iterator[Document | Skipped]:
    yield from [item] if isinstance(item, Skipped) else extractor.documents(item)  # type: ignore[arg-type]


def only(path: Path) -> Document:
    (one,) = read(path)
    assert isinstance(one, Document), one
    return one


def reason(path: Path) -> str:
    (one,) = read(path)
    assert isinstance(one, Skipped), one
    return one.reason

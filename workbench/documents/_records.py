"""Documents, and how a source is asked for them.

A source is a function `source(ask) -> Iterator[Document | Skipped]`: it yields what it finds, in
an order that is the same each time, and yields `Skipped` with one clear sentence for what it does
not take. It raises GatherError only where nothing at all can be had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["text", "markdown", "code", "page", "pdf", "docx", "table", "notebook", "transcript"]


@dataclass(frozen=True, slots=True)
class Document:
    """One text and where it came from.

    `address` is unique within its source: a path, a URL, "video#…". `digest` is the SHA-256 of
    the bytes it was read from, `at` the time (ISO 8601, UTC), `language` that of code ("python").
    """

    text: str
    address: str
    kind: Kind = "text"
    title: str = ""
    language: str = ""
    licence: str = ""
    digest: str = ""
    at: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was not taken, and why, in one sentence."""

    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ask:
    """What a source is asked for.

    `folder` is the source's own scratch, kept over resumes and for the next time (caches, ETags,
    clones). `known(address)` tells whether a job that was interrupted has kept this document
    already: it need not be yielded again. `tell(fraction or None, words)` reports progress and
    raises JobCancelled when the job is to stop: call it often. `facts` is filled by the source:
    licence, commit, what was asked of whom.
    """

    address: str
    folder: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    known: Callable[[str], bool] = lambda address: False
    tell: Callable[[float | None, str], None] = lambda fraction, words: None
    facts: dict[str, Any] = field(default_factory=dict)


Source = Callable[[Ask], Iterator[Document | Skipped]]

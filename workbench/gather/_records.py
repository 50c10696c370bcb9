"""What was gathered: collections and their sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Gathered:
    """One source of a collection, as it was last gathered."""

    key: str  # its folder's name
    source: str  # files, web, git or transcript
    address: str
    options: Mapping[str, Any]
    documents: int
    characters: int
    skipped: int
    digest: str  # SHA-256 over the documents without their times
    licence: str
    at: datetime
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents under one name, from any number of sources; a folder of the home."""

    name: str
    folder: Path
    sources: tuple[Gathered, ...]

    @property
    def documents(self) -> int:
        return sum(one.documents for one in self.sources)

    @property
    def characters(self) -> int:
        return sum(one.characters for one in self.sources)

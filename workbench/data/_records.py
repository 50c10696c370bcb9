"""A dataset: examples under a name and a hash, with the recipe that makes them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.examples import Form


@dataclass(frozen=True, slots=True)
class Dataset:
    """One version of a dataset. It never changes: what changes it makes a new one.

    `digest` is the SHA-256 over what is learnt, split by split in order, so equal content has an
    equal digest wherever and whenever it was made; `files` has each file's own SHA-256.
    """

    name: str
    digest: str
    form: Form
    splits: Mapping[str, int]  # examples of each: "train" alone before it was split
    characters: int  # of what is learnt
    recipe: Mapping[str, Any]  # what it was made of and how, so that it can be made again
    report: Mapping[str, Any]  # what was dropped and why, when it was made
    parent: str  # digest of the dataset it was made from; "" for none
    files: Mapping[str, str]
    created_at: datetime
    folder: Path

    @property
    def examples(self) -> int:
        return sum(self.splits.values())

    @property
    def label(self) -> str:
        """`name@` and as much of the digest as a person needs."""
        return f"{self.name}@{self.digest[:8]}"

    def path(self, split: str = "train") -> Path:
        """The JSON-lines file of one split."""
        return self.folder / f"{split}.jsonl"

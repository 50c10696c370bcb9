"""What the room hands out, and what names, keys and texts must be like."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from workbench.errors import VectorError
from workbench.store import clean

LONGEST_KEY = 128  # characters
LONGEST_TEXT = 1_000_000  # characters; a model reads the first few thousand at most
LONGEST_ABOUT = 100_000  # characters of JSON
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

Item = tuple[str, str, Mapping[str, Any]]  # key, text, what else is known about it


@dataclass(frozen=True, slots=True)
class Found:
    """A text that was found. `score` is the cosine of the angle to the query: 1 is the same
    direction, 0 has nothing in common."""

    key: str
    text: str
    about: Mapping[str, Any]
    score: float


@dataclass(frozen=True, slots=True)
class Generation:
    """The vectors of one embedding model. It is complete when no text lacks one."""

    number: int
    model: str  # the name it had then
    digest: str  # bare hex, of the model's manifest
    dimensions: int
    created_at: datetime
    vectors: int = 0
    missing: int = 0  # texts without a vector
    in_use: bool = False

    @property
    def complete(self) -> bool:
        """Whether it can be taken into use."""
        return not self.missing


@dataclass(frozen=True, slots=True)
class Stats:
    """How large a collection is, and what its vectors were made by."""

    name: str
    texts: int
    characters: int
    bytes: int  # of the vectors of all generations
    generations: tuple[Generation, ...]  # the newest first

    @property
    def in_use(self) -> Generation:
        """The generation that is searched."""
        return next(one for one in self.generations if one.in_use)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A collection whose embedding model is not in the engine as it was."""

    name: str
    model: str
    digest: str  # that made the vectors
    installed: str  # the digest of the model that has this name now; "" for none
    generation: int = field(default=1)

    @property
    def words(self) -> str:
        """What is wrong and what to do."""
        return mismatch_words(self.name, self.model, self.digest, self.installed)


def mismatch_words(name: str, model: str, digest: str, installed: str, other: str = "") -> str:
    """The sentence for vectors of `name` whose model is another one now, or is gone, or is not
    `other`, which was asked for. `installed` is the digest of what there is instead."""
    now = (
        f"{other or model} is another model{'' if other else ' now'} (digest differs: "
        f"{installed[:12]})"
        if installed
        else f"{model} is not in the engine"
    )
    return (
        f"Embedding model mismatch: the vectors of {name} were made by {model} with digest "
        f"{digest[:12]}, and {now}. Install that model again, or embed the texts anew: "
        "reembed, then switch."
    )


def bare(digest: str) -> str:
    """A digest as the store keeps it: hex without `sha256:`."""
    return digest.removeprefix("sha256:").lower()[:80]


def checked_name(name: str) -> str:
    """The name, where a collection can have it. Raises VectorError."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise VectorError(
            f"{str(name)[:60]!r} cannot name a collection. Use up to 128 letters, digits, '.', "
            "'_' and '-', a letter or digit first."
        )
    return name


def checked_key(key: object) -> str:
    """The key, where a text can have it. Raises VectorError."""
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY or clean(key) != key:
        raise VectorError(
            f"{str(key)[:60]!r} cannot be the key of a text. Use 1 to {LONGEST_KEY} characters "
            "without NUL, such as the hash of what it came from."
        )
    return key


def checked_item(item: object) -> Item:
    """The item as it is kept. Raises VectorError, which names its key."""
    if not isinstance(item, list | tuple) or len(item) != 3:
        raise VectorError("A text is added as (key, text, about): its key, the text, a mapping.")
    key, text, about = checked_key(item[0]), item[1], item[2]
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_TEXT:
        raise VectorError(
            f"The text of {key!r} cannot be embedded: it must be a text of 1 to {LONGEST_TEXT:,} "
            "characters that are not all blank. Cut it into parts with keys of their own."
        )
    if not isinstance(about, Mapping):
        raise VectorError(f"What is known about {key!r} must be a mapping, such as {{}}.")
    try:
        kept = clean(about)
        size = len(json.dumps(kept))
    except RecursionError:
        size = LONGEST_ABOUT + 1
    if size > LONGEST_ABOUT:
        raise VectorError(
            f"What is known about {key!r} is too much: {LONGEST_ABOUT:,} characters of JSON at "
            "most. Keep it elsewhere, and a reference to it here."
        )
    return key, clean(text), kept

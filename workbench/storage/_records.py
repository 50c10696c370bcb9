"""What takes the disk: items, what is planned to go, what is in the trash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from workbench.library import Root

Kind = Literal[
    "model", "remote", "checkpoints", "weights", "gguf", "training", "dataset", "collection",
    "cache", "job", "trash", "store",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Item:
    """Something that takes space. `bytes` come back when it alone goes; `shared` are others' too.

    A *remote* model is one of an engine whose files are not ours, such as an Ollama.
    """

    kind: Kind
    name: str
    bytes: int = 0
    shared: int = 0
    path: str = ""
    last_used: datetime | None = None
    last_used_why: str = ""
    needed_by: tuple[str, ...] = ()  # it goes only when it is named
    used_by: tuple[str, ...] = ()  # told, no reason to keep it
    protected_by: str = ""  # why it never goes; "" where it may
    digest: str = ""
    family: str = ""
    places: tuple[tuple[Root, str], ...] = field(default=(), repr=False)  # what would be moved
    copies: tuple[str, ...] = ()  # of weights: digests of models that hold them, too
    # of a model: what it is made of, its manifest too, with sizes
    blobs: Mapping[str, int] = field(default_factory=dict, repr=False)

    @property
    def word(self) -> str:
        """By which its uses are known: `model:<digest>`, `training:<id>`, `collection:<name>` …"""
        kind = {"remote": "model", "checkpoints": "training", "weights": "training",
                "gguf": "training"}.get(self.kind, self.kind)  # fmt: skip
        return f"{kind}:{self.digest or self.name}"

    def to_json(self) -> dict[str, Any]:
        return {k: v for k, v in asdict(self).items() if k not in {"places", "blobs"}}


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything that takes space, the largest first. `fixed` are blobs that stay whatever goes:
    the trash, unfinished work or another folder needs them."""

    items: tuple[Item, ...]
    at: datetime
    engine: str = ""  # whose models were asked for; "" where none answered
    fixed: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Bytes on this machine, what models share counted once."""
        blobs = {one: size for item in self.of("model") for one, size in item.blobs.items()}
        here = (one for one in self.items if one.kind not in {"model", "remote"})
        return sum(item.bytes + item.shared for item in here) + sum(blobs.values())

    def of(self, *kinds: str) -> list[Item]:
        """The items of some kinds."""
        return [item for item in self.items if item.kind in kinds]


@dataclass(frozen=True, slots=True)
class Plan:
    """What would go and what stays, with the reason; nothing has been touched.

    `bytes` come back exactly: blobs that something else uses are not counted. With `final` some of
    it cannot be brought back from the trash.
    """

    items: tuple[Item, ...]
    bytes: int
    kept: tuple[tuple[Item, str], ...]
    at: datetime

    @property
    def final(self) -> bool:
        """Whether an engine of its own deletes some of it for good."""
        return any(item.kind == "remote" for item in self.items)

    @property
    def words(self) -> str:
        """In a sentence."""
        if not self.items:
            return f"Nothing would go. Kept: {len(self.kept)}."
        end = " Models of an engine that is not ours are deleted at once." if self.final else ""
        return (
            f"{_things(self.items)} would go to the trash; {self.bytes:,} bytes come back when it "
            f"is emptied. Kept: {len(self.kept)}.{end}"
        )

    def to_json(self) -> dict[str, Any]:
        kept = [{**item.to_json(), "why": why} for item, why in self.kept]
        items = [item.to_json() for item in self.items]
        return {"items": items, "bytes": self.bytes, "kept": kept, "final": self.final,
                "words": self.words}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trashed:
    """What went together. `bytes` come back when it is emptied, by itself at `expires_at`.

    Of `deleted`, an engine's own models, only names and digests are known: `undo` pulls them.
    """

    id: str
    at: datetime
    items: tuple[Mapping[str, Any], ...]  # kind, name, digest, bytes of each
    bytes: int
    expires_at: datetime | None = None
    deleted: tuple[Mapping[str, Any], ...] = ()  # name, digest, engine
    notes: tuple[str, ...] = ()  # what the last step had to say

    @property
    def words(self) -> str:
        """In a sentence."""
        if not self.items:
            return f"{_things(self.deleted)} deleted; to pull the models again: undo {self.id}."
        until = f" until {self.expires_at:%Y-%m-%d}" if self.expires_at else ""
        return (
            f"{_things(self.items)} in the trash{until}; {self.bytes:,} bytes come back when it is "
            "emptied."
        )


@dataclass(frozen=True, slots=True)
class Protection:
    """A pattern of names that are left alone."""

    pattern: str
    why: str
    at: datetime


def _things(some: Sequence[object]) -> str:
    return f"{len(some)} {'thing' if len(some) == 1 else 'things'}"


def names_of(item: Item, *, broad: bool = False) -> set[str]:
    """All by which an item may be called, in small letters: its name and its digest, of a dataset
    and a training their names without it, which mean all of them. `broad` adds a model's name
    without its tag, and its family."""
    name = item.name.lower()
    found = {name, name.partition("@")[0], item.digest.lower()}
    if item.kind in {"model", "remote"}:
        found.add(name.removesuffix(":latest"))
        if broad:
            short = name.rpartition(":")[0]
            found |= {short, short.rpartition("/")[2], item.family.lower()}
    return found - {""}


def matched(patterns: Iterable[str], item: Item, *, broad: bool = False) -> str:
    """The first of the patterns (`llama3*`, `notes`) that means this item; "" for none."""
    names = names_of(item, broad=broad)
    for pattern in patterns:
        wanted = pattern.strip().lower()
        if any(fnmatchcase(name, wanted) for name in names):
            return pattern
    return ""


def protects(pattern: str, item: Item) -> bool:
    """Whether a protection means this item: a model by its name, with or without its tag, or by its
    family, such as `qwen2`."""
    return bool(matched([pattern], item, broad=True))

"""What a check of the stored models finds: faults, each with what it breaks and how to mend it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

Kind = Literal[
    "flipped",  # a blob whose bytes are not those of its digest, or that the disk cannot read
    "truncated",  # a blob that is shorter or longer than its manifest says
    "missing",  # a blob that a manifest names
    "manifest",  # a manifest that cannot be used
    "orphan",  # a blob that nobody names: its manifest was deleted, or never written
    "foreign",  # what is no file of a library
    "partial",  # a download that was broken off, or what a killed writer left
    "permissions",  # what we cannot read, or others can change
    "symlink",  # a link to elsewhere in the place of a file
    "absent",  # a model that an engine should have
    "moved",  # a model that is another one than expected
]
KINDS: tuple[Kind, ...] = get_args(Kind)
Way = Literal["file", "permissions", "aside", "copy", "pull"]


@dataclass(frozen=True, slots=True)
class Repair:
    """How a fault can be mended. `words` say what `repair` would do."""

    way: Way
    words: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `affects` names the models that cannot be trusted because of it."""

    kind: Kind
    path: Path | None  # None: in an engine whose files are not ours
    what: str  # of the file, as the rest of a sentence: "has 10 of 20 bytes"
    affects: tuple[str, ...] = ()
    repair: Repair | None = None
    digest: str = ""  # that the file, or the model, should have: sha256:…, or a manifest's bare hex
    size: int = 0  # bytes that it should have, or that it takes
    sources: tuple[str, ...] = ()  # names of models in whose repository the file should be
    root: Path | None = None  # of the library

    @property
    def harmful(self) -> bool:
        """Whether models are, or may be, broken by it; what is left over harms none."""
        return bool(self.affects) or self.kind == "permissions"

    @property
    def subject(self) -> str:
        """The file as it is shown: its path in the library, long digests cut."""
        if self.path is None:
            return ", ".join(self.affects)
        inside = self.root is not None and self.path.is_relative_to(self.root)
        path = self.path.relative_to(self.root) if inside and self.root else self.path
        text = str(path).encode("utf-8", "replace").decode()
        blob = path.name.startswith("sha256-") and len(path.name) > 70
        return f"{path.name[:19]}{path.name[71:]}" if blob else text

    @property
    def words(self) -> str:
        """All of it as a sentence."""
        if self.path is None:
            return f"{', '.join(self.affects)} {self.what}"
        whose = f"{', '.join(self.affects)}: " if self.affects else ""
        return f"{whose}{self.subject} {self.what}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a repair did, or why it could not."""

    done: bool
    words: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How far the reading is. Bytes, and seconds."""

    done: int
    total: int
    files: int  # that are read
    of: int
    seconds: float

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take at this speed; None before it is known."""
        return self.seconds * (self.total - self.done) / self.done if self.done else None

    @property
    def fraction(self) -> float:
        """Share that is done, 0 to 1."""
        return self.done / self.total if self.total else 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found. `digests` are the manifests' SHA-256 (bare hex) by model, as engines
    list them; of a damaged manifest there is none."""

    root: Path
    at: datetime
    digests: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    files: int = 0  # blobs that the models name
    bytes: int = 0  # of those that are there
    read: int = 0  # bytes that were read
    trusted: int = 0  # files that were not, since they were read shortly before
    seconds: float = 0.0
    thorough: bool = True  # False: only sizes were looked at
    faults: tuple[Fault, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every model is whole; what is left over does not count."""
        return not any(fault.harmful for fault in self.faults)

    def of(self, name: str) -> tuple[Fault, ...]:
        """The faults that break this model."""
        return tuple(fault for fault in self.faults if name in fault.affects)

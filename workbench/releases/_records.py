"""What is kept of a release: its members by role, the switches between releases, aliases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

Source = Literal["pulled", "trained", "made", "tuned", "unknown"]
SOURCES: tuple[Source, ...] = get_args(Source)
ROLES = ("primary", "fallback", "embedding")  # beside "domain:<name>" and "task:<name>"


@dataclass(frozen=True, slots=True)
class Member:
    """The model of one role, by its digest, with what it takes to have it again.

    `how` belongs to `source`:

        pulled       from
        trained      training, recipe, settings, dataset (digest), dataset_name, dataset_recipe,
                     base, base_digest, export (kind of file to SHA-256)
        made, tuned  modelfile, from, from_digest

    and all may have `weights` (SHA-256 of the model's file), `because` (why that source is
    believed) and `base_origin` (source and how of the model that it was made of).
    """

    role: str
    model: str  # its name in the engine
    digest: str  # SHA-256 of its manifest, bare hex
    size: int = 0  # bytes
    quantisation: str = ""
    parameter_size: str = ""  # "8B", as the engine writes it
    context: int | None = None  # tokens
    embedding: int | None = None  # features of its vectors; None where it makes none
    source: Source = "unknown"
    how: Mapping[str, Any] = field(default_factory=dict)
    # by machine and suite: machine, tokens_per_second, first_token_seconds, suite, score, low,
    # high, run, at
    measured: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """A named configuration of models. It never changes."""

    version: str
    parent: str  # version; "" for the first
    members: tuple[Member, ...]
    purpose: str  # what it is for
    reason: str  # why it was made
    notes: str
    evidence: Mapping[str, Any]  # what its gates showed
    source: str  # "" when made here, else the file that it was read from
    created_at: datetime

    def role(self, name: str) -> Member | None:
        """The member in this role; None without one."""
        return next((one for one in self.members if one.role == name), None)


@dataclass(frozen=True, slots=True)
class Switch:
    """A change of the release in use."""

    at: datetime
    version: str
    before: str  # "" for none
    why: str
    vectors: Mapping[str, Any] = field(default_factory=dict)  # collection → [before, after]


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for a model beside the roles."""

    alias: str
    model: str
    digest: str
    at: datetime

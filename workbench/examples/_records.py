"""One internal form for everything that a model can learn from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Form = Literal["text", "conversation", "completion", "preference", "gap"]

# What each form is made of, by the names that TRL's trainers know.
FIELDS: Mapping[Form, tuple[str, ...]] = {
    "text": ("text",),
    "conversation": ("messages",),  # a list of {"role", "content"}; the answers are learnt
    "completion": ("prompt", "completion"),
    "preference": ("prompt", "chosen", "rejected"),  # texts, or lists of messages
    "gap": ("prefix", "middle", "suffix"),  # fill in the middle
}


@dataclass(frozen=True, slots=True)
class Example:
    """One example. `fields` has exactly those of its form; `about` says where it came from
    (address, line, licence, label …) and is not learnt."""

    form: Form
    fields: Mapping[str, Any]
    about: Mapping[str, Any] = field(default_factory=dict)

    def canonical(self) -> bytes:
        """What is learnt, as bytes: equal examples have equal ones."""
        return json.dumps(
            self.fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")
        ).encode("utf-8", "surrogatepass")

    @property
    def digest(self) -> str:
        """SHA-256 of what is learnt, in hex."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def row(self) -> dict[str, Any]:
        """As a line of a dataset's file."""
        return {**self.fields, "about": dict(self.about)}

    @classmethod
    def of(cls, form: Form, row: Mapping[str, Any]) -> Example:
        """From a line of a dataset's file. Raises KeyError where a field is missing."""
        return cls(form, {name: row[name] for name in FIELDS[form]}, row.get("about") or {})

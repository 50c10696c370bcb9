"""The form that makes a clean corpus: collections, rules, what to keep it apart from."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from traitlets import Tuple as TupleTrait

from workbench.panels.states._data_form import (
    NAME,
    NAME_WORDS,
    Fields,
    FormState,
    number_of,
    words_of,
)

_SWITCHES = ("normalise", "boilerplate", "quality", "exact")
_CHOICES = ("secrets", "personal", "contamination")


class CleanState(FormState):
    """Fields are those of `refine.Rules`, with its defaults; `suites` are pairs of name and title.

    No suite ticked means all of them.
    """

    fields: ClassVar[Fields] = {
        "name": "", "normalise": "yes", "boilerplate": "yes", "quality": "yes", "exact": "yes",
        "near": "0.8", "languages": "", "secrets": "mask", "personal": "mask",
        "contamination": "drop",
    }  # fmt: skip
    lists = ("collections", "against", "suites")
    suites = TupleTrait(default_value=())
    _read = False

    async def look(self) -> None:
        """Check the form; the suites are read once, and what is gone is no longer ticked."""
        if not self._read:
            self._read = True
            self.suites = await asyncio.to_thread(_suites)
        there = {one.name for one in self.source.collections}
        if not self.picked["collections"] and len(there) == 1 and not self.text("name"):
            self.begin(*there)
        labels = {one.label for one in self.source.datasets}
        for name, known in (("collections", there), ("against", labels)):
            kept = tuple(one for one in self.picked[name] if one in known)
            self.picked = {**self.picked, name: kept}
        await super().look()

    def begin(self, name: str) -> None:
        """This collection, under its own name."""
        self.picked = {**self.picked, "collections": (name,)}
        self.texts = {**self.texts, "name": name}

    @property
    def missing(self) -> str:
        if not self.picked["collections"]:
            return "Tick a collection."
        return "" if self.text("name") else "Name the dataset."

    @property
    def rules(self) -> dict[str, Any]:
        """What is not as usual."""
        changed = {name: self.text(name) for name in self.fields}
        changed = {name: text for name, text in changed.items() if text != self.fields[name]}
        found: dict[str, Any] = {name: bool(changed[name]) for name in _SWITCHES if name in changed}
        found |= {name: changed[name] for name in _CHOICES if name in changed}
        if "near" in changed:
            found["near"] = number_of(changed["near"] or "0")
        if "languages" in changed:
            found["languages"] = words_of(changed["languages"].lower())
        if self.picked["suites"] and self.text("contamination") != "keep":
            found["suites"] = [*self.picked["suites"]]
        return found

    def given(self) -> tuple[list[Any], dict[str, Any]]:
        named: dict[str, Any] = {"collections": [*self.picked["collections"]]}
        more = {"rules": self.rules, "against": [*self.picked["against"]]}
        named |= {name: value for name, value in more.items() if value}
        return ["clean", self.text("name")], named

    def check(self) -> dict[str, str]:
        found: dict[str, str] = {}
        name, near = self.text("name"), number_of(self.text("near") or "0")
        if name and not NAME.fullmatch(name):
            found["name"] = NAME_WORDS
        if near is None or not 0 <= near <= 1:
            found["near"] = "Write a number from 0 (off) to 1 (only equal ones); 0.8 is usual."
        if any(len(one) != 2 or not one.isalpha() for one in words_of(self.text("languages"))):
            found["languages"] = "Write languages by their two letters: en de fr."
        return found


def _suites() -> tuple[tuple[str, str], ...]:
    from workbench import tasks

    return tuple(sorted((name, one.title) for name, one in tasks.suites().items()))

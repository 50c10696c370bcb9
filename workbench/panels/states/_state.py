"""Ground of all states: strict construction, and errors fit for a card.

Traits are set only on the loop of the kernel's main thread; blocking work goes to a thread and
its result comes back by `await`.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

from traitlets import HasTraits

from workbench.errors import WorkbenchError

_SENTENCE = re.compile(r"(?<=[a-z0-9)\]'\"][.!?])\s+(?=[A-Z`'\"])")


def reject_unknown(what: str, unknown: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError for a keyword that does not exist, with the nearest one that does."""
    known = sorted(known)
    for name in unknown:
        near = get_close_matches(name, known, 1)
        advice = f"Did you mean {near[0]!r}?" if near else f"It knows: {', '.join(known)}."
        raise TypeError(f"{what} has no keyword {name!r}. {advice}")


class State(HasTraits):  # type: ignore[misc]
    """Base of the states. `actions` are the methods that a page may call, `settable` the traits
    that it may set with the action `put`."""

    actions: ClassVar[frozenset[str]] = frozenset()
    settable: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, **values: Any) -> None:
        known = [name for name in self.trait_names() if not name.startswith("_")]
        reject_unknown(type(self).__name__, set(values) - set(known), known)
        super().__init__(**values)

    def put(self, trait: str, value: str) -> None:
        """Set one of the settable traits. Raises AttributeError for another one."""
        if trait not in self.settable:
            raise AttributeError(f"{type(self).__name__}.{trait} cannot be set from a page.")
        self.set_trait(trait, value)

    async def refresh(self, *, start: bool = True) -> None:
        """Bring everything up to date; `start` once what is needed and missing."""

    def close(self) -> None:
        """End what the state still does. Nothing by default."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as a person reads it: what happened, what to do, and all the rest."""

    sentence: str
    advice: str = ""
    details: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Problem:
        """Ours speak for themselves; a foreign one is named and its details are kept."""
        details = "".join(traceback.format_exception(error))
        if isinstance(error, WorkbenchError) and str(error):
            sentence, *rest = _SENTENCE.split(str(error).strip(), maxsplit=1)
            if not sentence.startswith("http"):
                sentence = sentence[0].upper() + sentence[1:]
            if not sentence.endswith((".", "!", "?")):
                sentence += "."
            return cls(sentence, rest[0] if rest else "", details)
        said = str(error).strip().splitlines()
        what = f"{type(error).__name__}: {said[0][:200]}" if said else type(error).__name__
        advice = "Try again. If it comes back, copy the details into a report of this bug."
        return cls(f"This did not work ({what}).", advice, details)

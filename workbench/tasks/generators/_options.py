"""Questions with options: in a drawn order, as letters in the prompt or as a choice's texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.scorers import Sample

LETTERS = "ABCDEFGH"


def question(
    id: str,
    prompt: str,
    right: str,
    wrong: Sequence[str],
    place: int,
    *,
    letters: bool,
    group: str = "",
    more: Mapping[str, Any] | None = None,
) -> Sample:
    """A sample of mode "chat" whose target is a letter, or of "choice" with an index."""
    choices = [*wrong[:place], right, *wrong[place:]]
    more = more or {}
    if not letters:
        return Sample(id, prompt, place, tuple(choices), group=group, more=more)
    lines = "\n".join(f"{letter}) {text}" for letter, text in zip(LETTERS, choices, strict=False))
    return Sample(
        id, f"{prompt}\n\n{lines}", LETTERS[place], tuple(choices), group=group, more=more
    )

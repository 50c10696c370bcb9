"""What a corpus shall be like: one frozen record of choices, each with a default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from workbench.errors import DataError
from workbench.texts import nearest

Found = Literal["mask", "drop", "keep"]
_CONTAMINATION = "contamination", ("drop", "report", "keep")


@dataclass(frozen=True, slots=True)
class Rules:
    """How documents become a corpus. `docs/refine.md` says how each step works and its limits.

    normalise: Unicode NFC, one kind of line end, no trailing spaces, no control or invisible
        characters, wrongly decoded letters repaired.
    boilerplate: Lines that many pages of one site share at their ends, cookie notices and the
        licence headers of code are taken out.
    languages: Natural languages to keep, ISO 639-1 ("en", "de"); empty for all. Code is not
        judged.
    quality: Documents are dropped that are too short, repeat themselves, or are not language or
        code: generated, minified, encoded.
    secrets: Keys, tokens and passwords: masked, or the document dropped, or kept (and still
        reported).
    personal: E-mail addresses, telephone, account and card numbers, public IP addresses: as
        secrets.
    exact: Of equal documents the first is kept.
    near: Of documents at least so alike (Jaccard of five-word sequences) the first is kept; 0:
        off.
    against: Labels of the texts of other datasets: documents equal or alike to one of them are
        dropped (by `exact` and `near`).
    suites: Benchmark suites whose samples no document may contain; "*" for all, empty for none.
    contamination: Documents with samples of a suite: dropped, or kept and reported, or not
        looked for.
    """

    normalise: bool = True
    boilerplate: bool = True
    languages: tuple[str, ...] = ()
    quality: bool = True
    secrets: Found = "mask"
    personal: Found = "mask"
    exact: bool = True
    near: float = 0.8
    against: tuple[str, ...] = ()
    suites: tuple[str, ...] = ("*",)
    contamination: Literal["drop", "report", "keep"] = "drop"

    def __post_init__(self) -> None:
        for name in ("languages", "against", "suites"):
            value = getattr(self, name)
            if not isinstance(value, list | tuple) or any(not isinstance(x, str) for x in value):
                raise DataError(f"{name} must be a list of texts, not {value!r}.")
            object.__setattr__(self, name, tuple(value))
        for name in ("normalise", "boilerplate", "quality", "exact"):
            if not isinstance(getattr(self, name), bool):
                raise DataError(f"{name} must be true or false, not {getattr(self, name)!r}.")
        found = get_args(Found)
        for name, allowed in ("secrets", found), ("personal", found), _CONTAMINATION:
            if getattr(self, name) not in allowed:
                value = getattr(self, name)
                raise DataError(f"{name} cannot be {value!r}.{nearest(value, allowed)}")
        near = self.near
        if isinstance(near, bool) or not isinstance(near, int | float) or not 0 <= near <= 1:
            raise DataError(
                f"near must be a number from 0 (off) to 1 (all alike), not {near!r}. 0.8 is usual."
            )
        object.__setattr__(self, "near", float(near))

    def to_json(self) -> dict[str, Any]:
        """As a JSON object that `rules_of` reads."""
        return asdict(self)


def rules_of(mapping: Mapping[str, Any]) -> Rules:
    """Rules from a JSON object. Raises DataError for a name or a value that there is not."""
    known = {one.name for one in fields(Rules)}
    for name in mapping:
        if name not in known:
            raise DataError(f"There is no rule {name!r}.{nearest(name, known)}")
    return Rules(**mapping)

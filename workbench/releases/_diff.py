"""What differs between two releases, role by role, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from workbench.releases._keep import find
from workbench.releases._measured import measured_since
from workbench.releases._records import Member, Release
from workbench.releases._words import number, score_words, size_words

Kind = Literal["same", "changed", "added", "removed"]
_FIELDS = ("model", "digest", "size", "quantisation", "parameter_size", "context", "embedding")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs. `about` is the machine and the suite of a measurement, else ""."""

    what: str  # a field of Member, "tokens_per_second", "first_token_seconds" or "score"
    before: Any
    after: Any
    words: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One role in both releases."""

    role: str
    kind: Kind
    before: Member | None
    after: Member | None
    changes: tuple[Change, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Diff:
    """Release a against release b, the later one as a rule."""

    a: str
    b: str
    rows: tuple[Row, ...]

    @property
    def changed(self) -> tuple[Row, ...]:
        """The roles that are not the same."""
        return tuple(row for row in self.rows if row.kind != "same")


def diff(a: Release | str, b: Release | str, *, since: bool = False) -> Diff:
    """What changed from release `a` to release `b`; with `since` also by what was measured here
    after they were made. Raises ReleaseError for an unknown one."""
    first, second = (find(one) if isinstance(one, str) else one for one in (a, b))
    roles = dict.fromkeys(one.role for one in chain(first.members, second.members))
    rows = tuple(_row(role, first.role(role), second.role(role), since) for role in roles)
    return Diff(first.version, second.version, rows)


def _row(role: str, before: Member | None, after: Member | None, since: bool) -> Row:
    if before is None or after is None:
        one, kind = after or before, "removed" if after is None else "added"
        assert one is not None, "a role is in one of both releases"
        words = f"{role}: {kind} {one.model} ({_short(one.digest)}, {_about(one)})"
        return Row(role, kind, before, after, (), words)  # type: ignore[arg-type]
    plain = [
        Change(name, old, new, words)
        for name in _FIELDS
        if (old := getattr(before, name)) != (new := getattr(after, name))
        and (words := _words(name, old, new, before, after))
    ]
    changes = (*plain, *_measured(before, after, since))
    told = "; ".join(one.words for one in changes) or f"the same {after.model}"
    kind = "changed" if changes else "same"
    return Row(role, kind, before, after, changes, f"{role}: {told}")  # type: ignore[arg-type]


def _words(name: str, old: Any, new: Any, before: Member, after: Member) -> str:
    if name == "model":
        return f"{old} → {new}"
    if name == "digest":
        moved = "" if before.model != after.model else f"another version of {after.model}: "
        return f"{moved}digest {_short(old)} → {_short(new)}"
    if name == "size":
        words = [size_words(old), size_words(new)]
        return " → ".join(words) if words[0] != words[1] else f"{new - old:+,} bytes"
    if name == "context":
        return f"context {_or_none(old)} → {_or_none(new)} tokens"
    if name == "embedding":
        return f"vectors of {_or_none(old)} → {_or_none(new)} features"
    return f"{name.replace('_', ' ')} {_or_none(old)} → {_or_none(new)}"


def _measured(before: Member, after: Member, since: bool) -> list[Change]:
    """What was measured of both on one machine with one suite."""
    told = [measured_since(one) if since else one.measured for one in (before, after)]
    old, new = ({_key(row): row for row in rows} for rows in told)
    found: list[Change] = []
    for key in old.keys() & new.keys():
        a, b = old[key], new[key]
        about = f"{key[0]}, {key[1]}"
        for name, unit in (("tokens_per_second", "tokens/s"), ("first_token_seconds", "s to the "
                           "first token")):  # fmt: skip
            was, now = number(a, name), number(b, name)
            if was and now and was != now:
                words = f"{was:.3g} → {now:.3g} {unit} ({now / was - 1:+.0%}) on {key[0]}"
                found.append(Change(name, was, now, words, about))
        was, now = number(a, "score"), number(b, "score")
        if was is not None and now is not None and was != now:
            chance = ", which chance explains" if _overlap(a, b) else ""
            words = f"{key[1]} {score_words(a)} → {score_words(b)}{chance}"
            found.append(Change("score", was, now, words, about))
    return sorted(found, key=lambda one: (one.about, one.what))


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return str(row.get("machine", "")), str(row.get("suite", ""))


def _overlap(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether both scores' intervals share a part."""
    ends = [number(row, name) for row in (a, b) for name in ("low", "high")]
    if None in ends:
        return False
    low_a, high_a, low_b, high_b = ends
    return bool(low_a <= high_b and low_b <= high_a)  # type: ignore[operator]


def _about(one: Member) -> str:
    parts = [size_words(one.size), one.parameter_size, one.quantisation]
    return ", ".join(filter(None, parts))


def _short(digest: str) -> str:
    return digest[:12]


def _or_none(value: Any) -> Any:
    return "none" if value in (None, "") else value

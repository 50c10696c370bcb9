"""A plan of what may go: by kind, by name, by how long it was not used. It is the dry run.

Nothing goes that is in use, that the release in use names, or that a pattern protects. What others
need (a training's base, a dataset's parent, an older release) goes only when it is named, and so
does what nobody has used for some time when no names are given.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from workbench.errors import StorageError
from workbench.storage._files import older
from workbench.storage._models import regained
from workbench.storage._records import KINDS, Item, Plan, Survey, matched, names_of
from workbench.storage._survey import survey
from workbench.texts import nearest

if TYPE_CHECKING:
    from workbench.engines import Engine

_HASH = re.compile("[0-9a-f]{8,}")
UNUSED_DAYS = 30.0  # without names, by default
_NEVER = ("trash", "store")
_ASKED = {
    "remote": "its engine has no trash",
    "dataset": "it was made here",
    "collection": "it was gathered here",
    "training": "nothing is known about it",
}  # these go only when they are asked for


def plan(
    kinds: Collection[str] = (),
    names: Iterable[str] = (),
    *,
    unused_days: float | None = None,
    keep: Iterable[str] = (),
    needed: bool = False,
    engine: Engine | None = None,
    found: Survey | None = None,
) -> Plan:
    """What would go. `names` and `keep` are names or patterns: in `names` a model without its tag
    is `:latest`, as everywhere; in `keep` it is all of its tags. Age does not count with names,
    unless `unused_days` says so. Datasets, collections and models of an engine that is not ours go
    only by name, or when their kind is asked for. `needed` takes also what others need, and last
    copies of weights. `found` is a survey made just now. Raises StorageError for a kind or a name
    that there is not.
    """
    chosen, wanted, spared = _kinds(kinds), [*names], [*keep]
    if unused_days is not None and not unused_days >= 0:
        raise StorageError("unused_days is a number of days, 0 or more.")
    days = unused_days if unused_days is not None or wanted else UNUSED_DAYS
    found = found or survey(engine)
    items = [item for item in found.items if item.kind in chosen]
    _check_names(wanted, items)
    going: list[Item] = []
    kept: list[tuple[Item, str]] = []
    for item in items:
        named = matched(wanted, item)
        if wanted and not named:
            continue
        why = _why_kept(item, bool(named) or needed, spared, days, found.at)
        if not why and item.kind in _ASKED and not named and item.kind not in kinds:
            why = f"{_ASKED[item.kind]}: name it, or ask for the kind {item.kind}"
        if why:
            kept.append((item, why))
        else:
            going.append(item)
    if not needed:
        _spare_last_copies(going, kept, wanted, found)
    return Plan(tuple(going), bytes_of(going, found), tuple(kept), found.at)


def bytes_of(going: Sequence[Item], found: Survey) -> int:
    """The bytes that come back when all of these go."""
    total = 0
    for kind in ("model", "remote"):
        some = [item for item in going if item.kind == kind]
        chosen = {item.name for item in some}
        staying = [item for item in found.of(kind) if item.name not in chosen]
        total += regained(some, staying, found.fixed)
    return total + sum(item.bytes for item in going if item.kind not in ("model", "remote"))


def _spare_last_copies(
    going: list[Item], kept: list[tuple[Item, str]], wanted: Sequence[str], found: Survey
) -> None:
    """What a training learnt stays somewhere: as its weights, a file or a model."""
    gone = {item.digest for item in going if item.kind in ("model", "remote")}
    alive = {item.digest for item in found.of("model", "remote")} - gone
    for kind in ("weights", "gguf"):
        for item in [one for one in going if one.kind == kind and not matched(wanted, one)]:
            if not alive & {item.digest, *item.copies}:
                going.remove(item)
                kept.append((item, "nothing else would be left of what it learnt"))
        trained = {item.digest for item in found.of(kind)}
        alive |= trained - {item.digest for item in going if item.kind == kind}


def _kinds(kinds: Iterable[str]) -> set[str]:
    chosen = {str(kind) for kind in kinds}
    known = {str(kind) for kind in KINDS} - set(_NEVER)
    for kind in sorted(chosen - known):
        raise StorageError(f"{kind!r} is no kind of thing that can go.{nearest(kind, known)}")
    return chosen or known


def _check_names(wanted: Sequence[str], items: Sequence[Item]) -> None:
    for pattern in wanted:
        if not any(matched([pattern], item) for item in items):
            # hashes and numbers are no help to who mistyped a name
            known = {name for item in items for name in names_of(item) if not _HASH.fullmatch(name)}
            raise StorageError(f"Nothing is called {pattern!r}.{nearest(pattern, known)}")


def _why_kept(
    item: Item, named: bool, keep: Sequence[str], days: float | None, now: datetime
) -> str:
    """Why it stays; "" where it goes."""
    if item.protected_by:
        return item.protected_by
    if pattern := matched(keep, item, broad=True):
        return f"to be kept: {pattern}"
    if item.needed_by and not named:
        more = f" and {len(item.needed_by) - 1} more" if len(item.needed_by) > 1 else ""
        return f"needed by {item.needed_by[0]}{more}"
    if days is not None and not older(item.last_used, days, now):
        if item.last_used is None:
            return "nobody knows when it was used last"
        return f"used within {days:g} days ({item.last_used_why})"
    return ""

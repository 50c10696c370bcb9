"""Carrying a plan out: looked at once more, then all of it in one step.

Between the plan and this moment a model may have been loaded, replaced, or taken into a release:
then nothing goes at all, and a new plan tells what has changed.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.errors import StorageError
from workbench.library import Trash
from workbench.storage import _remote as remote
from workbench.storage._engine import asked
from workbench.storage._plan import bytes_of
from workbench.storage._records import Item, Plan, Survey, Trashed
from workbench.storage._survey import look
from workbench.storage._trash import about, expires, opened
from workbench.storage._uses import uses

if TYPE_CHECKING:
    from workbench.engines import Engine


_AGAIN = ("cache", "dataset")  # kinds of which what is made again is the same


def prune(plan: Plan, *, engine: Engine | None = None, sure: bool = False) -> Trashed:
    """Put all of a plan into the trash, or nothing of it; `undo` brings it back.

    A plan with models of an engine that is not ours wants `sure`: they are deleted by that engine,
    and can only be pulled again. Raises StorageError, then nothing has gone.
    """
    if not plan.items:
        raise StorageError("There is nothing in this plan to prune.")
    if plan.final and not sure:
        raise StorageError(
            "This plan deletes models of an engine that is not ours, which has no trash: they can "
            "only be pulled again. Confirm it: sure=True, --yes."
        )
    with asked(engine) as chosen:
        now = look(chosen)
        items = [_unchanged(item, plan, now) for item in plan.items]
        here = [item for item in items if item.kind != "remote"]
        there = [item for item in items if item.kind == "remote"]
        bytes_ = bytes_of(here or there, now)
        at = datetime.now(UTC)
        id, notes = f"{at:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}", []
        if here:
            id, at = _take(here, bytes_)
        if there:
            assert chosen is not None, "its models were just listed"
            notes = remote.delete(chosen, id, at, there)
    facts = about(here, bytes_)["items"]
    gone = tuple({"name": item.name, "digest": item.digest} for item in there)
    return Trashed(id, at, tuple(facts), bytes_, expires(at), gone, tuple(notes))


def _take(items: Sequence[Item], bytes_: int) -> tuple[str, datetime]:
    """Move them; brought back at once where one has come into use meanwhile."""
    _, trash = opened()
    places = [place for item in items for place in item.places]
    blobs = {one for item in items for one in item.blobs if one.startswith("sha256:")}
    again = {place for item in items if item.kind in _AGAIN for _, place in item.places}
    note = trash.take(places, about(items, bytes_), sorted(blobs), again)
    _check_free(items, trash, note.id)
    return note.id, note.at


def _check_free(items: Sequence[Item], trash: Trash, id: str) -> None:
    known = uses()
    for item in items:
        why = known.guarded([item.word], {item.name.lower()})
        if why:
            trash.undo(id)
            raise StorageError(f"{item.name} came into use just now ({why}), so nothing was taken.")


def _unchanged(item: Item, plan: Plan, now: Survey) -> Item:
    """The item as it is now. Raises StorageError where that is not what was planned."""
    same = [one for one in now.of(item.kind) if (one.name, one.path) == (item.name, item.path)]
    if not same:
        why = f" {now.problems[0]}" if now.problems else ""
        raise StorageError(f"{item.name} is not there any more.{why} Make a new plan.")
    found = same[0]
    if found.protected_by:
        raise StorageError(f"{item.name} is kept by now ({found.protected_by}). Make a new plan.")
    used = found.last_used is not None and found.last_used > plan.at
    if found.digest != item.digest or used:
        raise StorageError(f"{item.name} was changed or used since the plan. Make a new plan.")
    if set(found.needed_by) - set(item.needed_by):
        raise StorageError(
            f"{item.name} is needed by now ({found.needed_by[-1]}). Make a new plan."
        )
    return found

"""Releases in the store: made, found, taken into use.

A release is one row that never changes; which one is in use tells the newest switch. So making one
and switching to it, or going back, is one transaction, and a kill leaves either all of it or
nothing. With `opened` the caller's own transaction is used, and the caller commits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from workbench.errors import ReleaseError
from workbench.releases import _check
from workbench.releases._records import Member, Release, Switch
from workbench.store import StoredRelease, StoredSwitch, clean, session
from workbench.texts import nearest

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_FIRST = "v0.1"
_NUMBERED = re.compile(r"v?\d{1,9}(?:\.\d{1,9})*")


def make(
    version: str,
    members: Sequence[Member],
    *,
    purpose: str = "",
    reason: str = "",
    notes: str = "",
    evidence: Mapping[str, Any] | None = None,
    parent: str | None = None,
    switch: bool = True,
    opened: Session | None = None,
) -> Release:
    """A new release, in use at once unless `switch` is off.

    `version` "" is the next one; `parent` None is the release in use. Raises ReleaseError for a
    version that is taken and for what a release may not hold, StoreError.
    """
    with within(opened) as s:
        _alone(s)
        before = _newest(s)
        if parent is None:
            parent = before.version if before else ""
        elif parent:
            _row(s, parent)
        made = Release(
            version or _next(s.scalars(select(StoredRelease.version)).all()), parent,
            tuple(members), purpose, reason, notes, evidence or {}, "", datetime.now(UTC),
        )  # fmt: skip
        made = add(s, made)
        if switch:
            _switch(s, made.version, reason or purpose or "It was made.", {})
    return made


def find(version: str) -> Release:
    """The release of this version; "current" is the one in use, "previous" the one before it.

    Raises ReleaseError.
    """
    wanted = str(version).strip()
    with session(read_only=True) as s:
        if wanted in _check.RESERVED:
            newest = _newest(s)
            told = "" if newest is None else newest.version
            wanted = told if wanted == "current" else newest.before if newest else ""
            if not wanted:
                raise ReleaseError(
                    f"There is no {version} release. Make one: `workbench versions release`."
                )
        return _record(_row(s, wanted))


def current() -> Release | None:
    """The release in use; None before the first one."""
    return _named_by_newest("version")


def previous() -> Release | None:
    """Where a rollback leads: the release that was in use before; None where there was none."""
    return _named_by_newest("before")


def history() -> list[Release]:
    """All releases, the newest first."""
    order = (StoredRelease.created_at.desc(), StoredRelease.number.desc())
    with session(read_only=True) as s:
        return [_record(row) for row in s.scalars(select(StoredRelease).order_by(*order))]


def switches() -> list[Switch]:
    """Which release was taken into use when and why, the newest first."""
    with session(read_only=True) as s:
        rows = s.scalars(select(StoredSwitch).order_by(StoredSwitch.id.desc()))
        return [_switched(row) for row in rows]


def switch(
    version: str,
    why: str,
    *,
    vectors: Mapping[str, Any] | None = None,
    opened: Session | None = None,
) -> Switch:
    """Take a release into use. `vectors` says which collections changed with it: name to
    [generation before, generation after]. Raises ReleaseError, also where it is in use already.
    """
    with within(opened) as s:
        _alone(s)
        _row(s, version)
        return _switch(s, version, why, vectors or {})


def next_version() -> str:
    """The version after the highest one: v0.2 after v0.1, v0.10 after v0.9."""
    with session(read_only=True) as s:
        return _next(s.scalars(select(StoredRelease.version)).all())


@contextmanager
def within(opened: Session | None) -> Iterator[Session]:
    """The caller's transaction, else one of our own."""
    if opened is not None:
        yield opened
        return
    with session() as own:
        yield own


def add(s: Session, release: Release) -> Release:
    """Put a release into the store, in this transaction. Raises ReleaseError."""
    values = values_of(release)
    _check.shallow([values["members"], values["evidence"]])
    values = {k: v if k == "created_at" else clean(v) for k, v in values.items()}
    row = StoredRelease(**values)
    _check.check(_record(row))
    taken = select(StoredRelease.number).where(StoredRelease.version == release.version)
    try:
        if s.scalar(taken) is not None:
            raise _taken(release.version)
        s.add(row)
        s.flush()
    except IntegrityError:  # another process was quicker
        raise _taken(release.version) from None
    return _record(row)


def stored(s: Session, version: str) -> Release | None:
    """The release of this version, in this transaction."""
    row = s.scalar(select(StoredRelease).where(StoredRelease.version == version))
    return None if row is None else _record(row)


def _alone(s: Session) -> None:
    """Nobody else makes or switches until this transaction ends. SQLite has one writer anyway."""
    if s.get_bind().dialect.name == "postgresql":
        s.execute(text("LOCK TABLE release_switches IN EXCLUSIVE MODE"))


def _taken(version: str) -> ReleaseError:
    return ReleaseError(
        f"There is a release {version} already, and releases never change. Give another version, "
        "or none for the next one."
    )


def _switch(s: Session, version: str, why: str, vectors: Mapping[str, Any]) -> Switch:
    newest = _newest(s)
    before = newest.version if newest else ""
    if before == version:
        raise ReleaseError(f"The release {version} is in use already: there is nothing to switch.")
    row = StoredSwitch(
        at=datetime.now(UTC), version=version, before=before, why=clean(why), vectors=clean(vectors)
    )
    s.add(row)
    s.flush()
    return _switched(row)


def _newest(s: Session) -> StoredSwitch | None:
    return s.scalar(select(StoredSwitch).order_by(StoredSwitch.id.desc()).limit(1))


def _named_by_newest(column: str) -> Release | None:
    with session(read_only=True) as s:
        newest = _newest(s)
        version = getattr(newest, column) if newest else ""
        return stored(s, version) if version else None


def _row(s: Session, version: str) -> StoredRelease:
    row = s.scalar(select(StoredRelease).where(StoredRelease.version == version))
    if row is None:
        known = s.scalars(select(StoredRelease.version)).all()
        advice = nearest(version, known) or " Make one: `workbench versions release`."
        raise ReleaseError(f"There is no release {version!r:.80}.{advice}")
    return row


def _next(known: Iterable[str]) -> str:
    numbered = [one for one in known if _NUMBERED.fullmatch(one)]
    if not numbered:
        return _FIRST
    highest = max(numbered, key=lambda one: [int(part) for part in one.lstrip("v").split(".")])
    head, dot, last = highest.rpartition(".")
    letter = "v" if not dot and last.startswith("v") else ""
    return f"{head}{dot}{letter}{int(last.lstrip('v')) + 1}"


def values_of(release: Release) -> dict[str, Any]:
    """Its fields by name, with plain members."""
    plain = {f.name: getattr(release, f.name) for f in fields(Release)}
    members = [{f.name: getattr(one, f.name) for f in fields(Member)} for one in release.members]
    return {**plain, "members": members}


def _record(row: StoredRelease) -> Release:
    plain = {f.name: getattr(row, f.name) for f in fields(Release)}
    members = (Member(**{**one, "measured": tuple(one["measured"])}) for one in row.members)
    return Release(**{**plain, "members": tuple(members)})


def _switched(row: StoredSwitch) -> Switch:
    return Switch(**{f.name: getattr(row, f.name) for f in fields(Switch)})

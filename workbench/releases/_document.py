"""A release as a JSON document and back, checked by its own hash.

The hash covers all but `source`, which says where this machine read it from. It tells damage and
careless edits, not malice: who changes a document can also write a new hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from workbench.errors import ReleaseError
from workbench.releases import _check
from workbench.releases._keep import values_of
from workbench.releases._records import Member, Release
from workbench.store import clean

SCHEMA = 1
KIND = "workbench release"
_MEMBER = [one.name for one in fields(Member)]
_TEXTS = ("version", "parent", "purpose", "reason", "notes")


def to_document(release: Release) -> dict[str, Any]:
    """The release as plain JSON in a fixed order, with its hash as `digest`."""
    content = _content(release)
    return {"kind": KIND, "schema": SCHEMA, **content, "digest": _hash(content)}


def from_document(document: Any, source: str = "") -> Release:
    """The release that a document holds. Raises ReleaseError for what is none, is of a later
    schema, holds what a release may not hold, or was changed after it was written.
    """
    given = _object(document, "A release")
    _check.shallow(given)
    if given.get("kind") != KIND:
        raise ReleaseError(f'This is no release: it must say "kind": "{KIND}".')
    schema(given)
    unknown = given.keys() - {*_TEXTS, "kind", "schema", "digest", "created_at", "members",
                              "evidence"}  # fmt: skip
    if unknown:
        raise ReleaseError(f"A release has no {sorted(unknown)[0]!r:.80}. Remove it.")
    for name in _TEXTS:
        if not isinstance(given.get(name), str):
            raise ReleaseError(f"The release has no text {name!r}. Export it again.")
    members = given.get("members")
    if not isinstance(members, list):
        raise ReleaseError("The release has no list of members. Export it again.")
    release = Release(
        **{name: clean(given[name]) for name in _TEXTS},
        members=tuple(map(_member, members)),
        evidence=clean(_object(given.get("evidence"), "evidence")),
        source=clean(source)[:200], created_at=moment(given.get("created_at")),
    )  # fmt: skip
    _check.check(release)
    if given.get("digest") != content_digest(release):
        raise ReleaseError(
            f"The release {release.version} was changed after it was written: its content does not "
            "have the hash that it names. Export it again where it was made."
        )
    return release


def content_digest(release: Release) -> str:
    """SHA-256 over all that a release is, wherever it was read from."""
    return _hash(_content(release))


def schema(given: Mapping[str, Any]) -> None:
    """Raise ReleaseError where a document is of a schema that is not known here."""
    if given.get("schema") != SCHEMA or isinstance(given.get("schema"), bool):
        raise ReleaseError(
            f"This document has the schema {given.get('schema')!r:.80}, and this version reads "
            f"{SCHEMA}. Update the workbench, or export it again."
        )


def moment(value: Any) -> datetime:
    """A time with its zone, in UTC. Raises ReleaseError."""
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ReleaseError(
        f"{value!r:.80} is no time with its zone, such as 2026-01-31T12:00:00+00:00."
    )


def ordered(value: Any) -> Any:
    """The same value with the names of every object in order."""
    if isinstance(value, Mapping):
        return {name: ordered(value[name]) for name in sorted(value)}
    return [ordered(one) for one in value] if isinstance(value, list | tuple) else value


def _content(release: Release) -> dict[str, Any]:
    values = values_of(release)
    members = [{name: ordered(one[name]) for name in _MEMBER} for one in values["members"]]
    return {
        "version": release.version, "parent": release.parent,
        "created_at": release.created_at.astimezone(UTC).isoformat(),
        "purpose": release.purpose, "reason": release.reason, "notes": release.notes,
        "members": members, "evidence": ordered(release.evidence),
    }  # fmt: skip


def _hash(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _member(value: Any) -> Member:
    given = _object(value, "A member")
    if given.keys() != set(_MEMBER):
        odd = sorted(given.keys() ^ set(_MEMBER))[0]
        raise ReleaseError(f"A member has {', '.join(_MEMBER)}, and nothing else: see {odd!r:.80}.")
    if not isinstance(given["measured"], list):
        raise ReleaseError("measured must be a list of measurements.")
    plain = {name: clean(given[name]) for name in _MEMBER}
    return Member(**{**plain, "measured": tuple(plain["measured"])})


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ReleaseError(f"{what} must be an object of names and values, not {value!r:.80}.")
    return value

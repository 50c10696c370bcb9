"""The whole history in one file that can be read, kept in Git and read in on another machine.

Releases stand oldest first, in a fixed order and with one value on a line, so that a new one is a
block of new lines. The file is written beside and renamed. Nothing that is in it is dropped by
writing it anew: what it holds and this machine does not know must be imported first.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from workbench.errors import ReleaseError
from workbench.releases import _check
from workbench.releases._diff import diff
from workbench.releases._document import (
    KIND,
    SCHEMA,
    content_digest,
    from_document,
    moment,
    ordered,
    schema,
    to_document,
)
from workbench.releases._keep import add, current, history, stored, switches, within
from workbench.releases._records import Release, Switch
from workbench.store import clean

FILE = "workbench.releases.json"
_KINDS = "workbench releases"
_MOST_BYTES = 64 << 20
_MOST = 10_000  # releases, and switches


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """What a file holds: releases from the oldest on, switches from the newest on."""

    releases: tuple[Release, ...]
    switches: tuple[Switch, ...] = ()
    current: str = ""  # in use where it was written


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of reading a file in, by version."""

    added: tuple[str, ...]
    known: tuple[str, ...]
    current: str  # in use where it was written; it is not taken into use here


def write_file(path: Path | str) -> Path:
    """Write the whole history to `path` (a folder gets `workbench.releases.json`); the file.

    Raises ReleaseError where a file is there that is none of ours, that holds a release which is
    not known here or differs, or where it cannot be written.
    """
    file = _place(path)
    known = read_file(file) if file.exists() else ReleaseFile(())
    releases = sorted(history(), key=lambda one: one.created_at)
    mine = {one.version: one for one in releases}
    for other in known.releases:
        if other.version not in mine:
            raise ReleaseError(
                f"{file} holds the release {other.version}, which is not known here. Import it "
                f"first, so that it is not lost: workbench versions import {file.name}"
            )
        _refuse_other(other, mine[other.version], file.name)
    used = current()
    moves = {_key(one): one for one in (*known.switches, *switches())}
    document = {
        "kind": _KINDS,
        "schema": SCHEMA,
        "current": used.version if used else "",
        "releases": [to_document(one) for one in releases],
        "switches": [_move(one) for one in sorted(moves.values(), key=lambda one: one.at)],
    }
    _write(file, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return file


def read_file(path: Path | str) -> ReleaseFile:
    """What a file of releases, or of one exported release, holds. Raises ReleaseError."""
    file = _place(path)
    given = _json(file)
    if not isinstance(given, dict):
        raise ReleaseError(f"{file.name} holds no releases.")
    try:
        if given.get("kind") == KIND:
            return ReleaseFile((from_document(given, file.name),))
        if given.get("kind") != _KINDS:
            raise ReleaseError(f'it must say "kind": "{_KINDS}".')
        schema(given)
        releases = [from_document(one, file.name) for one in _list(given, "releases")]
        twice = _twice(one.version for one in releases)
        if twice:
            raise ReleaseError(f"it has the release {twice} twice.")
        moves = sorted(map(_moved, _list(given, "switches")), key=lambda one: one.at, reverse=True)
        used = given.get("current")
        used = _check.version(used) if used else ""
    except ReleaseError as error:
        raise ReleaseError(f"{file.name} cannot be read: {error}") from None
    return ReleaseFile(tuple(releases), tuple(moves), used)


def import_file(path: Path | str) -> Imported:
    """Add the releases that are not known here, all or none; none is taken into use.

    Raises ReleaseError for a file that cannot be read, and where a release of the same version
    with another content is here: releases never change.
    """
    file = _place(path)
    found = read_file(file)
    added: list[str] = []
    known: list[str] = []
    with within(None) as s:
        for one in found.releases:
            mine = stored(s, one.version)
            if mine is None:
                add(s, one)
                added.append(one.version)
            else:
                _refuse_other(one, mine, file.name)
                known.append(one.version)
    return Imported(tuple(added), tuple(known), found.current)


def _refuse_other(theirs: Release, mine: Release, file: str) -> None:
    if content_digest(theirs) == content_digest(mine):
        return
    roles = [row.words for row in diff(mine, theirs).changed]
    texts = [
        name
        for name in ("parent", "purpose", "reason", "notes", "evidence", "created_at")
        if getattr(mine, name) != getattr(theirs, name)
    ]
    told = "; ".join([*roles, *texts]) or "how its models were made"
    raise ReleaseError(
        f"The release {mine.version} is here with another content than in {file}: {told[:500]}. "
        "Releases never change: give one of both another version where it was made."
    )


def _place(path: Path | str) -> Path:
    given = Path(path).expanduser()
    return given / FILE if given.is_dir() else given


def _json(file: Path) -> Any:
    try:
        if not file.is_file() or file.stat().st_size > _MOST_BYTES:
            raise ReleaseError(
                f"{file} is no file of releases, or larger than {_MOST_BYTES >> 20} MB."
            )
        text = file.read_text(encoding="utf-8")
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except OSError as error:
        raise ReleaseError(f"{file} cannot be read ({error.strerror}). Check it.") from None
    except (ValueError, RecursionError) as error:
        raise ReleaseError(
            f"{file.name} is no JSON ({error}). If Git left marks of a conflict in it, keep the "
            "releases of both sides and remove the marks."
        ) from None


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    twice = _twice(name for name, _ in pairs)
    if twice:
        raise ValueError(f"{twice!r:.80} is there twice in one object")
    return dict(pairs)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _twice(names: Iterable[str]) -> str:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), "")  # type: ignore[func-returns-value]


def _list(given: dict[str, Any], name: str) -> list[Any]:
    found = given.get(name, [])
    if not isinstance(found, list) or len(found) > _MOST:
        raise ReleaseError(f"{name} must be a list of at most {_MOST:,}.")
    return found


def _key(one: Switch) -> tuple[str, ...]:
    return one.at.isoformat(), one.version, one.before, one.why


def _move(one: Switch) -> dict[str, Any]:
    return {
        "at": one.at.isoformat(), "version": one.version, "before": one.before, "why": one.why,
        "vectors": ordered(one.vectors),
    }  # fmt: skip


def _moved(value: Any) -> Switch:
    names = [one.name for one in fields(Switch)]
    if not isinstance(value, dict) or value.keys() != set(names):
        raise ReleaseError(f"A switch has {', '.join(names)}, and nothing else.")
    if not isinstance(value["why"], str) or not isinstance(value["vectors"], dict):
        raise ReleaseError("A switch has a text why and an object vectors.")
    before = _check.version(value["before"]) if value["before"] else ""
    _check.shallow(value["vectors"])
    plain = clean({"why": value["why"], "vectors": value["vectors"]})
    return Switch(moment(value["at"]), _check.version(value["version"]), before, **plain)


def _write(file: Path, text: str) -> None:
    """Beside, to the disk, and renamed: a kill leaves the old file or the new one."""
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("x", encoding="utf-8", newline="\n") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ReleaseError(
            f"{file} cannot be written ({error.strerror}). Choose a folder that is yours."
        ) from None

"""What a release may hold. It is asked of those that are made here and of those from files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.errors import InvalidRequest, ReleaseError
from workbench.protocol import ModelName
from workbench.releases._records import ROLES, SOURCES, Member, Release

RESERVED = ("current", "previous")  # what `find` takes in place of a version
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ROLE = re.compile(r"(?:domain|task):[a-z0-9][a-z0-9._-]{0,63}")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOST_MEMBERS = 64
_MOST_WORDS = 20_000  # characters of a text
_DEEPEST = 40  # objects and lists in each other
_MOST_BYTES = 4 << 20  # of a whole release
_MOST = 2**53  # the largest whole number that every reader of JSON keeps


def check(release: Release) -> Release:
    """The release as it is. Raises ReleaseError for what it may not hold."""
    version(release.version)
    if release.parent:
        version(release.parent)
    roles = [one.role for one in release.members]
    if not 1 <= len(roles) <= _MOST_MEMBERS:
        raise ReleaseError(
            f"A release has between 1 and {_MOST_MEMBERS} models, not {len(roles)}. Give at least "
            "the model of the role primary."
        )
    twice = next((role for role in roles if roles.count(role) > 1), None)
    if twice is not None:
        raise ReleaseError(f"A release has one model for a role, and {twice!r:.80} is given twice.")
    for member in release.members:
        _member(member)
    _one_version(release)
    for name in ("purpose", "reason", "notes", "source"):
        _text(getattr(release, name), name, _MOST_WORDS)
    _mapping(release.evidence, "evidence")
    parts: list[Any] = [release.evidence, *(one.how for one in release.members)]
    parts += [list(one.measured) for one in release.members]
    if len(_json(parts)) > _MOST_BYTES:
        raise ReleaseError(
            f"The release {release.version} holds more than {_MOST_BYTES >> 20} MB of evidence. "
            "Keep figures and hashes in it, and files beside it."
        )
    return release


def shallow(value: Any) -> None:
    """Raise ReleaseError for lists and objects that are nested too deeply to be worked with."""
    level, deep = [value], 0
    while level:
        deep += 1
        if deep > _DEEPEST:
            raise ReleaseError(f"A release nests its values at most {_DEEPEST} deep.")
        level = [
            inner
            for one in level
            if isinstance(one, Mapping | list | tuple)
            for inner in (one.values() if isinstance(one, Mapping) else one)
        ]


def version(text: object) -> str:
    """A version's name. Raises ReleaseError."""
    if not isinstance(text, str) or not _VERSION.fullmatch(text) or text in RESERVED:
        raise ReleaseError(
            f"{text!r:.80} cannot name a release. Use up to 64 letters, digits, '.', '_' and '-', "
            "such as v0.2."
        )
    return text


def role(text: object) -> str:
    """A role's name. Raises ReleaseError."""
    if text in ROLES or (isinstance(text, str) and _ROLE.fullmatch(text)):
        return str(text)
    raise ReleaseError(
        f"{text!r:.80} is no role. Roles are {', '.join(ROLES)}, domain:NAME and task:NAME, with "
        "small letters in NAME."
    )


def alias(text: object) -> str:
    """An alias that no role has. Raises ReleaseError."""
    if not isinstance(text, str) or not _ALIAS.fullmatch(text) or text in (*ROLES, *RESERVED):
        raise ReleaseError(
            f"{text!r:.80} cannot be an alias. Use small letters, digits, '_' and '-', such as "
            f"candidate; {', '.join((*ROLES, *RESERVED))} are taken."
        )
    return text


def model_name(text: object) -> str:
    """The name of a model. Raises ReleaseError."""
    try:
        if isinstance(text, str) and len(text) <= 256:
            ModelName.parse(text)
            return text
    except InvalidRequest:
        pass
    raise ReleaseError(f"{text!r:.80} cannot be a model's name. Write it as the engine lists it.")


def digest(text: object) -> str:
    """64 hex digits without a prefix. Raises ReleaseError."""
    bare = text.lower().removeprefix("sha256:") if isinstance(text, str) else ""
    if not _DIGEST.fullmatch(bare):
        raise ReleaseError(
            f"{text!r:.80} is no digest: 64 hexadecimal digits are one. `workbench models list "
            "--json` shows those of the installed models."
        )
    return bare


def _member(one: Member) -> None:
    role(one.role)
    model_name(one.model)
    if digest(one.digest) != one.digest:
        raise ReleaseError(f"The digest of {one.model} must be written bare and in small letters.")
    _text(one.quantisation, "quantisation", 64)
    _text(one.parameter_size, "parameter_size", 64)
    _whole(one.size, "size")
    for name in ("context", "embedding"):
        if getattr(one, name) is not None:
            _whole(getattr(one, name), name)
    if one.source not in SOURCES:
        raise ReleaseError(f"source must be one of {', '.join(SOURCES)}, not {one.source!r:.80}.")
    _mapping(one.how, "how")
    if isinstance(one.measured, str | bytes) or not isinstance(one.measured, Sequence):
        raise ReleaseError("measured must be a list of measurements.")
    for row in one.measured:
        _mapping(row, "a measurement")


def _one_version(release: Release) -> None:
    """An engine has one model of a name, so a release names one version of it."""
    digests: dict[str, str] = {}
    for one in release.members:
        key = ModelName.parse(one.model).key()
        if digests.setdefault(key, one.digest) != one.digest:
            raise ReleaseError(
                f"The release has two versions of {one.model}, and an engine holds one of a name. "
                "Give one of them another name: `workbench models copy`."
            )


def _text(value: object, what: str, most: int) -> None:
    if not isinstance(value, str) or len(value) > most:
        raise ReleaseError(f"{what} must be a text of at most {most:,} characters.")


def _whole(value: object, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise ReleaseError(f"{what} must be a whole number of 0 or more, not {value!r:.80}.")


def _mapping(value: object, what: str) -> None:
    if not isinstance(value, Mapping):
        raise ReleaseError(f"{what} must be an object of names and values, not {value!r:.80}.")


def _json(value: Any) -> str:
    try:
        return json.dumps(value, default=dict)
    except (TypeError, ValueError, RecursionError):
        raise ReleaseError("A release holds plain JSON: texts, numbers, lists, objects.") from None

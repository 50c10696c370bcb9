"""Spaces as YAML files: those that ship, and a user's own.

A file says what a space is (docs/tuning.md); `include` names shipped spaces whose parameters and
rules it begins with. Files of others are read as plain data: small, without aliases and tags, each
key once; scalars by the core rules of YAML 1.2, so that `no` and `12:30` stay texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from workbench.errors import TuneError
from workbench.settings import home
from workbench.space._known import shown
from workbench.space._space import Space
from workbench.texts import nearest

_DATA = Path(__file__).parent / "data"
_MOST_BYTES = 1 << 18
_DEEPEST = 8
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,3})?")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


def spaces() -> list[Space]:
    """The spaces that ship, and those in `<home>/spaces` that can be read."""
    return list((_shipped() | _own()[0]).values())


def find_space(name: str | Path) -> Space:
    """The space of this name, or of this YAML file. Raises TuneError, with near names."""
    text = str(name)
    if isinstance(name, Path) or "/" in text or text.endswith((".yaml", ".yml")):
        return _read(Path(text))
    if text in _shipped():
        return _shipped()[text]
    own, errors = _own()
    if text not in own and text in errors:
        raise errors[text]
    if text not in own:
        raise TuneError(f"There is no space {text[:60]!r}.{nearest(text, own | _shipped())}")
    return own[text]


def _own() -> tuple[dict[str, Space], dict[str, TuneError]]:
    """The user's spaces by name, and what is wrong with the others by their files' names.

    A name that ships stays ours, since studies of one name must be comparable.
    """
    found: dict[str, Space] = {}
    errors: dict[str, TuneError] = {}
    for path in sorted((home() / "spaces").glob("*.y*ml")):
        try:
            one = _read(path)
            if one.name in found or one.name in _shipped():
                raise TuneError(f"{path}: the name {one.name} is taken. Choose another.")
            found[one.name] = one
        except TuneError as error:
            errors[path.stem] = error
    return found, errors


@cache
def _shipped() -> dict[str, Space]:
    order = ("quick", "general", "code", "creative", "analysis", "speed", "everything")
    files = sorted(_DATA.glob("*.yaml"), key=lambda one: (one.stem not in order, one.stem))
    found = {one.stem: _read(one) for one in files}
    return {name: found.pop(name) for name in order} | found


def _read(path: Path) -> Space:
    """The space of a file. Raises TuneError, with the file."""
    given = _data(path)
    try:
        if not isinstance(given, dict):
            raise TuneError("A space is a mapping with parameters.")
        include = given.pop("include", None)
        parts = [_included(one) for one in (include if isinstance(include, list) else [include])]
        for key in ("parameters", "rules"):
            own = given.get(key) or []
            if isinstance(own, list):
                given[key] = [one for part in parts for one in part[key]] + own
        return Space.of({"name": path.stem, **given})
    except TuneError as error:
        raise TuneError(f"{path}: {error}") from None


def _included(name: Any) -> dict[str, Any]:
    """Parameters and rules of a space that ships; of None there are none."""
    if name is None:
        return {"parameters": [], "rules": []}
    names = {one.stem for one in _DATA.glob("*.yaml")}
    if not isinstance(name, str) or name not in names:
        raise TuneError(f"There is no space {shown(name)} to include.{nearest(name, names)}")
    given = _data(_DATA / f"{name}.yaml")
    if "include" in given:
        raise TuneError(f"The space {name} includes others itself. Name those instead.")
    return {key: given.get(key) or [] for key in ("parameters", "rules")}


def _data(path: Path) -> Any:
    """What a YAML file says. Raises TuneError with file, line and reason."""
    import yaml

    try:
        path = path.expanduser()
        if not path.is_file():
            raise TuneError(f"{path}: there is no such file.")
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise TuneError(f"{path}: a space's file has at most 256 KB.")
        return _built(yaml.parse(content.decode("utf-8-sig"), Loader=yaml.SafeLoader))
    except (OSError, UnicodeError, ValueError, RuntimeError) as error:  # the last of ~somebody
        raise TuneError(f"{path}: it cannot be read as UTF-8 text ({error}).") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "a character is not allowed"
        raise TuneError(f"{path}{line}: this is not YAML as it is used here: {reason}.") from None


def _built(events: Iterator[Any]) -> Any:
    """The data of YAML's events, which come one by one: what is nested too deeply is not read to
    its end. Raises MarkedYAMLError for what no space needs."""
    import yaml

    opened: list[tuple[bool, list[tuple[Any, Any]]]] = [(False, [])]  # a mapping?, values, marks
    for event in events:
        tag = getattr(event, "tag", None)
        _require(not isinstance(event, yaml.AliasEvent), "aliases (*name) are not followed", event)
        _require(tag in (None, "!"), f"the tag {str(tag)[:60]} has no meaning", event)
        if isinstance(event, yaml.CollectionStartEvent):
            _require(len(opened) <= _DEEPEST, "this is nested too deeply", event)
            opened.append((isinstance(event, yaml.MappingStartEvent), []))
        elif isinstance(event, yaml.CollectionEndEvent):
            mapping, items = opened.pop()
            values = [value for value, _ in items]
            opened[-1][1].append((_mapping(items) if mapping else values, event))
        elif isinstance(event, yaml.ScalarEvent):
            opened[-1][1].append((event.value if event.style else _plain(event.value), event))
    [(_, roots)] = opened
    if roots[1:]:
        _require(False, "a file is one space", roots[1][1])
    return roots[0][0] if roots else None


def _mapping(items: list[tuple[Any, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (key, event), (value, _) in zip(items[::2], items[1::2], strict=True):
        _require(isinstance(key, str), "a key must be a text", event)
        _require(key not in found, f"the key {key[:60]!r} is there twice", event)
        found[key] = value
    return found


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    return json.loads(text) if _NUMBER.fullmatch(text) else text


def _require(condition: bool, problem: str, event: Any) -> None:
    import yaml

    if not condition:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)

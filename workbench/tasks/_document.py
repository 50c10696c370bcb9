"""YAML files as plain data that remembers its lines, for errors that say where.

Scalars are read by the core rules of YAML 1.2, so `no`, `12:30` and `2024-01-01` stay the texts
they look like. Anchors' aliases, tags and keys that come twice are refused: nothing here needs
them, and aliases can blow a small file up. Nothing is constructed but texts, numbers, true,
false, null, lists and mappings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workbench.errors import TaskError

_MOST_BYTES = 1 << 20
_DEEPEST = 24
_INT = re.compile(r"[-+]?[0-9]{1,400}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?")
_HALF = re.compile("[\ud800-\udfff]")
_WORDS: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TAG = re.compile("tag:yaml.org,2002:(null|bool|int|float|str|seq|map|timestamp|merge|value)")

Place = tuple[str | int, ...]  # keys and positions from the document's root


@dataclass(frozen=True, slots=True)
class Document:
    """What a file, or a part of it, says, and on which line each part stands."""

    file: str
    value: Any
    lines: Mapping[Place, int] = field(default_factory=dict)
    at: Place = ()  # where this part stands in the file

    def part(self, *at: str | int) -> Document:
        """A part of this."""
        value = self.value
        for step in at:
            value = value[step]
        return replace(self, value=value, at=self.at + at)

    def line(self, *at: str | int) -> int | None:
        """The line of a part, or of the nearest one around it that has one."""
        place = self.at + at
        around = (place[:n] for n in range(len(place), -1, -1))
        return next((self.lines[one] for one in around if one in self.lines), None)

    def error(self, reason: str, *at: str | int) -> TaskError:
        """A TaskError about a part."""
        return TaskError(reason, self.file, self.line(*at))


def read_document(path: Path) -> Document:
    """The YAML file's data with its lines. Raises TaskError with file, line and reason."""
    import yaml

    file, lines = str(path), dict[Place, int]()
    try:
        if not path.is_file():
            raise TaskError("There is no such file.", file)
        if path.stat().st_size > _MOST_BYTES:
            raise TaskError("The file is larger than 1 MB. Put its samples in a JSONL.", file)
        text = path.read_bytes().decode("utf-8-sig")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            raise TaskError("The file is empty.", file)
        return Document(file, _value(root, (), lines, set()), lines)
    except (OSError, UnicodeError) as error:
        raise TaskError(f"It cannot be read as UTF-8 text ({error}).", file) from None
    except RecursionError:
        raise TaskError("Its lists or mappings are nested too deeply.", file) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = f"This is not YAML as it is used here: {error.problem or error.context}."
        raise TaskError(reason, file, mark.line + 1 if mark else None) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise TaskError(f"A character is not allowed: {error.reason}.", file, line) from None


def _value(node: Any, at: Place, lines: dict[Place, int], seen: set[int]) -> Any:
    """A node's data; notes the line of each key and entry. Raises MarkedYAMLError."""
    lines.setdefault(at, node.start_mark.line + 1)
    _require(
        id(node) not in seen, "aliases (*name) are not followed, write this out in each place", node
    )
    seen.add(id(node))
    _require(_TAG.fullmatch(node.tag), f"the tag {node.tag[:60]} has no meaning", node)
    if len(at) > _DEEPEST:
        raise RecursionError
    if node.id == "scalar":
        _require(not _HALF.search(node.value), "\\ud800 to \\udfff are no characters", node)
        return _scalar(node)
    if node.id == "sequence":
        return [_value(one, (*at, n), lines, seen) for n, one in enumerate(node.value)]
    found: dict[str, Any] = {}
    for key, one in node.value:
        _require(isinstance(key.value, str), "a key must be a text", key)
        _require(key.value not in found, f"the key {key.value[:60]!r} is there twice", key)
        lines[(*at, key.value)] = key.start_mark.line + 1
        found[key.value] = _value(one, (*at, key.value), lines, seen)
    return found


def _require(condition: object, problem: str, node: Any) -> None:
    import yaml

    if not condition:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _scalar(node: Any) -> Any:
    text: str = node.value
    if node.style is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text

"""How values are compared: conditions of `when`, rules between two settings, keys of points."""

from __future__ import annotations

import hashlib
import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.errors import TuneError
from workbench.space._known import is_number, part_of, shown

Point = Mapping[str, Any]  # values by name, of what applies
RELOADS = ("loading", "model", "training")  # parts of settings whose change loads a model anew

_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,12})?"
_CONDITION = re.compile(rf"(<=|>=|<|>) ?(-?{_NUMBER})")
_RULE = re.compile(rf"(\w{{1,40}}) (<=|>=) (?:({_NUMBER}) ?\* ?)?(\w{{1,40}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rule:
    """`small <= times * large`, wherever both apply."""

    small: str
    large: str
    times: float = 1.0

    @classmethod
    def of(cls, text: Any) -> Rule:
        """The rule that "num_batch <= num_ctx" or "alpha <= 4 * rank" says. Raises TuneError."""
        found = _RULE.fullmatch(text.strip()) if isinstance(text, str) else None
        times = float(found[3] or 1) if found else 0.0
        if found is None or not times:
            raise TuneError(
                f"A rule reads like num_batch <= num_ctx or alpha <= 4 * rank, not {shown(text)}."
            )
        if found[2] == "<=":
            return cls(found[1], found[4], times)
        return cls(found[4], found[1], 1 / times)

    def __str__(self) -> str:
        """As `of` reads it."""
        if self.times < 1:
            return f"{self.large} >= {1 / self.times:.10g} * {self.small}"
        return f"{self.small} <= {f'{self.times:.10g} * ' * (self.times != 1)}{self.large}"

    def limit(self, point: Point) -> float | None:
        """The most that `small` may be in this point; None where the rule says nothing."""
        if self.small not in point or not is_number(point.get(self.large)):
            return None
        return self.times * float(point[self.large])


def same(one: Any, other: Any) -> bool:
    """Whether two values are one: 1 is 1.0 but not true."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def meets(value: Any, condition: Any) -> bool:
    """Whether a value is what a `when` asks for: that value, or beyond a number ("> 0")."""
    found = _CONDITION.fullmatch(condition) if isinstance(condition, str) else None
    if found and is_number(value):
        return _COMPARED[found[1]](value, float(found[2]))
    return same(value, condition)


def compares(condition: Any) -> bool:
    """Whether a condition compares with a number."""
    return isinstance(condition, str) and _CONDITION.fullmatch(condition) is not None


def key_of(point: Point) -> str:
    """A short hash of a point. The order of its names plays no part, nor whether a whole number
    is written with a point; a value of None is as good as none. Raises TuneError."""
    plain = {name: _plain(name, value) for name, value in point.items() if value is not None}
    text = json.dumps(plain, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def load_key(point: Point, space: object = None) -> str:
    """The key of what a model is loaded with: points of equal ones can share a loaded model.

    Where a setting counts is known for every setting, so the space is not looked into.
    """
    return key_of({name: value for name, value in point.items() if part_of(name) in RELOADS})


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, str | bool):
        return value
    if not is_number(value):
        raise TuneError(f"{name[:60]} cannot be {shown(value)}: a value is a number, a text, "
                        "true or false.")  # fmt: skip
    return int(value) if value == int(value) else value

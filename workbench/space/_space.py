"""A space: parameters, what they depend on, and rules between them.

Points of a space hold the values of what applies, and nothing else. A value that breaks a rule is
lowered to the largest one that obeys it, so two draws can be the same point: `key_of` tells.
That there always is such a value is checked when the space is made.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.errors import TuneError
from workbench.space import _grid
from workbench.space._known import check_text, known_of, shown
from workbench.space._parameter import Parameter
from workbench.space._values import Point, Rule
from workbench.texts import nearest

_MOST = 64  # parameters
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,79}")
_KEYS = ("name", "title", "about", "parameters", "rules")


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched. Parameters come after those that they depend on. Raises TuneError."""

    name: str
    title: str
    about: str
    parameters: tuple[Parameter, ...]
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        """Check that it can be searched, and put its parameters and rules in order."""
        if not _NAME.fullmatch(self.name):
            raise TuneError("A space's name has letters, digits and _ . + - only, 80 at most.")
        if not 1 <= len(self.parameters) <= _MOST:
            raise TuneError(
                f"The space {self.name} has {len(self.parameters) or 'no'} parameters. "
                f"Give it 1 to {_MOST}."
            )
        names = [one.name for one in self.parameters]
        if twice := next((one for one in names if names.count(one) > 1), None):
            raise TuneError(f"The parameter {twice} is there twice.")
        object.__setattr__(self, "parameters", _in_order(self.parameters))
        object.__setattr__(self, "rules", _checked_rules(self.rules, self.parameters))

    @classmethod
    def of(cls, given: Any) -> Space:
        """The space that a file, or `to_json`, describes. Raises TuneError."""
        if not isinstance(given, Mapping):
            raise TuneError(f"A space is a mapping with parameters, not {shown(given)}.")
        for key in given:
            if key not in _KEYS:
                raise TuneError(f"A space has no {shown(key)}.{nearest(key, _KEYS)}")
        name = _text(given, "name", "own")
        parameters, rules = given.get("parameters") or (), given.get("rules") or ()
        if not all(isinstance(one, list | tuple) for one in (parameters, rules)):
            raise TuneError("The parameters and the rules of a space are lists.")
        if len(rules) > _MOST or len(parameters) > _MOST:
            raise TuneError(f"A space has at most {_MOST} parameters and {_MOST} rules.")
        return cls(
            name,
            _text(given, "title", name),
            _text(given, "about", ""),
            tuple(map(Parameter.of, parameters)),
            tuple(map(Rule.of, rules)),
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON object that `of` reads back."""
        return {
            "name": self.name,
            "title": self.title,
            "about": self.about,
            "parameters": [one.to_json() for one in self.parameters],
            "rules": [str(one) for one in self.rules],
        }

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides which points there are; not of its name and its texts."""
        facts = [one.to_json() | {"meaning": ""} for one in self.parameters]
        text = json.dumps([facts, [str(one) for one in self.rules]], sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return tuple(one.name for one in self.parameters)

    def parameter(self, name: str) -> Parameter:
        """The parameter of this name. Raises TuneError, with near names."""
        for one in self.parameters:
            if one.name == name:
                return one
        raise TuneError(f"The space {self.name} has no {str(name)[:60]!r}."
                        f"{nearest(name, self.names)}")  # fmt: skip

    def suggest(self, trial: Any) -> Point:
        """A point that an Optuna trial, or one like it, draws: only what applies is asked for.

        Where a rule lowers a value, the trial keeps what it drew; the point is what is measured.
        """
        point: dict[str, Any] = {}
        for one in self.parameters:
            if one.applies(point):
                point[one.name] = one.suggested(trial)
        return self._repaired(point)

    def default(self) -> Point:
        """What happens when nothing is tuned. What the engine decides is left out."""
        return self._completed({})

    def checked(self, values: Mapping[str, Any]) -> Point:
        """A whole point of these values: the others get their defaults, and what does not apply is
        left out. Raises TuneError for a name or value that is not in the space, or breaks a rule.
        """
        for name in values:
            self.parameter(name)
        given = {name: value for name, value in values.items() if value is not None}
        return self._completed(
            {one.name: one.taken(given[one.name]) for one in self.parameters if one.name in given}
        )

    def size(self) -> int | None:
        """How many points there are, rules counted; None: a range without steps has no number.

        Of a space whose rules and conditions hang together in more than 50,000 ways: at most.
        """
        return _grid.size(self.parameters, self.rules)

    def grid(self, most: int) -> Iterator[Point]:
        """Every point, the default first; of more than `most`, so many that lie evenly.

        The default may be none of the points: then `most` has to be `size() + 1` for all of them.
        """
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise TuneError(f"A grid has at least one point, not {shown(most)}.")
        return _grid.grid(self.parameters, self.rules, self.default(), self._repaired, most)

    def fixed(self, **values: Any) -> Space:
        """The same space with these settings held at these values; also settings that it did not
        search. What can no longer count is left out."""
        kept = {one.name: one for one in self.parameters}
        for name, value in values.items():
            one = kept.get(name) or Parameter(name, known_of(name).part, "choice", choices=(value,))
            kept[name] = replace(
                one, kind="choice", low=None, high=None, step=None, log=False,
                choices=(value,), default=value,
            )  # fmt: skip
        return self.of_parameters(still_possible(kept).values())

    def only(self, *names: str) -> Space:
        """The space of these parameters alone; the others stay at what happens without tuning."""
        kept = {name: self.parameter(name) for name in names}
        default = self.default()
        for name, one in kept.items():
            gone = {other: when for other, when in one.when.items() if other not in kept}
            if not replace(one, when=gone).applies(default):
                raise TuneError(
                    f"{name} counts only for some values of {' and '.join(gone)}. Keep that too, "
                    "or fix it."
                )
            when = {other: when for other, when in one.when.items() if other in kept}
            kept[name] = replace(one, when=when)
        return self.of_parameters(kept.values())

    def of_parameters(self, parameters: Iterable[Parameter]) -> Space:
        """This space with other parameters, and those of its rules that still are about two."""
        kept = tuple(parameters)
        names = {one.name for one in kept}
        rules = tuple(one for one in self.rules if {one.small, one.large} <= names)
        return replace(self, parameters=kept, rules=rules)

    def _completed(self, given: Mapping[str, Any]) -> Point:
        point: dict[str, Any] = {}
        for one in self.parameters:
            value = given.get(one.name, one.default)
            if value is not None and one.applies(point):
                point[one.name] = value
        return self._repaired(point, given)

    def _repaired(self, point: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Point:
        """The point with values lowered where they break a rule; TuneError for a `given` one."""
        repaired = dict(point)
        for rule in self.rules:
            limit = rule.limit(repaired)
            if limit is None or repaired[rule.small] <= limit:
                continue
            if given and rule.small in given:
                raise TuneError(
                    f"{rule.small} is {repaired[rule.small]:g} and {rule.large} "
                    f"{repaired[rule.large]:g}, but it must be that {rule}. Change one of them."
                )
            lower = self.parameter(rule.small).at_most(limit)
            if lower is None:  # beside a default that lies below the searched values
                del repaired[rule.small]
            else:
                repaired[rule.small] = lower
        return repaired


def _text(given: Mapping[str, Any], key: str, default: str) -> str:
    value = given.get(key)
    if value is None:
        return default
    check_text(f"A space's {key}", value, 2000)
    return str(value)


def _in_order(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Each after those that it depends on. Raises TuneError where that is not possible."""
    by_name = {one.name: one for one in parameters}
    for one in parameters:
        for other, conditions in one.when.items():
            if other not in by_name:
                reason = f"{one.name} depends on {other[:60]!r}, which is not in the space."
                raise TuneError(reason + nearest(other, by_name))
            for condition in conditions:
                if not by_name[other].can_meet(condition):
                    raise TuneError(
                        f"{one.name} counts only when {other} is {shown(condition)}, which it "
                        "never is."
                    )
    placed: dict[str, Parameter] = {}
    while len(placed) < len(by_name):
        ready = [
            n for n, one in by_name.items() if n not in placed and one.when.keys() <= {*placed}
        ]
        if not ready:
            circle = ", ".join(name for name in by_name if name not in placed)
            raise TuneError(f"These depend on each other in a circle: {circle}.")
        placed |= {name: by_name[name] for name in ready[:1]}
    return tuple(placed.values())


def _checked_rules(rules: Sequence[Rule], parameters: Sequence[Parameter]) -> tuple[Rule, ...]:
    """The rules, those first whose larger side no later one lowers. Raises TuneError."""
    by_name = {one.name: one for one in parameters}
    conditions = {name for one in parameters for name in one.when}
    for rule in rules:
        for name in (rule.small, rule.large):
            if name not in by_name:
                reason = f"The rule {rule} names {name!r}, which is not in the space."
                raise TuneError(reason + nearest(name, by_name))
        if rule.small in conditions:
            raise TuneError(
                f"The rule {rule} would change {rule.small}, which decides what else counts. "
                "Write that as when."
            )
        least, most = by_name[rule.small].lowest(), rule.times * by_name[rule.large].lowest()
        if least > most:
            raise TuneError(
                f"The rule {rule} cannot always be kept: {rule.small} is at least {least:g}, "
                f"and {rule.large} goes down to {by_name[rule.large].lowest():g}."
            )
    ordered: list[Rule] = []
    waiting = list(dict.fromkeys(rules))
    while waiting:
        lowered = {rule.small for rule in waiting}
        ready = [rule for rule in waiting if rule.large not in lowered]
        if not ready:
            raise TuneError(f"The rules go in a circle: {', '.join(map(str, waiting))}.")
        ordered += ready
        waiting = [rule for rule in waiting if rule not in ready]
    return tuple(ordered)


def still_possible(kept: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The parameters without conditions that can no longer be met, nor what hangs on those."""
    found = dict(kept)
    while True:
        for name, one in list(found.items()):
            when = {
                other: tuple(c for c in wanted if other in found and found[other].can_meet(c))
                for other, wanted in one.when.items()
            }
            if not all(when.values()):
                del found[name]
                break
            found[name] = replace(one, when=when)
        else:
            return found

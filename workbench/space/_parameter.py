"""One setting with the values that are searched.

A parameter is checked where it is made: its bounds lie within what the engine takes, its steps
reach from the lowest value to the highest, its choices are of their kind. The values of a range
with steps have numbers: `at(0)` is the lowest one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from workbench.errors import TuneError
from workbench.space._known import Part, check_text, is_number, known_of, shown, value_of
from workbench.space._values import Point, compares, meets, same
from workbench.texts import nearest

Kind = Literal["float", "int", "choice"]
_MOST_STEPS = 1_000_000
_MOST_CHOICES = 256
_MOST_CONDITIONS = 64
_DIGITS = 9  # decimals of a step that count in a value
_LONGEST = 1000  # characters of a meaning


@dataclass(frozen=True, slots=True)
class Parameter:
    """A setting to search. `default` is what counts when it is not tuned (None: the engine
    decides); it need not be among the searched values. `when` names other parameters: this one
    counts only where each of them has one of these values, or is beyond a number ("> 0").
    Raises TuneError for what makes no sense.
    """

    name: str
    part: Part
    kind: Kind
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False  # a factor counts alike everywhere, not a difference
    choices: tuple[Any, ...] = ()
    default: Any = None
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict, hash=False)
    meaning: str = ""

    def __post_init__(self) -> None:
        """Check it, and bring its values into the kind that the engine takes."""
        setting = known_of(self.name)
        if self.part != setting.part:
            raise TuneError(f"{self.name} belongs to {setting.part}, not to {shown(self.part)}.")
        if self.kind == "choice":
            self._check_choices()
        elif self.kind == setting.kind and self.kind in ("int", "float"):
            self._check_range()
        else:
            raise TuneError(f"{self.name} cannot be a range of {self.kind!s:.20}. Give choices.")
        if self.default is not None:
            self._set("default", value_of(self.name, self.default))
        check_text(f"The meaning of {self.name}", self.meaning, _LONGEST)
        self._set("meaning", self.meaning or setting.meaning)
        self._set("when", dict(self.when))

    @classmethod
    def of(cls, given: Any) -> Parameter:
        """The parameter that a file, or `to_json`, describes: with a name, and what is not as it
        usually is. Raises TuneError."""
        if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
            raise TuneError(f"A parameter is a mapping with a name, not {shown(given)}.")
        name, setting = given["name"], known_of(given["name"])
        taken = [one.name for one in fields(cls)]
        for key in given:
            if key not in taken:
                raise TuneError(f"{name}: {shown(key)} means nothing here.{nearest(key, taken)}")
        facts = {key: value for key, value in given.items() if value is not None}
        if "default" not in given:
            facts["default"] = setting.default
        if setting.kind == "bool" and not given.get("choices"):
            facts["choices"] = [False, True]
        facts["choices"] = _listed(name, "choices", facts.get("choices", ()))
        facts["when"] = _conditions(name, facts.get("when", {}))
        kind = "choice" if facts["choices"] else setting.kind
        return cls(**{"part": setting.part, "kind": kind, **facts})

    def to_json(self) -> dict[str, Any]:
        """As a JSON object that `of` reads back."""
        found: dict[str, Any] = {"name": self.name, "part": self.part, "kind": self.kind}
        if self.kind == "choice":
            found["choices"] = list(self.choices)
        else:
            found |= {"low": self.low, "high": self.high, "step": self.step, "log": self.log}
        when = {name: list(values) for name, values in self.when.items()}
        return found | {"default": self.default, "when": when, "meaning": self.meaning}

    @property
    def count(self) -> int | None:
        """How many values it has; None for a range without steps."""
        if self.kind == "choice":
            return len(self.choices)
        low, high = self._bounds()
        return round((high - low) / self.step) + 1 if self.step else None

    def at(self, number: int) -> Any:
        """The value of this number, from 0 to `count` - 1."""
        if self.kind == "choice":
            return self.choices[number]
        low, high = self._bounds()
        step = self.step or 1
        if self.kind == "int":
            return int(low + number * step)
        digits = _DIGITS - math.floor(math.log10(step))
        return min(max(round(low + number * step, digits), low), high)

    def share(self, part: float) -> Any:
        """The value at this part, from 0 to below 1, of the way from the lowest to the highest."""
        if self.count is not None and not self.log:
            return self.at(int(part * self.count))
        low, high = self._bounds()
        return self.tidy(low * (high / low) ** part if self.log else low + (high - low) * part)

    def tidy(self, value: Any) -> Any:
        """A value of the search without the noise in its last digits."""
        if self.kind == "choice":
            return value
        low, high = self._bounds()
        if self.step:
            number = round((value - low) / self.step)
            return self.at(min(max(number, 0), (self.count or 1) - 1))
        return min(max(float(f"{value:.6g}"), low), high)

    def suggested(self, trial: Any) -> Any:
        """A value that an Optuna trial, or one like it, draws."""
        if self.kind == "choice":
            return trial.suggest_categorical(self.name, list(self.choices))
        low, high = self._bounds()
        if self.kind == "int":
            step = int(self.step or 1)
            drawn = trial.suggest_int(self.name, int(low), int(high), step=step, log=self.log)
        else:
            drawn = trial.suggest_float(self.name, low, high, step=self.step, log=self.log)
        return self.tidy(drawn)

    def taken(self, value: Any) -> Any:
        """`value`, when it is one of the searched ones or the default. Raises TuneError."""
        value = value_of(self.name, value)
        if self.default is not None and same(value, self.default):
            return value
        if self.kind == "choice":
            if any(same(value, one) for one in self.choices):
                return value
            listed = ", ".join(map(shown, self.choices[:20]))
            raise TuneError(f"{self.name} is one of {listed} here, not {shown(value)}.")
        low, high = self._bounds()
        if not low <= value <= high:
            raise TuneError(f"{self.name} goes from {low:g} to {high:g} here, not to {value:g}.")
        near = self.tidy(value) if self.step else value
        if not math.isclose(near, value, abs_tol=1e-9):
            raise TuneError(
                f"{self.name} goes from {low:g} in steps of {self.step:g}. Take {near:g} instead "
                f"of {value:g}."
            )
        return near

    def lowest(self) -> float:
        """Its smallest value. Raises TuneError for values that are no numbers."""
        if self.kind != "choice":
            return self._bounds()[0]
        if not all(map(is_number, self.choices)):
            raise TuneError(f"{self.name} has values that are no numbers: no rule can compare it.")
        return float(min(self.choices))

    def highest(self) -> float:
        """Its largest value. Raises TuneError for values that are no numbers."""
        return self._bounds()[1] if self.kind != "choice" else max(self.lowest(), *self.choices)

    def at_most(self, limit: float) -> Any:
        """The largest of its values that is not above `limit`; None when all are above it."""
        if self.kind == "choice":
            return max((one for one in self.choices if one <= limit), default=None)
        low, high = self._bounds()
        if limit < low:
            return None
        if self.step is None:
            return min(float(limit), high)
        return self.at(min(math.floor((limit - low) / self.step + 1e-9), (self.count or 1) - 1))

    def can_meet(self, condition: Any) -> bool:
        """Whether one of the values, or the default, is what a `when` asks for."""
        if any(meets(one, condition) for one in (*self.choices, self.default) if one is not None):
            return True
        if self.kind == "choice":
            return False
        if compares(condition):
            return any(meets(one, condition) for one in self._bounds())
        try:
            return self.taken(condition) is not None
        except TuneError:
            return False

    def applies(self, point: Point) -> bool:
        """Whether it counts beside these values of the others."""
        return all(
            name in point and any(meets(point[name], one) for one in conditions)
            for name, conditions in self.when.items()
        )

    def _bounds(self) -> tuple[float, float]:
        assert self.low is not None and self.high is not None
        return self.low, self.high

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_choices(self) -> None:
        if (self.low, self.high, self.step, self.log) != (None, None, None, False):
            raise TuneError(f"{self.name} has choices: leave out low, high, step and log.")
        if not 1 <= len(self.choices) <= _MOST_CHOICES:
            raise TuneError(f"{self.name} needs 1 to {_MOST_CHOICES} choices.")
        values = tuple(value_of(self.name, one) for one in self.choices)
        for number, one in enumerate(values):
            if any(same(one, other) for other in values[:number]):
                raise TuneError(f"{self.name} has the choice {shown(one)} twice.")
        self._set("choices", values)

    def _check_range(self) -> None:
        name = self.name
        if self.choices:
            raise TuneError(f"{name} has choices, so its kind is choice.")
        if self.low is None or self.high is None:
            raise TuneError(f"{name} needs low and high, or choices.")
        low, high = value_of(name, self.low), value_of(name, self.high)
        if low > high:
            raise TuneError(f"{name} goes from {low:g} to {high:g}: low and high are swapped.")
        if not isinstance(self.log, bool):
            raise TuneError(f"{name}: log is true or false, not {shown(self.log)}.")
        step = self.step if self.kind == "float" or self.step is not None else 1
        if step is not None:
            _check_step(name, low, high, step, whole=self.kind == "int")
        if self.log and (low <= 0 or (step not in (None, 1) if self.kind == "int" else step)):
            raise TuneError(f"{name}: log needs a low above 0, and no step.")
        self._set("low", low)
        self._set("high", high)
        self._set("step", int(step) if self.kind == "int" and step else step)


def _check_step(name: str, low: float, high: float, step: Any, *, whole: bool) -> None:
    if not is_number(step) or step <= 0 or (whole and step != int(step)):
        what = "a whole number" if whole else "a number"
        raise TuneError(f"The step of {name} is {what} above 0, not {shown(step)}.")
    count = (high - low) / step
    if count > _MOST_STEPS and not whole:
        raise TuneError(f"{name} has more than a million steps. Leave the step out.")
    if not math.isclose(count, round(count), abs_tol=1e-6) or (count and not round(count)):
        last = low + math.floor(count) * step
        raise TuneError(
            f"{name} does not reach its high of {high:g} in steps of {step:g}. "
            f"Take {last:g} or {last + step:g}."
        )


def _listed(name: str, what: str, given: Any) -> tuple[Any, ...]:
    if not isinstance(given, list | tuple):
        raise TuneError(f"{name}: {what} is a list of values, not {shown(given)}.")
    return tuple(given)


def _conditions(name: str, given: Any) -> dict[str, tuple[Any, ...]]:
    if not isinstance(given, Mapping) or not all(isinstance(one, str) for one in given):
        raise TuneError(f"{name}: when names other parameters and their values.")
    found = {}
    for other, values in given.items():
        single = values if isinstance(values, list | tuple) else [values]
        if not 1 <= len(single) <= _MOST_CONDITIONS:
            raise TuneError(f"{name}: when needs 1 to {_MOST_CONDITIONS} values of {other[:60]}.")
        if not all(isinstance(one, str | bool) or is_number(one) for one in single):
            raise TuneError(f"{name}: when {other[:60]} is a number, a text, true or false.")
        found[other] = tuple(single)
    return found

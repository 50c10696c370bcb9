"""Templates with drawn values: Jinja texts and expressions over what a `let` block draws.

A value of `let` is `3..9` or `10..90/5` (a whole number of the range, in steps), `= n * price` (an
expression over the values before it), the name of a list (one of its entries, none twice in a
block), a list (one of its entries), a text with `{{ }}` (filled in), or a constant. Entries are
filled in, too. Templates see `words(n)`, `ints(n, low, high)` and the like for arguments of
functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any, ClassVar

from workbench.errors import TaskError
from workbench.tasks.generators._chance import TRIES, Chance

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?:/(\d+))?")


@lru_cache(maxsize=1)
def _loader() -> Any:
    """A safe loader for which `no`, `on` and dates are texts, as in YAML 1.2."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        yaml_implicit_resolvers: ClassVar = {
            first: [pair for pair in pairs if not pair[0].endswith((":bool", ":timestamp"))]
            for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), ["t", "f"])
    return Loader


@lru_cache(maxsize=32)
def data(name: str) -> Any:
    """What `data/templates/NAME.yaml` says. Callers must not change it."""
    import yaml

    path = files("workbench.tasks") / "data" / "templates" / f"{name}.yaml"
    if re.fullmatch(r"\w+", name) is None or not path.is_file():
        raise TaskError(f"There are no templates called {name!r}.")
    return yaml.load(path.read_text(encoding="utf-8"), _loader())  # noqa: S506 - it is safe


def long_date(day: date) -> str:
    """2 March 2031: written by us, since `strftime` follows the machine's language."""
    return f"{day.day} {data('lists')['month'][day.month - 1]} {day.year}"


def plain(number: float) -> str:
    """3 of 3.0 and 0.25 of 0.25: no more digits than needed, up to six."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def ordinal(n: int) -> str:
    """1st, 2nd, 3rd, 4th, …"""
    ending = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(plain=plain, ordinal=ordinal, repr=repr, long_date=long_date)
    environment.filters["a"] = lambda word: f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
    environment.filters["grouped"] = "{:,}".format
    environment.filters["weekday"] = lambda day: data("lists")["weekday"][day.weekday()]
    environment.globals.update(date=date, days=timedelta, min=min, max=max, sorted=sorted)
    return environment


@lru_cache(maxsize=4096)
def _template(text: str) -> Any:
    return _environment().from_string(text)


@lru_cache(maxsize=4096)
def _expression(text: str) -> Any:
    return _environment().compile_expression(text, undefined_to_none=False)


def fill(text: str, known: Mapping[str, Any]) -> str:
    """The text with its `{{ }}` filled in."""
    return str(_template(text).render(known)) if "{" in text else text


def evaluate(spec: Any, known: Mapping[str, Any]) -> Any:
    """What `= expression`, a text with `{{ }}`, or lists and mappings of these come to."""
    if isinstance(spec, Mapping):
        return {key: evaluate(value, known) for key, value in spec.items()}
    if isinstance(spec, list):
        return [evaluate(value, known) for value in spec]
    if not isinstance(spec, str):
        return spec
    return _expression(spec[2:])(**known) if spec.startswith("= ") else fill(spec, known)


def arguments(chance: Chance) -> dict[str, Callable[..., Any]]:
    """What templates may call to draw on the spot."""
    nouns: Sequence[str] = data("lists")["noun"]

    def letters(n: int, alphabet: str = "abcde") -> str:
        return "".join(chance.pick(alphabet) for _ in range(n))

    def ints(n: int, low: int = -9, high: int = 9) -> list[int]:
        return [chance.between(low, high) for _ in range(n)]

    return {
        "words": lambda n: chance.some(nouns, n),
        "text": lambda n: " ".join(chance.some(nouns, n)),
        "letters": letters,
        "ints": ints,
        "int": chance.between,
        "distinct": lambda n, low, high: chance.some(range(low, high + 1), n),
        "pick": chance.pick,
        "shuffled": chance.shuffled,
    }


def settle(
    let: Mapping[str, Any], chance: Chance, lists: Mapping[str, Any], need: str = ""
) -> dict[str, Any]:
    """The values of a `let` block, drawn until `need` holds."""
    for _ in range(TRIES):
        known: dict[str, Any] = dict(arguments(chance))
        taken: dict[str, list[Any]] = {}
        for name, spec in let.items():
            known[name] = _draw(spec, chance, lists, taken, known)
        if not need or _expression(need)(**known):
            return known
    raise TaskError(f"No values were found for which {need!r} holds.")


def _draw(
    spec: Any,
    chance: Chance,
    lists: Mapping[str, Any],
    taken: dict[str, list[Any]],
    known: Mapping[str, Any],
) -> Any:
    if isinstance(spec, str) and (span := _RANGE.fullmatch(spec)):
        low, high, step = span.groups()
        return chance.between(int(low), int(high), int(step or 1))
    if isinstance(spec, str) and spec in lists:
        left = [item for item in lists[spec] if item not in taken.setdefault(spec, [])]
        taken[spec].append(drawn := chance.pick(left))
        return evaluate(drawn, known)
    return evaluate(chance.pick(spec) if isinstance(spec, list) else spec, known)

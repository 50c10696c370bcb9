"""What a source can be told: known names, right kinds of values; anything else is an error."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from workbench.documents._records import Ask
from workbench.errors import GatherError
from workbench.texts import nearest


def chosen(ask: Ask, *, none: tuple[str, ...] = (), **defaults: Any) -> SimpleNamespace:
    """The options with the defaults' names and types. Raises GatherError for any other.

    Numbers are above 0, those named in `none` may be 0. Where the default is a tuple, a text or a
    list of texts is taken, as they come from JSON.
    """
    found = SimpleNamespace(**defaults)
    for name, value in ask.options.items():
        if name not in defaults:
            raise GatherError(f"There is no option {name!r} here.{nearest(name, defaults)}")
        wanted = defaults[name]
        if isinstance(wanted, tuple):
            value = (value,) if isinstance(value, str) else value
            if not isinstance(value, list | tuple) or any(not isinstance(v, str) for v in value):
                raise GatherError(f"The option {name!r} is a list of texts, not {value!r}.")
            value = tuple(value)
        elif type(value) is not type(wanted) or (type(value) is int and value < (name not in none)):
            least = "of at least" if name in none else "above"
            example = f"a number {least} 0 (default {wanted})"
            kind = {bool: "true or false", int: example, str: "a text"}[type(wanted)]
            raise GatherError(f"The option {name!r} is {kind}, not {value!r}.")
        setattr(found, name, value)
    return found

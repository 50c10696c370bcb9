"""Options that several commands share: `--engine URL`, `-o key=value`, `--keep-alive`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.protocol import Option

engine_option = click.option(
    "--engine",
    "url",
    metavar="URL",
    help="The engine's address (default: the configured one, a local Ollama, our own).",
)
model_options = click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the model, such as temperature=0.2; can be repeated.",
)
keep_alive_option = click.option(
    "--keep-alive", metavar="TIME", help="How long the model stays loaded: 10m, 0, -1 (for ever)."
)


def open_engine(url: str | None) -> Engine:
    """The engine at `url`, else the one in use (started when it has to be)."""
    from workbench.engines import connect

    return connect(url)


def keep_alive_value(text: str | None) -> str | float | None:
    """What the protocol wants: a number of seconds, or a duration with its unit."""
    try:
        return float(text) if text else None
    except ValueError:
        return text


def parse_options(pairs: Iterable[str]) -> dict[str, Any]:
    """`key=value` texts as the protocol's options. Raises UsageError with the nearest name."""
    from workbench.errors import InvalidRequest
    from workbench.protocol import option_from_text

    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise click.UsageError(f"Options are written key=value, not {pair!r}.")
        option = _find(name.strip())
        try:
            value = option_from_text(option.name, text)
        except InvalidRequest as error:
            raise click.UsageError(f"-o {pair}: {error}.") from None
        values[option.name] = (
            [*values.get(option.name, []), value] if option.kind == "list" else value
        )
    return values


def _find(name: str) -> Option:
    from workbench.protocol import OPTIONS

    if name in OPTIONS:
        return OPTIONS[name]
    from difflib import get_close_matches

    near = get_close_matches(name, OPTIONS, n=1)
    advice = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(sorted(OPTIONS))}."
    raise click.UsageError(f"There is no option {name!r}. {advice}")


def settings_of(pairs: Iterable[str]) -> dict[str, Any]:
    """`key=value` texts: numbers, true, false and null as in JSON, else words; `a,b` is a list."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise click.UsageError(f"--set is written key=value, not {pair!r}.")
        found[key.strip()] = _value(text.strip())
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if text.lower() == "none":
            return None
        return [part.strip() for part in text.split(",") if part.strip()] if "," in text else text

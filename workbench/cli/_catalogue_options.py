"""Options that the catalogue's commands share: which machine, loaded how, which sources."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli._output import note

if TYPE_CHECKING:
    from workbench.cards import Card
    from workbench.catalogue import Catalogue
    from workbench.engines import Engine
    from workbench.fit import Load

_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Amount(click.ParamType[float]):
    """A number of 0 or more with a unit: 7B parameters, 8GB, 32k tokens."""

    name = "amount"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        match = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)\s*([KMBGT]?)i?B?", str(value).strip(), re.I)
        number = float(match[1]) * _UNITS[match[2].upper()] if match else math.nan
        if not math.isfinite(number):
            self.fail(f"{str(value)[:40]!r} is not an amount such as 7B, 8GB or 32k.", param, ctx)
        return number


machine_option = click.option(
    "--machine",
    metavar="NAME",
    default="this",
    show_default=True,
    help='The machine to ask about: "gpu-24gb", "2x24GB", "16 GB laptop"; `workbench hardware '
    "--profiles` lists the named ones.",
)
folder_option = click.option(
    "--folder",
    "folders",
    multiple=True,
    type=Path,
    help="Look for models in this folder as well; can be repeated.",
)


def load_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--context, --slots, --cache-type, --batch, --gpu-layers: how a model is to be loaded."""
    options: Sequence[Decorator] = (
        click.option("--context", type=Amount(), help="Tokens per answer (default 4096)."),
        click.option("--slots", type=click.IntRange(1, 1024), help="Answers at the same time."),
        click.option(
            "--cache-type", type=click.Choice(["f16", "q8_0", "q4_0"]), help="Of the KV cache."
        ),
        click.option("--batch", type=click.IntRange(1, 65536), help="Prompt tokens at once."),
        click.option("--gpu-layers", type=click.IntRange(-1), help="Layers on the GPU; -1 is all."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def load_of(**given: Any) -> Load:
    """The load that these options ask for; what was not given is the engine's default."""
    from workbench.fit import Load

    known = {name: value for name, value in given.items() if value is not None}
    if "context" in known:
        known["context"] = int(known["context"])
        if not 1 <= known["context"] <= 2**31:
            raise click.BadParameter("--context is between 1 and 2147483648 tokens.")
    return Load(**known)


def running_engine(url: str | None) -> Engine | None:
    """The engine that answers, or None: the catalogue starts none. A named one must answer."""
    from workbench.engines import connect
    from workbench.errors import EngineUnreachable

    try:
        return connect(url, start=False)
    except EngineUnreachable:
        if url:
            raise
        return None


def open_catalogue(
    url: str | None, folders: Sequence[Path], live: Sequence[Card] = ()
) -> Catalogue:
    """All cards: shipped, installed, of the folders, live. What could not be read is noted."""
    from workbench.catalogue import gather

    engine = running_engine(url)
    try:
        found = gather(engine, folders, live)
    finally:
        if engine is not None:
            engine.close()
    for problem in found.problems:
        note(problem)
    return found

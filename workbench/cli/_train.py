"""`workbench train`: make a model learn, and put it to work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from workbench.cli import _output as out
from workbench.cli._options import settings_of
from workbench.cli._train_do import deploy, export, feedback, pause, resume, rm, stop
from workbench.cli._train_show import bases, compare, lineage, list_trainings, presets, show

if TYPE_CHECKING:
    from workbench.lineage import Training


@click.group()
def train() -> None:
    """Train models, from nothing or further, and put them into the engine."""


for _command in (
    list_trainings, show, stop, pause, resume, export, deploy, compare, lineage, bases, presets,
    feedback, rm,
):  # fmt: skip
    train.add_command(_command)

Options = Callable[[Callable[..., None]], Callable[..., None]]
_dataset = click.option("--dataset", required=True, help="What it learns from.")
_base = click.option("--base", required=True, metavar="MODEL",
                     help="Where it begins: a model that was made here, or a folder.")  # fmt: skip
_preset = click.option("--preset", help="Settings that go together: workbench train presets.")
_set = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
                    help="One setting; can be repeated.")  # fmt: skip
_unpack = click.option("--dequantise", is_flag=True,
                       help="Begin with a GGUF's rounded weights.")  # fmt: skip
_RUN = (
    click.option("--name", required=True, help="Of the model that is made."),
    click.option("--quantize", "quantization", multiple=True, metavar="KIND",
                 help="Kinds of GGUF file, such as Q8_0; the first one is deployed."),
    click.option("--system", default="", help="What the model is told about its part."),
    click.option("--replace", is_flag=True, help="Replace a model that has this name."),
    click.option("--no-deploy", is_flag=True, help="Do not put it into the engine."),
    click.option("--force", is_flag=True, help="Also where it is expected not to fit."),
    click.option("--validation", type=click.FloatRange(0, 1, max_open=True), default=0.1,
                 show_default=True, help="Share to set aside where nothing is; 0: none."),
    click.option("--detach", is_flag=True, help="Do not wait for the job."),
    out.json_option,
)  # fmt: skip
_DIALS = (
    click.option("--depth", type=click.IntRange(1), help="Layers: the dial from which the rest "
                 "follows."),
    click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Of training."),
    click.option("--steps", type=click.IntRange(1), help="Of training, instead of minutes."),
)  # fmt: skip


def _all(*options: Any) -> Options:
    def add(function: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            function = option(function)
        return function

    return add


@train.command()
@_all(_dataset, *_DIALS, _set, *_RUN)
def base(settings: Sequence[str], **given: Any) -> None:
    """Make a model from nothing: its own tokens, its own weights."""
    dials = {key: value for key in ("depth", "minutes", "steps") if (value := given.pop(key))}
    _start("base", {**dials, **settings_of(settings)}, **given)


@train.command()
@_all(_dataset, _base, _unpack, _preset, _set, *_RUN)
def finetune(preset: str | None, settings: Sequence[str], **given: Any) -> None:
    """Train a model further on a dataset: an adapter (LoRA), or all weights."""
    _start("finetune", _chosen("finetune", preset, settings), **given)


@train.command()
@_all(_dataset, _base, _unpack, _preset, _set, *_RUN)
def preferences(preset: str | None, settings: Sequence[str], **given: Any) -> None:
    """Train a model towards the better of two answers (DPO)."""
    _start("preferences", _chosen("preferences", preset, settings), **given)


@train.command()
@click.argument("recipe", type=click.Choice(["base", "finetune", "preferences"]))
@_all(_dataset, click.option("--base", default="", metavar="MODEL", help="Where it begins."),
      _unpack, _preset, *_DIALS, _set, out.json_option)  # fmt: skip
def estimate(
    recipe: str, preset: str | None, settings: Sequence[str], as_json: bool, **given: Any
) -> None:
    """Say what a training would take. Ends with 1 where it cannot fit."""
    from workbench import train as room

    dials = {key: value for key in ("depth", "minutes", "steps") if (value := given.pop(key))}
    if recipe == "base":
        chosen: Any = {**dials, **settings_of(settings), **({"preset": preset} if preset else {})}
    elif dials:
        raise click.UsageError("--depth, --minutes and --steps are for the recipe base.")
    else:
        chosen = _chosen(recipe, preset, settings)
    price = room.estimate(recipe, settings=chosen, **given)
    if as_json:
        out.emit(price.to_json())
    else:
        show_price(price.to_json())
    if not price.fits:
        raise click.exceptions.Exit(1)


def show_price(price: dict[str, Any]) -> None:
    """A price tag."""
    out.facts(
        (
            ("time", _between(out.duration_text, price, "seconds")),
            ("memory", _between(out.size_text, price, "memory")),
            ("disk", out.size_text(price["disk"])),
            ("steps", f"{price['steps']:,}"),
            ("tokens", f"{price['tokens']:,}"),
            ("from", price["basis"]),
            ("fits", "yes" if price["fits"] else f"no: {price['why']}"),
            ("instead", "; ".join(price["instead"])),
        )
    )


def _between(write: Callable[[float], str], price: dict[str, Any], name: str) -> str:
    low, high = price[f"{name}_low"], price[f"{name}_high"]
    return f"{write(price[name])} ({write(low)} to {write(high)})"


def _start(
    recipe: str,
    settings: Any,
    *,
    name: str,
    dataset: str,
    replace: bool,
    no_deploy: bool,
    detach: bool,
    as_json: bool,
    **given: Any,
) -> None:
    from workbench import data
    from workbench import train as room
    from workbench.cli._jobs import follow, told
    from workbench.jobs import get

    if not replace and not no_deploy and not as_json and sys.stdin.isatty():
        replace = _may_replace(name)
    asked = data.find(dataset).digest
    run = room.submit(
        recipe, dataset=dataset, name=name, settings=settings, replace=replace,
        deploy=not no_deploy, **given,
    )  # fmt: skip
    if detach:
        told(get(run.job), as_json)
        return
    if not as_json:
        _announce(run, asked)
    job = follow(get(run.job), as_json)
    if not as_json:
        for words in job.result["words"]:
            click.echo(out.neutralise(words))
        told_name = "" if no_deploy else f" Talk to it: workbench chat {run.name}"
        click.echo(out.neutralise(f"{run.name} is made (training {run.id}).{told_name}"))


def _announce(run: Training, asked: str) -> None:
    """What was begun, and what it is expected to take; `asked` is the digest of the dataset that
    was named."""
    if asked != run.dataset:
        out.note(f"A part is set aside and not learnt from: {run.data}.")
    price = dict(run.price or {})
    after = f" after {run.base}" if run.base else ""
    takes = f", about {out.duration_text(price['seconds'])}" if price.get("seconds") else ""
    memory = f" and {out.size_text(price['memory'])} of memory" if price.get("memory") else ""
    out.note(f"Training {run.id}: {run.recipe}{after} on {run.data}{takes}{memory}.")


def _may_replace(name: str) -> bool:
    """Ask, where there is a model of this name. Ends the command where the answer is no."""
    from workbench.engines import connect
    from workbench.export import checked_name, find_model

    with connect() as engine:
        known = find_model(engine, checked_name(name)) is not None
    if known:
        words = f"There is a model {name} already. Replace it when this one is ready?"
        click.confirm(out.neutralise(words), abort=True)
    return known


def _chosen(recipe: str, preset: str | None, pairs: Sequence[str]) -> dict[str, Any]:
    """The preset (the recipe's own where none was named) with what was set."""
    from workbench.train import PRESETS

    return {"preset": preset or PRESETS[recipe], **settings_of(pairs)}

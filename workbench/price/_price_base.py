"""The price of a model from nothing, by a few of its own updates (`pretrain.base_price`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from workbench import hardware
from workbench.learn import Settings
from workbench.pretrain import base_price, base_settings
from workbench.price._memory import Shape, memory, operations
from workbench.price._probe import Probe, keep, known
from workbench.price._raw import GUESSED_SPEED, HOPELESS, Raw, disk_of, gigabytes

if TYPE_CHECKING:
    from workbench.data import Dataset
    from workbench.pretrain import BaseSettings

_CHARACTERS = 4  # of a token, where nothing was read yet
_KINDS = ("Q8_0",)


def raw_base(settings: BaseSettings, dataset: Dataset, measure: bool) -> Raw:
    """The numbers before correction. Raises TrainingError."""
    given = {**asdict(settings), "method": "full"}
    asked = {
        "recipe": "base", "base": {"digest": ""}, "settings": given, "dataset": dataset.digest
    }  # fmt: skip
    exact, like, then = known(asked)
    guess, (total, free) = _memory(settings), hardware.memory()
    if exact is None and measure and guess * HOPELESS < total:
        told = base_price(settings, dataset)
        if told["probed"]:
            much = {name: int(told[name]) for name in ("steps", "tokens")}
            per_token = told["seconds"] / much["tokens"]
            exact = Probe(much, per_token, int(told["memory"]))
            keep(asked, exact)
    found, how, words = exact, "tried", "updates tried here"
    if found is None and like:
        found, how = _like(settings, dataset, like, then), "like"
        words = "updates of other sizes tried here"
    elif found is None:
        found, how, words = _guessed(settings, dataset), "guessed", "the model's shape"
    seconds = found.seconds * found.amount["tokens"]
    off = found.memory / guess
    return Raw(
        kind=f"base {settings.optimizer}", learning=seconds, around=0.0, memory=found.memory,
        disk=disk_of(settings.parameters, _KINDS, settings.parameters),
        steps=found.amount["steps"], tokens=found.amount["tokens"], basis=words,
        how=how, free=free, total=total,
        instead=tuple(_instead(settings, off, free)),
    )  # fmt: skip


def _like(settings: BaseSettings, dataset: Dataset, found: Probe, then: Mapping[str, Any]) -> Probe:
    """A probe of other sizes, with the differences computed."""
    before = base_settings(**{k: v for k, v in then["settings"].items() if k != "method"})
    guess = _guessed(settings, dataset)
    speed = _operations(settings) / _operations(before)
    taken = max(guess.memory // 2, found.memory + guess.memory - _memory(before))
    return replace(guess, seconds=found.seconds * speed, memory=taken)


def _guessed(settings: BaseSettings, dataset: Dataset) -> Probe:
    """From the shape alone."""
    speed = GUESSED_SPEED * hardware.usable_cores()[0]
    seconds = _operations(settings) / speed
    learnt = settings.passes * dataset.characters // _CHARACTERS
    steps = settings.steps or max(1, min(settings.tokens, learnt) // settings.batch)
    if settings.minutes is not None:
        steps = max(1, int(60 * settings.minutes / (seconds * settings.batch)))
    much = {"steps": steps, "tokens": steps * settings.batch}
    return Probe(much, seconds, _memory(settings))


def _shape(settings: BaseSettings) -> Shape:
    return Shape(
        settings.parameters, settings.depth, settings.width, settings.inner, settings.heads,
        settings.key_value_heads, settings.width // settings.heads, settings.vocab_size,
    )  # fmt: skip


def _operations(settings: BaseSettings) -> float:
    return operations(_shape(settings), Settings(method="full"), settings.context)


def _memory(settings: BaseSettings) -> int:
    """As of a full fine-tuning; the logits exist as a whole."""
    like = Settings(method="full", gradient_checkpointing=False)
    parts = memory(_shape(settings), like, settings.batch, bf16=True, free=0)
    logits = 14 * settings.batch * settings.vocab_size
    return sum({**parts, "logits": logits}.values())


def _instead(settings: BaseSettings, off: float, free: int) -> Iterator[str]:
    """What would fit, the gentlest change first; `off`: how far the guess was from the truth."""
    batch = max(settings.context, settings.batch // 4)
    kept = {"optimizer": settings.optimizer, "precision": settings.precision}
    depths = dict.fromkeys((settings.depth // 2, settings.depth // 4, 4, 1))
    changes = {f"batch={batch}": replace(settings, batch=batch)} if batch < settings.batch else {}
    changes |= {
        f"depth={depth}": base_settings(depth=depth, **kept)
        for depth in depths
        if 0 < depth < settings.depth
    }
    for words, other in changes.items():
        taken = off * _memory(other)
        if taken < free:
            yield f"{words} ({gigabytes(taken)})"

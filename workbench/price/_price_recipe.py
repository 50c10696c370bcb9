"""The price of training on from a base model: guessed from its shape, then tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench import hardware
from workbench.bases import Base
from workbench.learn import Settings
from workbench.price._memory import Shape, memory, operations, shape_of
from workbench.price._probe import Probe, TooMuch, keep, known, probe
from workbench.price._raw import GUESSED_SPEED, HOPELESS, Raw, disk_of, gigabytes
from workbench.recipes import Amount, amount

if TYPE_CHECKING:
    from workbench.data import Dataset

# what decides how long an update takes and how much memory
_DECIDES = (
    "method", "batch", "accumulation", "context", "packing", "rank", "dropout", "targets",
    "precision", "gradient_checkpointing",
)  # fmt: skip
_MOST = 0.95  # of the free memory that a probe may take
_ENCODED = 6  # bytes of a token that is held, and which row it is in
# Rows that are not packed have many lengths: freed memory fits the next batch seldom, so that a
# training comes to take 1.05 to 1.2 times what its first updates did (docs/benchmarks/training.md).
_RAGGED = 0.2  # more, of what is beyond the libraries
_LIBRARIES = 550 << 20  # bytes
_PAUSE, _SHARE = 30.0, 30  # seconds between two checkpoints, as trainings have it (`learn`)
# where it could not be tried:
_WRITES = 2e8  # bytes a second, to the disk and back
_READS = 2e5  # tokens a second, out of examples
_START = 12.0  # seconds, with a model of no size
_COPIES = 3  # of the weights: two that are read and one that is written
_FORWARD = {True: 0.45, False: 0.33}  # of an update's time: with an adapter, of all weights
_CARD = 400 << 20  # what a graphics card's runtime takes


def raw_recipe(recipe: str, settings: Settings, base: Base, dataset: Dataset, measure: bool) -> Raw:
    """The numbers before correction. Raises TrainingError, DataError."""
    pricing = _Pricing(recipe, settings, base, dataset)
    exact, like, then = known(pricing.asked)
    if exact is not None:
        return pricing.of(exact)
    if not measure:
        return pricing.like(like, then) if like else pricing.guessed("the model's shape")
    if pricing.guess * HOPELESS > pricing.total:
        return pricing.guessed("the model's shape, since it is far too large to be tried")
    try:
        found = probe(pricing.asked, int(_MOST * pricing.free))
    except TooMuch as error:
        tried = replace(
            pricing.guessed("a first update, which took too much memory"),
            memory=max(pricing.guess, round(1.1 * error.memory)),
        )
        return replace(tried, instead=tuple(pricing.instead(tried.memory / pricing.guess)))
    keep(pricing.asked, found)
    return pricing.of(found)


class _Pricing:
    """One price: what is asked, and what follows from the base model's shape."""

    def __init__(self, recipe: str, settings: Settings, base: Base, dataset: Dataset) -> None:
        self.recipe, self.settings, self.base, self.dataset = recipe, settings, base, dataset
        self.shape: Shape = shape_of(base)
        card = next((one for one in hardware.gpus() if one.vendor == "nvidia"), None)
        self.card = card if card and not card.shared else None
        self.total, self.free = hardware.memory()
        if self.card:
            self.total = self.card.memory_total or 0
            self.free = self.card.memory_free or self.total
        self.guess = self._memory(settings)

    @property
    def asked(self) -> dict[str, Any]:
        """What is tried; equal wherever it would take as long."""
        given = self.settings.to_json()
        return {
            "recipe": self.recipe,
            "base": self.base.to_json(),
            "dataset": self.dataset.digest,
            "settings": {name: given[name] for name in _DECIDES},
        }

    def of(self, found: Probe) -> Raw:
        """From a probe of just this."""
        words = f"{found.steps} updates tried here in {found.precision}"
        return self._raw(Amount(**found.amount), found, found.memory, words, "tried")

    def like(self, found: Probe, then: Mapping[str, Any]) -> Raw:
        """From a probe of this base with other sizes or data: the differences are computed."""
        before = _Pricing(
            self.recipe, Settings(**_plain(then["settings"])), self.base, self.dataset
        )
        taken = max(self.guess // 2, found.memory + self.guess - before.guess)
        words = "updates of other sizes tried here"
        return self._raw(self._amount(), found, taken, words, "like")

    def guessed(self, words: str) -> Raw:
        """From the shape alone."""
        cores = hardware.usable_cores()[0]
        settings = self.settings
        length = min(settings.context, self.base.context or settings.context)
        speed = GUESSED_SPEED * cores if self.card is None else 1e14
        token = operations(self.shape, settings, length) / speed
        precision = "bf16" if self._bf16(settings) else "fp32"
        learnt = self.shape.adapter(settings.rank) if settings.adapter else self.shape.parameters
        much, forward = self._amount(), _FORWARD[settings.adapter] * token
        found = Probe(
            {}, token, self.guess, precision, start=_START + 4 * self.shape.parameters / _WRITES,
            reading=much.tokens / _READS, looking=forward, asking=forward,
            saving=12 * learnt / _WRITES,
        )  # fmt: skip
        return self._raw(much, found, self.guess, words, "guessed")

    def _amount(self) -> Amount:
        return amount(self.recipe, self.base, self.dataset, self.settings)

    def _raw(self, much: Amount, found: Probe, memory: int, words: str, how: str) -> Raw:
        settings = self.settings
        learning = found.warm + much.all_computed(settings) * found.seconds
        forward = min(found.looking, found.seconds)  # never as slow as an update
        looking = much.validations(settings) * much.validated(settings) * forward
        around = found.start + found.reading + looking + much.asked(settings) * found.asking
        around += found.saving * _checkpoints(much, settings, learning + looking, found.saving)
        writing = found.writing
        if writing is None:
            writing = _COPIES * 4 * self.shape.parameters / _WRITES
        return Raw(
            kind=f"{self.recipe} {settings.method} {settings.precision}",
            learning=learning, around=around + writing,
            memory=memory + self._ragged(memory) + _ENCODED * much.tokens,
            disk=disk_of(
                self.shape.parameters, settings.quantization,
                self.shape.adapter(settings.rank) if settings.adapter else self.shape.parameters,
            ),
            steps=much.steps(settings), tokens=much.all_tokens(settings), basis=words, how=how,
            free=self.free, total=self.total, instead=tuple(self.instead(memory / self.guess)),
        )  # fmt: skip

    def _ragged(self, memory: int) -> int:
        """What rows of many lengths come to take beside; a graphics card's memory is kept tidy."""
        if self.settings.packing or self.card is not None:
            return 0
        return round(_RAGGED * max(0, memory - _LIBRARIES))

    def _memory(self, settings: Settings) -> int:
        context = min(settings.context, self.base.context or settings.context)
        tokens = settings.batch * context * (2 if self.recipe == "preferences" else 1)
        bf16 = self._bf16(settings)
        parts = memory(self.shape, settings, tokens, bf16=bf16, free=self.free)
        if self.card:
            parts["process"] = _CARD
        return sum(parts.values())

    def _bf16(self, settings: Settings) -> bool:
        """Whether it will be trained in bf16, as far as that is known without trying."""
        if settings.precision != "auto":
            return settings.precision == "bf16"
        return self.card is not None or _short()

    def instead(self, off: float) -> Iterator[str]:
        """What would fit, the gentlest change first; `off`: how far the guess was from the
        truth."""
        for words, other in self._others():
            taken = off * self._memory(other)
            if taken < self.free:
                yield f"{words} ({gigabytes(taken)})"

    def _others(self) -> Iterator[tuple[str, Settings]]:
        now = self.settings
        batch, context = now.batch, min(now.context, self.base.context or now.context)
        changes: list[tuple[str, dict[str, Any]]] = []
        if batch > 1:
            more = min(1024, now.accumulation * batch)
            small = {"batch": 1, "accumulation": more}
            changes.append((f"batch=1, accumulation={more}, which learns the same", small))
        if now.gradient_checkpointing is False:
            again = {"gradient_checkpointing": True}
            changes.append(("gradient_checkpointing=true, which is slower", again))
        if context > 256:
            changes.append((f"context={context // 2}", {"context": context // 2}))
        if not now.adapter:
            changes.append(("method=lora", {"method": "lora"}))
        if len(changes) > 1:
            least: dict[str, Any] = {
                "method": "lora" if not now.adapter else now.method, "batch": 1,
                "accumulation": min(1024, now.accumulation * batch),
                "context": min(context, 256), "gradient_checkpointing": True,
            }  # fmt: skip
            changes.append((f"all of it: {_said(least)}", least))
        for words, change in changes:
            yield words, replace(now, **change)


def _checkpoints(much: Amount, settings: Settings, seconds: float, saving: float) -> float:
    """How many there will be beside the last one, which belongs to the writing: the first update,
    each that was best where those are kept, and from time to time."""
    best = much.validations(settings) if settings.patience else 0
    if settings.checkpoint_every:
        return 1 + best + much.steps(settings) // settings.checkpoint_every
    return 1 + best + int(seconds / max(_PAUSE, _SHARE * saving))


def _said(change: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={str(value).lower()}" for name, value in change.items())


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}


def _short() -> bool:
    """Whether this processor multiplies in 16 bits, which trainings then do."""
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(hardware.machine().instruction_sets))

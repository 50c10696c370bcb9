"""The settings of the base recipe, all of which follow from one of them: `depth`, the layers.

| depth      | 1-4   | 5-8    | 9-12   | 13-16  |                                                  |
|------------|-------|--------|--------|--------|--------------------------------------------------|
| width      | 256   | 512    | 768    | 1,024  | 64 a layer, in steps that K-quants need          |
| heads      | 4     | 8      | 12     | 16     | of 64 features; half as many of keys and values  |
| inner      | 768   | 1,536  | 2,048  | 2,816  | 8/3 of the width, as gated networks have it      |
| vocab_size | 4,096 | 8,192  | 16,384 | 32,768 | an embedding that is a part, not most of it      |
| context    | 512   | 1,024  | 2,048  | 2,048  | an update reads several rows of it               |
| batch      | 4,096 | 16,384 | 36,864 | 65,536 | tokens of an update, more where more is learnt   |

It learns from 20 tokens for each parameter (Hoffmann et al., 2022), but reads no text more than
`passes` times: repeated, texts teach less and less (Muennighoff et al., 2023). Muon's rate holds
for every width, since its updates are orthogonal; AdamW's falls with the width. Depths up to 6 were
measured at a width of 256 (docs/starter.md); the others follow the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from workbench.errors import TrainingError
from workbench.pretrain._optimizer import MATRIX_RATE, OTHER_RATE
from workbench.pretrain._tokenizer import SMALLEST_VOCABULARY
from workbench.texts import nearest

_BLOCK, _LAYERS_PER_BLOCK, _HEAD = 256, 4, 64
_TOKENS_PER_PARAMETER = 20
_ADAM_RATE = 3e-3  # at a width of one block
_WHOLE = {
    "depth": (1, 48),
    "width": (_BLOCK, 8192),
    "heads": (1, 128),
    "key_value_heads": (1, 128),
    "inner": (_BLOCK, 32_768),
    "vocab_size": (SMALLEST_VOCABULARY, 65_536),
    "context": (64, 8192),
    "batch": (64, 1 << 22),
    "tokens": (1, 10**12),
    "passes": (1, 1000),
    "steps": (1, 10_000_000),
    "patience": (1, 1000),
    "seed": (0, 2**32 - 1),
}
_REAL = {
    "minutes": (0.01, 100_000.0),
    "learning_rate": (1e-6, 1.0),
    "embedding_rate": (1e-6, 1.0),
    "weight_decay": (0.0, 1.0),
}
_ONE_OF: Mapping[str, tuple[str, ...]] = {
    "optimizer": ("muon", "adamw"),
    "precision": ("auto", "fp32", "bf16"),
}
_OPTIONAL = {"steps", "minutes", "patience"}


@dataclass(frozen=True, slots=True)
class BaseSettings:
    """All that decides a base model. `base_settings` makes one; made by hand, it is checked too."""

    depth: int
    width: int
    heads: int
    key_value_heads: int
    inner: int
    vocab_size: int  # at most: a small text has fewer words
    context: int  # tokens that the model can look at
    batch: int  # tokens of one update
    tokens: int  # to learn from in all, at most
    passes: int  # times that each text is read, at most
    steps: int | None  # instead of tokens: exactly so many updates
    minutes: float | None  # instead of both: as many as there is time for
    optimizer: str  # "muon" (with AdamW for embeddings and norms) or "adamw" for all
    learning_rate: float
    embedding_rate: float  # of embeddings and norms
    weight_decay: float
    precision: str  # "fp32", "bf16", or the quicker one here
    patience: int | None  # validations without a gain before it ends; None: never early
    seed: int

    def __post_init__(self) -> None:
        """Refuse what makes no sense, with what would."""
        for field in fields(self):
            _check(field.name, getattr(self, field.name))
        for name in ("width", "inner"):
            if getattr(self, name) % _BLOCK:
                raise TrainingError(
                    f"{name} must be a multiple of {_BLOCK}, or no K-quant can be made of the "
                    f"model: not {getattr(self, name)}."
                )
        if self.width % self.heads or self.width // self.heads % 2:
            raise TrainingError(
                f"heads must divide the width of {self.width} into even parts, which "
                f"{self.heads} does not. Try {self.width // _HEAD}."
            )
        if self.heads % self.key_value_heads:
            raise TrainingError(
                f"key_value_heads must divide heads ({self.heads}), which "
                f"{self.key_value_heads} does not. Try {max(1, self.heads // 2)}."
            )
        if self.steps is not None and self.minutes is not None:
            raise TrainingError("Give steps or minutes, not both: either ends the training.")

    @property
    def parameters(self) -> int:
        """Numbers that are learnt, with a full vocabulary."""
        return _parameters(asdict(self))


def base_settings(**given: Any) -> BaseSettings:
    """Settings of the base recipe: the dial `depth` (4) and what follows, overridden by `given`.

    What follows from a field that is given follows from the given one: a width has its heads.
    Raises TrainingError for an unknown field, with the nearest name, and for values out of range.
    """
    names = [field.name for field in fields(BaseSettings)]
    for name in given:
        if name not in names:
            raise TrainingError(f"The base recipe has no setting {name!r}.{nearest(name, names)}")
    found = {**_FREE, **given}
    for name, rule in _RULES.items():
        if name not in found:
            found[name] = rule(found)
        _check(name, found[name])
    return BaseSettings(**found)


def _blocks(found: Mapping[str, Any]) -> int:
    return -(-int(found["width"]) // _BLOCK)


def _adamw(found: Mapping[str, Any]) -> float:
    return _ADAM_RATE / _blocks(found)


def _parameters(found: Mapping[str, Any]) -> int:
    """Of a Llama of this shape whose embedding is also its head."""
    width, inner, depth = found["width"], found["inner"], found["depth"]
    narrow = width // found["heads"] * found["key_value_heads"]
    layer = 2 * width * (width + narrow) + 3 * width * inner + 2 * width
    return int(found["vocab_size"] * width + depth * layer + width)


_FREE: Mapping[str, Any] = {
    "depth": 4,
    "passes": 16,
    "steps": None,
    "minutes": None,
    "optimizer": "muon",
    "weight_decay": 0.1,
    "precision": "auto",
    "patience": 10,
    "seed": 0,
}
_RULES: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {  # each from those before it
    "depth": lambda found: found["depth"],
    "optimizer": lambda found: found["optimizer"],
    "width": lambda found: _BLOCK * -(-found["depth"] // _LAYERS_PER_BLOCK),
    "heads": lambda found: max(1, found["width"] // _HEAD),
    "key_value_heads": lambda found: max(1, found["heads"] // 2),
    "inner": lambda found: _BLOCK * -(-8 * found["width"] // (3 * _BLOCK)),
    "vocab_size": lambda found: min(32_768, 2048 << _blocks(found)),
    "context": lambda found: min(2048, 256 << _blocks(found)),
    "batch": lambda found: 4096 * _blocks(found) ** 2,
    "learning_rate": lambda found: _adamw(found) if found["optimizer"] == "adamw" else MATRIX_RATE,
    "embedding_rate": lambda found: (
        _adamw(found) if found["optimizer"] == "adamw" else OTHER_RATE / _blocks(found) ** 0.5
    ),
    "tokens": lambda found: _TOKENS_PER_PARAMETER * _parameters(found),
}


def _check(name: str, value: Any) -> None:
    """Raise TrainingError for a value that is not in the field's range."""
    if value is None and name in _OPTIONAL:
        return
    if name in _WHOLE:
        low, high = _WHOLE[name]
        if type(value) is not int or not low <= value <= high:
            raise TrainingError(
                f"{name} must be a whole number from {low} to {high}, not {value!r}."
            )
    elif name in _REAL:
        least, most = _REAL[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not least <= value <= most:  # NaN is in no range
            raise TrainingError(f"{name} must be a number from {least} to {most}, not {value!r}.")
    elif value not in _ONE_OF[name]:
        words = ", ".join(_ONE_OF[name])
        raise TrainingError(f"{name} must be one of {words}, not {value!r}.")

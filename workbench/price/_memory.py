"""What a training's memory is made of, from the model's shape and the settings alone.

A first guess, made before anything is loaded: it decides whether a probe may be tried at all, and
what would fit where the settings do not. A probe of the real step then takes its place.

| part        | bytes                                                                          |
|-------------|--------------------------------------------------------------------------------|
| process     | Python, PyTorch, Transformers and their threads                                |
| weights     | of the model, and of the adapter in fp32; with bf16 their copies for multiplying |
| gradients   | 4 for each weight that is learnt                                               |
| optimiser   | 8 for each: AdamW's two means                                                  |
| activations | kept for the way back: tokens x layers x (width, inner width)                  |
| logits      | a block of tokens x vocabulary: as computed, as fp32, and their gradient       |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.bases import Base
from workbench.errors import TrainingError
from workbench.learn import Settings

_PROCESS = 560 << 20
_NORMS = 16  # bytes a feature: what two norms keep, in fp32 whatever the precision
_FEATURES, _INNER = 5, 4  # numbers a feature, and an inner feature, that a layer keeps
_LOGITS = 4  # bytes of a logit beside its own: what its products need for a moment
_BLOCK = 1 << 23  # logits that exist at a time
_LARGEST_CONFIG = 4 << 20
_NAMES = {  # what configurations call the same thing
    "layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "width": ("hidden_size", "n_embd", "d_model"),
    "heads": ("num_attention_heads", "n_head", "num_heads"),
    "vocabulary": ("vocab_size",),
    "inner": ("intermediate_size", "n_inner", "ffn_dim"),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model's memory and time depend on; weights are counted, embeddings included."""

    parameters: int
    layers: int
    width: int
    inner: int
    heads: int
    key_value_heads: int
    head: int  # features of one
    vocabulary: int

    @property
    def keys(self) -> int:
        """Features of a token's keys, as of its values."""
        return self.key_value_heads * self.head

    @property
    def matrices(self) -> int:
        """Weights that a token is multiplied with, the head's among them."""
        queries = self.heads * self.head
        layer = self.width * (2 * queries + 2 * self.keys + 3 * self.inner)
        return self.layers * layer + self.vocabulary * self.width

    def adapter(self, rank: int) -> int:
        """Weights of a LoRA adapter on all matrices of the layers."""
        queries = self.heads * self.head
        sides = 2 * (self.width + queries) + 2 * (self.width + self.keys)
        return rank * self.layers * (sides + 3 * (self.width + self.inner))


def shape_of(base: Base) -> Shape:
    """The shape of a base model. Raises TrainingError for a configuration without one."""
    facts = _config(base.folder / "config.json")
    found = {name: _number(facts, names) for name, names in _NAMES.items()}
    layers, width, vocabulary = (found[name] for name in ("layers", "width", "vocabulary"))
    if not layers or not width or not vocabulary:
        raise TrainingError(
            f"{base.folder / 'config.json'} does not tell layers, width and vocabulary, so it is "
            "not known what training takes. Choose a language model's folder."
        )
    heads = found["heads"] or 1
    groups = _number(facts, ("num_key_value_heads",)) or heads
    head = _number(facts, ("head_dim",)) or max(1, width // heads)
    inner = found["inner"] or 4 * width
    return Shape(base.parameters, layers, width, inner, heads, groups, head, vocabulary)


def _config(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_CONFIG:
            raise ValueError("it is too large")
        facts = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"{path} cannot be read ({error}). Download the model again.") from None
    facts = facts if isinstance(facts, dict) else {}
    inner = facts.get("text_config")  # models that also see have one for the language part
    return {**facts, **inner} if isinstance(inner, dict) else facts


def _number(facts: Mapping[str, Any], names: tuple[str, ...]) -> int:
    """The first of these that is a number with a meaning; 0 for none."""
    for name in names:
        value = facts.get(name)
        if type(value) is int and 0 < value < 1 << 24:
            return value
    return 0


def memory(
    shape: Shape, settings: Settings, tokens: int, *, bf16: bool, free: int
) -> dict[str, int]:
    """Bytes by part, as in the table above, for batches of `tokens` in all.

    Whether activations are computed again follows, where the settings leave it open, from the
    memory that is `free`, as in the training.
    """
    number = 2 if bf16 else 4
    learnt = shape.adapter(settings.rank) if settings.adapter else shape.parameters
    layer = tokens * (
        (_NORMS + _FEATURES * number) * shape.width
        + 2 * number * shape.keys
        + _INNER * number * shape.inner
    )
    activations = layer * shape.layers
    again = settings.gradient_checkpointing
    if again is True or (again == "auto" and activations > free / 2):
        activations = layer + 4 * tokens * shape.width * shape.layers
    held = {"full": 4, "lora": number, "qlora": 0.6}[settings.method] * shape.parameters
    copies = number if bf16 and not settings.adapter else 0  # of weights, to multiply with
    own = 4 * learnt if settings.adapter else 0
    return {
        "process": _PROCESS,
        "weights": round(held + copies * shape.parameters + own),
        "gradients": 4 * learnt,
        "optimiser": 8 * learnt,
        "activations": activations,
        "logits": min(tokens * shape.vocabulary, _BLOCK) * (number + _LOGITS)
        + (0 if settings.adapter else 4 * shape.vocabulary * shape.width),
    }


def operations(shape: Shape, settings: Settings, length: int) -> float:
    """Floating-point operations that learning one token takes.

    Twice the matrices forward and twice back to the activations; as much again for the weights'
    own gradients where all of them learn. Attention looks back over half of a row of `length`.
    """
    attention = 6 * shape.layers * shape.heads * shape.head * length
    return float((4 if settings.adapter else 6) * shape.matrices + attention)

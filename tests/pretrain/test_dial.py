"""One dial, and what follows from it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from workbench.errors import TrainingError
from workbench.pretrain import base_settings
from workbench.pretrain._model import new_model


@pytest.mark.parametrize("depth", range(1, 49))
def test_every_depth_has_a_shape_that_quantises(depth: int) -> None:
    found = base_settings(depth=depth)
    assert found.width % 256 == found.inner % 256 == 0
    assert found.width // found.heads == 64 and found.heads % found.key_value_heads == 0
    assert found.tokens == 20 * found.parameters and found.batch % found.context == 0
    assert base_settings(**asdict(found)) == found
    deeper = base_settings(depth=min(48, depth + 1))
    assert deeper.parameters >= found.parameters
    assert deeper.embedding_rate <= found.embedding_rate


def test_parameters_are_those_of_the_network() -> None:
    found = base_settings(depth=2, heads=8, key_value_heads=2, vocab_size=600)
    model = new_model(600, 2, 64, width=found.width, heads=8, key_value_heads=2, inner=found.inner)
    assert found.parameters == model.num_parameters()


def test_what_follows_follows_from_what_is_given() -> None:
    wide = base_settings(depth=2, width=512)
    assert (wide.heads, wide.inner, wide.vocab_size) == (8, 1536, 8192)
    assert base_settings(heads=2).key_value_heads == 1
    assert base_settings(optimizer="adamw", width=768).learning_rate == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"deepth": 3}, "no setting 'deepth'. Did you mean depth"),
        ({"lerning_rate": 3}, "Did you mean learning_rate"),
        ({"depth": 0}, "depth must be a whole number from 1 to 48"),
        ({"depth": "4"}, "depth must be a whole number"),
        ({"depth": None}, "depth must be a whole number"),
        ({"depth": True}, "depth must be a whole number"),
        ({"width": 300}, "multiple of 256"),
        ({"width": "wide"}, "width must be a whole number"),
        ({"inner": 1000}, "multiple of 256"),
        ({"heads": 3}, "heads must divide the width of 256 .* Try 4"),
        ({"heads": 256}, "heads must be a whole number"),
        ({"key_value_heads": 3}, "key_value_heads must divide heads"),
        ({"optimizer": "sgd"}, "optimizer must be one of muon, adamw"),
        ({"optimizer": []}, "optimizer must be one of"),
        ({"precision": None}, "precision must be one of"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number from"),
        ({"learning_rate": -1}, "learning_rate must be a number from"),
        ({"minutes": True}, "minutes must be a number"),
        ({"steps": 3, "minutes": 3}, "steps or minutes, not both"),
        ({"vocab_size": 10}, "vocab_size must be a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        base_settings(**given)

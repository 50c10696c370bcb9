"""Settings and presets: the ranges, the names, the user's own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import TrainingError
from workbench.learn import Settings, presets, settings_of


def test_the_three_presets_are_exactly_as_they_were_asked_for() -> None:
    wanted = {
        "efficient": (2e-5, 2, 2, 50),
        "balanced": (1e-5, 4, 3, 100),
        "high_quality": (5e-6, 8, 5, 200),
    }
    for name, numbers in wanted.items():
        found = settings_of(name)
        assert (found.learning_rate, found.batch, found.epochs, found.warmup_steps) == numbers
        assert found.method == "full"


def test_every_preset_says_what_it_is_for() -> None:
    for name, one in presets().items():
        assert len(one["about"]) > 20, name
        assert isinstance(settings_of(name), Settings)


def test_adapters_differ_by_rank() -> None:
    ranks = [settings_of(name).rank for name in ("lora-small", "lora", "lora-large")]
    assert ranks == [8, 16, 64]
    assert settings_of().adapter
    assert not settings_of("balanced").adapter


def test_any_field_is_overridden() -> None:
    found = settings_of("balanced", method="lora", epochs=1, targets=["q_proj", "v_proj"])
    assert (found.method, found.epochs, found.learning_rate) == ("lora", 1.0, 1e-5)
    assert found.targets == ("q_proj", "v_proj")
    mixed = settings_of({"preset": "lora-small", "seed": 7}, batch=3)
    assert (mixed.rank, mixed.seed, mixed.batch) == (8, 7, 3)
    assert settings_of({}) == Settings()


def test_settings_survive_the_store() -> None:
    one = settings_of("small-data", quantization=("q4_k_m", "F16", "Q4_K_M"), targets="q_proj")
    assert one.quantization == ("Q4_K_M", "F16")
    assert settings_of(json.loads(json.dumps(one.to_json()))) == one


def test_a_short_training_warms_up_for_half_of_it_at_most() -> None:
    one = settings_of("balanced")
    assert one.warmup(1000) == 100
    assert one.warmup(60) == 30
    assert replace(one, warmup_steps=0).warmup(60) == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"learning_rat": 1}, "Did you mean learning_rate"),
        ({"preset": "blanced"}, "Did you mean balanced"),
        ({"preset": 5}, "no preset"),
        ({"method": "lore"}, "lora, qlora, full"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number"),
        ({"learning_rate": "1e-4"}, "learning_rate must be a number"),
        ({"epochs": 0}, "epochs must be a number from 0.001"),
        ({"batch": 0}, "batch must be a whole number from 1"),
        ({"batch": 2.0}, "batch must be a whole number"),
        ({"batch": True}, "batch must be a whole number"),
        ({"batch": None}, "batch must be a whole number"),
        ({"packing": 1}, "packing must be one of true, false"),
        ({"gradient_checkpointing": "yes"}, "auto, true, false"),
        ({"targets": []}, "all-linear or names"),
        ({"targets": ["../../x"]}, "all-linear or names"),
        ({"targets": 5}, "all-linear or names"),
        ({"quantization": ["Q4_K_X"]}, "Did you mean Q4_K"),
        ({"quantization": []}, "kinds of GGUF"),
        ({"schedule": "x" * 10_000}, "cosine, linear, constant"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_does(given: dict[str, Any], said: str) -> None:
    with pytest.raises(TrainingError, match=said) as refused:
        settings_of(given)
    assert len(str(refused.value)) < 400


def test_the_users_own_presets_join_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    own = {"mine": {"about": "For my notes.", "rank": 4}, "balanced": {"batch": 1}}
    (tmp_path / "presets.json").write_text(json.dumps(own))
    assert settings_of("mine").rank == 4
    assert settings_of("balanced").batch == 1
    assert settings_of("efficient").batch == 2


@pytest.mark.parametrize(
    "text",
    ["[1]", "{", '{"mine": 5}', '{"mine": {"rang": 4}}', '{"mine": {"rank": -4}}', "[" * 100_000],
)
def test_a_damaged_file_of_presets_is_told(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    (tmp_path / "presets.json").write_text(text)
    with pytest.raises(TrainingError):
        settings_of("balanced")

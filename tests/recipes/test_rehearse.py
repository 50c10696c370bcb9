"""A training in small tells of each part, and counts what the training itself will compute."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench import lineage
from workbench.bases import find_base
from workbench.data import Dataset
from workbench.jobs import JobContext, Report
from workbench.learn import Settings, settings_of
from workbench.learn._rows import Rows, collate
from workbench.recipes import amount, finetune, rehearse
from workbench.recipes._amount import read_sample
from workbench.recipes._pairs import Pairs

MakeDataset = Callable[..., Dataset]
SETTINGS = Settings(batch=4, context=64, packing=False, precision="fp32", evaluate_every=3)


def test_what_is_computed_is_what_batches_hold(
    make_dataset: MakeDataset, tiny_folder: Path
) -> None:
    base, some = find_base(str(tiny_folder)), make_dataset("text", train=40, validation=9)
    for settings in (SETTINGS, settings_of(SETTINGS.to_json(), packing=True, context=96)):
        sample = read_sample("finetune", base, some, settings)
        rows, found = sample.learnt, sample.amount
        assert isinstance(rows, Rows) and found == amount("finetune", base, some, settings)
        order = [int(n) for n in rows.drawn(0)]
        batches = [
            collate([rows.row(n) for n in order[at : at + 4]]) for at in range(0, len(order), 4)
        ]
        assert found.computed == sum(batch["input_ids"].numel() for batch in batches)
        assert found.tokens == sum(int(batch["tokens"]) for batch in batches) < found.computed
    pairs = make_dataset("preference", "pairs", train=10, validation=3)
    sample = read_sample("preferences", base, pairs, SETTINGS)
    assert isinstance(sample.learnt, Pairs)
    order = sample.learnt.order(10, SETTINGS.seed)
    batches = [sample.learnt.batch(order[at : at + 4]) for at in (0, 4, 8)]
    assert sample.amount.computed == sum(batch["input_ids"].numel() for batch in batches)
    assert sample.amount.asked(SETTINGS) == sample.amount.tokens + sample.amount.held_out


def test_validations_are_counted(
    make_dataset: MakeDataset, tiny_folder: Path, tmp_path: Path
) -> None:
    dataset = make_dataset(train=24, validation=8)
    for steps in (6, 7):
        settings = settings_of(SETTINGS.to_json(), max_steps=steps)
        told: list[Report] = []
        run = lineage.begin("finetune", "x", dataset=dataset, base=str(tiny_folder),
                            settings=settings.to_json())  # fmt: skip
        done = finetune(JobContext("here", tmp_path, report=told.append), training=run.id)
        count = sum("validation_loss" in one.metrics for one in told)
        count += done["validation_loss_before"] is not None
        found = amount("finetune", find_base(str(tiny_folder)), dataset, settings)
        assert found.validations(settings) == count == 2 + -(-steps // 3) - 1
        assert found.validated(settings) == found.held_computed  # so few are all looked at
    assert amount("finetune", find_base(str(tiny_folder)), make_dataset(train=9),
                  settings).validations(settings) == 0  # fmt: skip


@pytest.mark.parametrize("recipe", ["finetune", "preferences"])
def test_every_part_is_told(
    recipe: str, make_dataset: MakeDataset, tiny_folder: Path, tmp_path: Path
) -> None:
    form = "preference" if recipe == "preferences" else "completion"
    dataset = make_dataset(form, train=24, validation=8)
    told: list[dict[str, Any]] = []
    rehearse(
        recipe, find_base(str(tiny_folder)), dataset, SETTINGS, most=20,
        enough=lambda updates, seconds: updates == 6, folder=tmp_path, since=time.time(),
        tell=lambda **facts: told.append(facts),
    )  # fmt: skip
    first, *updates, parts, last = told
    assert first["amount"]["rows"] == 24 and first["precision"] == "fp32"
    assert len(updates) == 6 and all(one["seconds"] > 0 for one in updates)
    assert updates[0]["computed"] == max(one["computed"] for one in updates)
    assert parts["start"] > 0 and parts["saving"] > 0 and parts["looking"] > 0
    assert (parts["asking"] > 0) == (recipe == "preferences")
    assert last["writing"] > 0 and (tmp_path / "model" / "model.safetensors").is_file()

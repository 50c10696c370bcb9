"""The base recipe: a dataset in, a model in the training's folder out, whatever happens between."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from data.kept_datasets import kept, text

from workbench import data, lineage
from workbench.data import Dataset
from workbench.errors import TrainingError
from workbench.jobs import JobCancelled, JobContext, Report
from workbench.lineage import Training
from workbench.pretrain import base_price, base_settings, pretrain
from workbench.pretrain._loop import Run
from workbench.pretrain._watch import Watch

SMALL: dict[str, Any] = {
    "depth": 1, "vocab_size": 512, "context": 64, "batch": 512, "steps": 6, "precision": "fp32",
}  # fmt: skip
SAID = "the model reads small words again and learns which of them follow each other"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other are slow where other tests run beside these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sentences(count: int, seed: int = 0) -> list[str]:
    chance = random.Random(seed)
    words = SAID.split()
    return [" ".join(chance.choices(words, k=60)) + "." for _ in range(count)]


def prose() -> Dataset:
    return kept([text(one) for one in sentences(60)], name="prose")


def begun(dataset: Dataset, **given: Any) -> Training:
    return lineage.begin("base", "mine", dataset=dataset, settings={**SMALL, **given})


class Told(JobContext):
    """Keeps what it is told, and is cancelled at a step if that is wanted."""

    def __init__(self, folder: Path, cut: int = 0) -> None:
        self.reports: list[Report] = []
        self.cut = cut
        super().__init__("here", folder, report=self.reports.append)

    @property
    def cancelled(self) -> bool:
        return bool(self.cut and self.curve and self.curve[-1]["step"] >= self.cut)

    def check_cancelled(self) -> None:
        if self.cancelled:
            raise JobCancelled

    @property
    def curve(self) -> list[dict[str, float]]:
        return [dict(one.metrics) for one in self.reports if "step" in one.metrics]


def weights(run: Training) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(run.folder / "model" / "model.safetensors")


def test_texts_become_a_model_that_every_tool_reads(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from workbench.gguf import convert, quantise

    run, job = begun(prose()), Told(tmp_path)
    measured = pretrain(job, training=run.id)
    assert lineage.find(run.id).measured == measured
    assert measured["steps"] == 6 and measured["tokens"] == 6 * 512
    assert measured["seconds"] > 0 and measured["peak_memory_bytes"] > 1 << 20
    first, last = job.curve[0], job.curve[-1]
    assert last["validation_loss"] < first["validation_loss"] - 0.3
    wanted = {"train_loss", "learning_rate", "tokens_per_second", "mfu", "memory_gb", "cpu"}
    assert wanted | {"accuracy", "perplexity"} <= first.keys()
    fractions = [one.fraction for one in job.reports if one.fraction is not None]
    assert fractions == sorted(fractions)
    assert pretrain(job, training=run.id) == measured  # done is done
    folder = run.folder / "model"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("the model reads small words", return_tensors="pt").input_ids
    with torch.no_grad():
        loss = float(model(ids, labels=ids).loss)
    assert loss < first["train_loss"]
    assert "<|im_start|>" in tokenizer.apply_chat_template(
        [{"role": "user", "content": "?"}], tokenize=False
    )
    whole = convert(folder, tmp_path / "whole.gguf", dtype="f16")
    assert quantise(whole, tmp_path / "small.gguf", "Q4_K_M").stat().st_size > 100_000
    left = {path.name for path in run.folder.iterdir()}
    assert left == {"model", "tokenizer.json", "learnt.bin", "held_out.bin"}


@pytest.mark.parametrize("cut", [1, 4])
def test_a_run_that_was_cut_ends_as_one_that_was_not(tmp_path: Path, cut: int) -> None:
    dataset = prose()
    whole, broken = begun(dataset), begun(dataset)
    expected = pretrain(Told(tmp_path), training=whole.id)
    with pytest.raises(JobCancelled):
        pretrain(Told(tmp_path, cut), training=broken.id)
    assert not (broken.folder / "model").exists()
    torch.manual_seed(99)  # whatever a new process would have
    job = Told(tmp_path)
    measured = pretrain(job, training=broken.id)
    assert job.curve[0]["step"] == cut + 1
    for figure in ("train_loss", "validation_loss", "accuracy", "tokens", "steps"):
        assert measured[figure] == expected[figure], figure
    ours, theirs = weights(whole), weights(broken)
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


def test_stop_and_save(tmp_path: Path) -> None:
    run = begun(prose(), steps=10_000)
    (run.folder / "stop").touch()
    measured = pretrain(Told(tmp_path), training=run.id)
    assert measured["ended"] == "stopped" and measured["steps"] == 1
    assert weights(run)


def test_it_ends_early_where_nothing_is_gained_with_the_best_weights(tmp_path: Path) -> None:
    noise = ["".join(random.Random(n).choices("abcdefghij ", k=300)) for n in range(60)]
    run = begun(kept([text(one) for one in noise], name="noise"), patience=1, steps=200)
    job = Told(tmp_path)
    measured = pretrain(job, training=run.id)
    assert measured["ended"] == "no gain" and measured["steps"] < 200
    *told, last = [(one["step"], one.get("validation_loss")) for one in job.curve]
    best = measured["best_step"]
    assert best < measured["steps"] and dict(told)[best] == last[1] < dict(told)[last[0]]

    whole, cut = weights(run), begun(data.find("noise"), patience=1, steps=200)
    with pytest.raises(JobCancelled):
        pretrain(Told(tmp_path, best), training=cut.id)
    assert pretrain(Told(tmp_path), training=cut.id)["best_step"] == best
    assert all(torch.equal(weight, weights(cut)[name]) for name, weight in whole.items())
    until = begun(data.find("noise"), patience=None, steps=200)

    def stop(report: Report) -> None:
        if report.metrics.get("step") == best:
            (until.folder / "stop").touch()

    assert pretrain(JobContext("here", tmp_path, report=stop), training=until.id)["steps"] == best
    assert all(torch.equal(weight, weights(until)[name]) for name, weight in whole.items())


def test_the_validation_split_is_what_it_is_examined_on(tmp_path: Path) -> None:
    strange = "zyx wvu " * 400
    split = {"train": map(text, sentences(60)), "validation": [text(strange)], "test": [text("?")]}
    run = begun(kept(split, name="divided"))
    pretrain(Told(tmp_path), training=run.id)
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(run.folder / "tokenizer.json"))
    held_out = np.fromfile(run.folder / "held_out.bin", np.int32)
    assert tokenizer.decode(held_out.tolist()) == strange


@pytest.mark.parametrize("sizes", [[100], [40] * 2])
def test_a_dataset_that_is_too_small_is_refused(tmp_path: Path, sizes: list[int]) -> None:
    run = begun(kept([text("word " * size) for size in sizes], name="tiny"))
    with pytest.raises(TrainingError, match=r"at least 10,000.*Gather more documents"):
        pretrain(Told(tmp_path), training=run.id)


def test_one_long_text_is_enough(tmp_path: Path) -> None:
    run = begun(kept([text(" ".join(sentences(60)))], name="book"), context=8192, steps=1)
    assert pretrain(Told(tmp_path), training=run.id)["validation_loss"] > 0


def test_settings_of_another_recipe_are_refused(tmp_path: Path) -> None:
    run = begun(prose(), rank=8)
    with pytest.raises(TrainingError, match="no setting 'rank'"):
        pretrain(Told(tmp_path), training=run.id)


def test_a_price_is_near_and_needs_no_run(tmp_path: Path) -> None:
    dataset = prose()
    settings = base_settings(**SMALL)
    price = base_price(settings, dataset)
    run = begun(dataset)
    measured = pretrain(Told(tmp_path), training=run.id)
    assert price["probed"] == 1.0 and price["seconds"] > 0
    assert (price["steps"], price["tokens"]) == (measured["steps"], measured["tokens"])
    assert price["parameters"] >= measured["parameters"]
    assert 50 << 20 < price["memory"] < 3 << 30
    assert price["disk"] > sum(path.stat().st_size for path in run.folder.rglob("*.*"))


def test_what_can_never_fit_is_priced_without_a_step() -> None:
    price = base_price(base_settings(depth=48, minutes=5), prose())
    assert price["probed"] == 0.0 and price["memory"] > 5e9 * 16
    assert price["seconds"] == 300 and price["steps"] >= 1
    with pytest.raises(TrainingError, match=r"at least 10,000"):
        base_price(base_settings(), kept([text("short")], name="short"))


def test_what_the_curve_shows_is_said(tmp_path: Path) -> None:
    class At:
        train_loss, validation_loss, best, stale = 2.0, 2.0, 2.0, 0

    watch, run = Watch(patience=4, stop=tmp_path / "stop"), cast("Run", At())
    assert watch.said(run) == "" and not watch.ends(run)
    At.stale, At.validation_loss = 3, 2.01
    assert "no gain on held-out text for 3" in watch.said(run)
    At.train_loss, At.validation_loss = 1.0, 2.5
    assert "learns by heart" in watch.said(run)
    At.train_loss = 1.6
    assert "rising" in watch.said(run) and not watch.ends(run)
    At.stale = 4
    assert watch.ends(run)
    At.stale = 0
    (tmp_path / "stop").touch()
    assert watch.ends(run)

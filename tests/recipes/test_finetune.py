"""Fine-tuning from a dataset of the data room to a model's folder."""

from __future__ import annotations

import gc
import math
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from workbench import lineage
from workbench.data import Dataset
from workbench.errors import TrainingError
from workbench.examples import Example
from workbench.jobs import JobCancelled, JobContext, Report
from workbench.learn._encode import encode, template_for, tokenizer_of
from workbench.learn._watch import Watch
from workbench.recipes import finetune
from workbench.recipes._finetune import divided

MakeDataset = Callable[..., Dataset]
QUICK = {"preset": "lora", "learning_rate": 1e-2, "batch": 2, "context": 128, "epochs": 6,
         "precision": "fp32", "warmup_steps": 2}  # fmt: skip


@pytest.fixture
def begin(tiny_folder: Path, make_dataset: MakeDataset) -> Callable[..., lineage.Training]:
    """A record of a training that takes seconds; its settings can be changed."""

    def made(dataset: Dataset | None = None, **changed: Any) -> lineage.Training:
        return lineage.begin(
            "finetune", "tuned", dataset=dataset or make_dataset(), base=str(tiny_folder),
            settings={**QUICK, **changed},
        )  # fmt: skip

    return made


class Told(JobContext):
    """A job whose reports are kept; `at(step)` is called at each, and may cancel it."""

    def __init__(self, folder: Path, at: Callable[[Told, float], None] | None = None) -> None:
        self.reports: list[Report] = []
        self.at = at
        super().__init__("told", folder, report=self._hear)

    def _hear(self, report: Report) -> None:
        self.reports.append(report)
        if self.at and "step" in report.metrics:
            self.at(self, report.metrics["step"])

    def curve(self, name: str) -> list[float]:
        return [one.metrics[name] for one in self.reports if name in one.metrics]


def cancel_at(step: int) -> Callable[[Told, float], None]:
    def at(job: Told, now: float) -> None:
        if now >= step:
            job._stop.set()

    return at


@pytest.fixture(autouse=True)
def every_step_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.learn._watch._REPORT_SECONDS", 0.0)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return {name: one.clone() for name, one in model.state_dict().items()}


def loss_of(folder: Path, question: str, answer: str) -> float:
    """Nats per token of an answer, asked of Transformers alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    asked = [{"role": "user", "content": question}]
    start = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    ids = [*start, *tokenizer(answer + "<|im_end|>", add_special_tokens=False).input_ids]
    labels = torch.tensor([[-100] * len(start) + ids[len(start) :]])
    with torch.no_grad():
        return float(model(input_ids=torch.tensor([ids]), labels=labels).loss)


def test_lora_learns_and_leaves_a_whole_model(
    begin: Callable[..., lineage.Training], tiny_folder: Path, tmp_path: Path
) -> None:
    run = begin()
    job = Told(tmp_path)
    result = finetune(job, training=run.id)
    assert result == lineage.find(run.id).measured == finetune(Told(tmp_path), training=run.id)
    model, question = run.folder / "model", "Number 0: what comes before red?"
    assert loss_of(model, question, "pink") < loss_of(tiny_folder, question, "pink") - 2
    assert (run.folder / "adapter" / "adapter_model.safetensors").is_file()
    assert not (run.folder / "checkpoints").exists()
    losses = job.curve("train_loss")
    assert losses[-1] < losses[0] - 2
    assert job.curve("step") == [float(n + 1) for n in range(result["steps"])]
    assert job.curve("validation_loss")[-1] == result["validation_loss"]
    assert result["validation_loss"] < result["validation_loss_before"] - 1
    wanted = {"learning_rate", "tokens_per_second", "memory_gb", "cpu", "mfu"}
    assert all(wanted <= one.metrics.keys() for one in job.reports if "step" in one.metrics)
    assert job.curve("perplexity")[-1] == pytest.approx(math.exp(result["validation_loss"]))
    assert 0 <= job.curve("accuracy")[-1] <= 1
    assert 0 < job.curve("mfu")[-1] < 1
    assert result["packed"] and result["ended"] == "done" and result["peak_memory_bytes"] > 1e8


def test_all_weights_can_be_trained(
    begin: Callable[..., lineage.Training], tiny_folder: Path, tmp_path: Path
) -> None:
    run = begin(method="full", learning_rate=3e-3, epochs=1, precision="bf16", packing=False,
                accumulation=2, gradient_checkpointing=True)  # fmt: skip
    result = finetune(Told(tmp_path), training=run.id)
    assert result["trained_parameters"] == result["parameters"]
    assert (result["steps"], result["packed"]) == (6, False)
    before, after = weights(tiny_folder), weights(run.folder / "model")
    assert all(not torch.equal(before[name], after[name]) for name in before if "proj" in name)
    assert not (run.folder / "adapter").exists()
    question = "Number 0: what comes before red?"
    assert loss_of(run.folder / "model", question, "pink") < loss_of(tiny_folder, question, "pink")


def test_raw_text_without_a_validation_split(
    begin: Callable[..., lineage.Training], make_dataset: MakeDataset, tmp_path: Path
) -> None:
    few, more = (make_dataset("text", name, train=n) for name, n in (("few", 8), ("more", 60)))
    result = finetune(Told(tmp_path), training=begin(few, max_steps=2).id)
    assert (result["steps"], result["validation_loss"]) == (2, None)
    assert result["data"]["examples"] == 8
    drawn, rest = (divided(more)[n] for n in (1, 0))
    assert (len(drawn), len(rest)) == (3, 57)


def test_no_more_examples_are_held_than_are_encoded_at_once(
    make_dataset: MakeDataset, tiny_folder: Path
) -> None:
    tokenizer = tokenizer_of(tiny_folder)
    learnt, drawn = divided(make_dataset("completion", train=1400))
    assert (len(learnt), len(drawn)) == (1330, 70)
    read = [*learnt, *drawn]
    assert sorted(one.about["line"] for one in read) == list(range(1400))
    wanted = [one.about["line"] for one in learnt]
    del read
    held: list[int] = []

    def count() -> None:
        held.append(sum(isinstance(one, Example) for one in gc.get_objects()))

    found = encode(learnt, tokenizer, template_for(tiny_folder, tokenizer), 64, between=count)
    assert len(found) == len(wanted) and len(held) == 6
    assert max(held) < 600  # two times 256 while the next ones are read


def test_cancelled_and_resumed_it_ends_the_same(
    begin: Callable[..., lineage.Training], make_dataset: MakeDataset, tmp_path: Path
) -> None:
    changed = {"dropout": 0.1, "epochs": 4, "accumulation": 2, "evaluate_every": 3}
    whole, cut = begin(**changed), begin(**changed)
    expected = finetune(Told(tmp_path), training=whole.id)
    with pytest.raises(JobCancelled):
        finetune(Told(tmp_path, cancel_at(4)), training=cut.id)
    assert not (cut.folder / "model").exists()
    job = Told(tmp_path)
    result = finetune(job, training=cut.id)
    assert job.curve("step")[0] == 5
    for figure in ("train_loss", "validation_loss", "validation_loss_before", "steps", "tokens"):
        assert result[figure] == expected[figure], figure
    one, other = weights(whole.folder / "model"), weights(cut.folder / "model")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_stop_file_ends_it_well(begin: Callable[..., lineage.Training], tmp_path: Path) -> None:
    run = begin(epochs=50)

    def stop(job: Told, step: float) -> None:
        if step == 3:
            (run.folder / "stop").touch()

    result = finetune(Told(tmp_path, stop), training=run.id)
    assert (result["ended"], result["steps"]) == ("stopped", 4)
    assert (run.folder / "model" / "config.json").is_file()
    assert not (run.folder / "stop").exists()


def test_it_stops_when_nothing_gets_better_and_takes_the_best(
    begin: Callable[..., lineage.Training], tmp_path: Path
) -> None:
    run = begin(epochs=20, learning_rate=0.3, evaluate_every=1, patience=1)
    job = Told(tmp_path)
    result = finetune(job, training=run.id)
    assert result["ended"] == "early"
    assert result["validation_loss"] == min(job.curve("validation_loss")[1:])
    assert 0 < result["best_step"] == result["steps"] - 1


def test_a_loss_that_is_no_number_says_so(
    begin: Callable[..., lineage.Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin()
    told = Watch.batch

    def broken(watch: Watch, loss: float, tokens: int) -> None:
        told(watch, math.nan if watch.curve.step == 2 else loss, tokens)

    monkeypatch.setattr(Watch, "batch", broken)
    with pytest.raises(TrainingError, match=r"no number any more in step 3.* lower learning rate"):
        finetune(Told(tmp_path), training=run.id)
    assert (run.folder / "checkpoints" / "checkpoint-1" / "whole.json").is_file()


def test_a_full_disk_is_told_and_the_last_checkpoint_stays(
    begin: Callable[..., lineage.Training], tmp_path: Path
) -> None:
    run = begin(checkpoint_every=2, epochs=2, evaluate_every=9)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def full(job: Told, step: float) -> None:
        if step == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))

    try:
        with pytest.raises(TrainingError, match=r"cannot be written .* Make room there"):
            finetune(Told(tmp_path, full), training=run.id)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    job = Told(tmp_path)
    assert finetune(job, training=run.id)["ended"] == "done"
    assert job.curve("step")[0] == 3


def test_qlora_without_a_card_says_what_to_do(
    begin: Callable[..., lineage.Training], tmp_path: Path
) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a card")
    with pytest.raises(TrainingError, match=r"QLoRA needs an NVIDIA .* method lora"):
        finetune(Told(tmp_path), training=begin(method="qlora").id)


def test_an_adapter_that_fits_nowhere_says_so(
    begin: Callable[..., lineage.Training], tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"No adapter fits .* Set targets to all-linear"):
        finetune(Told(tmp_path), training=begin(targets=["nowhere"]).id)

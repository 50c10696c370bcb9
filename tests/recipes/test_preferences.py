"""Learning preferences: the better answers gain, a kill changes nothing, nobody is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recipes.lessons import rows

from workbench import data, lineage
from workbench.data import Dataset
from workbench.errors import TrainingError
from workbench.examples import Example, render, template_of
from workbench.jobs import JobContext, Report
from workbench.learn._encode import tokenizer_of
from workbench.lineage import Training
from workbench.recipes import preferences
from workbench.recipes._pairs import encode_pairs
from workbench.recipes._preferences import REFERENCE
from workbench.recipes._reference import key_of, load_reference, save_reference

ASKED = "Asking the base model"
QUICK: dict[str, Any] = {
    "preset": "preferences", "rank": 8, "learning_rate": 5e-3, "accumulation": 1, "epochs": 3,
    "warmup_steps": 2, "precision": "fp32", "context": 64, "beta": 0.5,
}  # fmt: skip


def begin(dataset: Dataset, base: Path, **settings: Any) -> Training:
    given = {**QUICK, **settings}
    return lineage.begin("preferences", "mine", dataset=dataset, settings=given, base=str(base))


def train(run: Training, tell: Callable[[Report], None] = lambda step: None) -> dict[str, Any]:
    (run.folder / "job").mkdir(exist_ok=True)
    return preferences(JobContext("test", run.folder / "job", report=tell), training=run.id)


def weights(run: Training) -> bytes:
    return (run.folder / "model" / "model.safetensors").read_bytes()


def gains(folder: Path, base: Path, examples: list[Example]) -> list[float]:
    """How much the better answer gained on the worse one since the base model, in nats."""
    import torch
    from transformers import AutoModelForCausalLM

    template, tokenizer = template_of(base), tokenizer_of(base)

    def likelihood(model: Any, text: str) -> float:
        ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
        with torch.no_grad():
            told = model(ids).logits[0, :-1].log_softmax(-1)
        return float(told.gather(1, ids[0, 1:, None]).sum())

    differences = []
    for path in (folder, base):
        model = AutoModelForCausalLM.from_pretrained(path, local_files_only=True).float()
        pairs = [render(example, template) for example in examples]
        differences.append(
            [likelihood(model, p.text) - likelihood(model, p.other.text) for p in pairs if p.other]
        )
    return [after - before for after, before in zip(*differences, strict=True)]


@pytest.fixture(scope="module")
def module_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home for the trainings that several tests look at."""
    yield tmp_path_factory.mktemp("home")


@pytest.fixture
def home(module_home: Path, clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(module_home))
    return module_home


@pytest.fixture(scope="module")
def trained(module_home: Path, tiny_folder: Path) -> tuple[Training, dict[str, Any], list[Report]]:
    """A whole training, and what it reported."""
    from trl.trainer import base_trainer

    said: list[Report] = []
    told: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(module_home))
        patch.setattr(base_trainer, "send_telemetry", lambda *given, **more: told.append(given))
        with data.writing("choices", "preference", recipe={"kind": "test"}) as draft:
            for example in rows("preference", 24):
                draft.add(example)
            for example in rows("preference", 8, 24):
                draft.add(example, "validation")
        run = begin(draft.made, tiny_folder, evaluate_every=1)
        measured = train(run, said.append)
        run = lineage.find(run.id)
    assert told == [], "TRL told its makers of the training"
    return run, measured, said


def test_better_answers_gain_on_pairs_it_has_not_seen(
    home: Path,
    trained: tuple[Training, dict[str, Any], list[Report]],
    tiny_folder: Path,
) -> None:
    run, measured, said = trained
    assert any(ASKED in one.message for one in said)
    curve = [one.metrics for one in said if "validation_loss" in one.metrics]
    assert curve[0]["validation_loss"] > 0.6
    assert curve[-1]["accuracy"] > 0.9
    assert curve[-1]["validation_loss"] < 0.5 * curve[0]["validation_loss"]
    assert curve[-1]["margin"] > curve[0]["margin"]
    gained = gains(run.folder / "model", tiny_folder, rows("preference", 8, 24))
    assert min(gained) > 0
    # what was measured is what the written weights do: margins are the gains times beta
    assert measured["margin"] == pytest.approx(0.5 * sum(gained) / len(gained), rel=0.05)


def test_the_record_has_what_was_measured(
    home: Path,
    trained: tuple[Training, dict[str, Any], list[Report]],
) -> None:
    run, measured, _ = trained
    assert run.measured["accuracy"] == measured["accuracy"] > 0.9
    assert (measured["steps"], measured["ended"], measured["rows"]) == (18, "done", 24)
    assert measured["validation_loss_before"] == pytest.approx(0.693, abs=0.001)
    assert measured["trained_parameters"] < measured["parameters"] / 5
    assert measured["data"]["examples"] == 24
    assert (run.folder / "adapter" / "adapter_model.safetensors").is_file()
    assert not (run.folder / "checkpoints").exists()


def test_a_training_that_is_finished_is_not_done_again(
    home: Path, trained: tuple[Training, dict[str, Any], list[Report]]
) -> None:
    run, measured, _ = trained
    before = weights(run)
    assert train(run)["accuracy"] == measured["accuracy"]
    assert weights(run) == before


_KILLED = """
import os, signal, sys
from pathlib import Path
from workbench.jobs import JobContext
from workbench.recipes import preferences

def tell(report):
    if report.metrics.get("step", 0) >= 4:
        os.kill(os.getpid(), signal.SIGKILL)

preferences(JobContext("test", Path(sys.argv[2]), report=tell), training=sys.argv[1])
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_a_killed_training_ends_with_the_same_weights(
    home: Path, trained: tuple[Training, dict[str, Any], list[Report]], tiny_folder: Path
) -> None:
    whole, measured, _ = trained
    dataset = data.find(whole.dataset)
    run = begin(dataset, tiny_folder, evaluate_every=1, checkpoint_every=1)
    command = [sys.executable, "-c", _KILLED, run.id, str(run.folder)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    marks = sorted((run.folder / "checkpoints").glob("*/whole.json"))
    assert [json.loads(mark.read_text())["facts"]["step"] for mark in marks][-1] == 3
    assert not (run.folder / "model").exists()
    said: list[Report] = []
    again = train(run, said.append)
    assert min(one.metrics["step"] for one in said if "step" in one.metrics) == 4
    assert not any(ASKED in one.message for one in said), "the base's answers were kept"
    assert not (run.folder / REFERENCE).exists()
    assert again["train_loss"] == measured["train_loss"]
    assert weights(run) == weights(whole)


def test_the_bases_answers_are_of_just_these_pairs(tmp_path: Path, tiny_folder: Path) -> None:
    tokenizer, template = tokenizer_of(tiny_folder), template_of(tiny_folder)
    pairs, others = (
        encode_pairs(rows("preference", 4, start), tokenizer, template, 64) for start in (0, 4)
    )
    key, path, sizes = key_of([pairs], "base", 4), tmp_path / REFERENCE, {"learnt": 4}
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    table[3] = np.nan  # not asked yet
    save_reference(path, key, {"learnt": table})
    kept = load_reference(path, key, sizes)["learnt"]
    assert kept.tolist()[:3] == table.tolist()[:3] and np.isnan(kept[3]).all()
    changed = (key_of([others], "base", 4), key_of([pairs], "other", 4), key_of([pairs, pairs]))
    assert len({key, *changed}) == 4
    for other in changed:
        assert np.isnan(load_reference(path, other, sizes)["learnt"]).all()
    assert np.isnan(load_reference(path, key, {"learnt": 5})["learnt"]).all()
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], b"\xff" * 9 + whole):
        path.write_bytes(damaged)
        assert np.isnan(load_reference(path, key, sizes)["learnt"]).all()


def test_dropout_drops_while_it_learns_and_not_while_it_is_asked(
    make_dataset: Callable[..., Dataset], tiny_folder: Path
) -> None:
    dataset = make_dataset("preference", train=8, validation=4)
    plain, dropped = (
        train(begin(dataset, tiny_folder, dropout=share, max_steps=3)) for share in (0.0, 0.5)
    )
    assert dropped["validation_loss_before"] == pytest.approx(0.693, abs=0.001)
    assert dropped["train_loss"] != plain["train_loss"]


def test_all_weights_learn_too_and_stop_when_told(
    make_dataset: Callable[..., Dataset], tiny_folder: Path
) -> None:
    run = begin(make_dataset("preference", train=8), tiny_folder, method="full", epochs=20,
                learning_rate=1e-3, warmup_steps=0, schedule="constant")  # fmt: skip

    def stop_after_some(report: Report) -> None:
        if report.metrics.get("step", 0) >= 1:
            (run.folder / "stop").touch()

    measured = train(run, stop_after_some)
    assert measured["ended"] == "stopped"
    assert measured["steps"] < 40
    assert measured["validation_loss"] is None
    assert min(gains(run.folder / "model", tiny_folder, rows("preference", 8))) > 0
    assert not (run.folder / "stop").exists()
    assert not (run.folder / "adapter").exists()


def test_in_bf16_with_activations_computed_twice_it_learns_as_well(
    make_dataset: Callable[..., Dataset], tiny_folder: Path
) -> None:
    dataset = make_dataset("preference", train=8, validation=4)
    run = begin(dataset, tiny_folder, precision="bf16", gradient_checkpointing=True, max_steps=4)
    measured = train(run)
    assert measured["validation_loss"] < 0.69
    assert measured["precision"] == "bf16"


def test_other_forms_are_refused(make_dataset: Callable[..., Dataset], tiny_folder: Path) -> None:
    run = begin(make_dataset("conversation", train=2), tiny_folder)
    with pytest.raises(TrainingError, match="of the form conversation"):
        train(run)


def test_pairs_that_teach_nothing_are_counted_and_refused(tiny_folder: Path) -> None:
    tokenizer, template = tokenizer_of(tiny_folder), template_of(tiny_folder)
    good = rows("preference", 1)[0]
    same = Example("preference", {**good.fields, "rejected": good.fields["chosen"]})
    pairs = encode_pairs([good, same], tokenizer, template, 64)
    assert (len(pairs), pairs.counts.examples, pairs.counts.dropped) == (1, 2, 1)
    with pytest.raises(TrainingError, match="both answers are the same"):
        encode_pairs([same], tokenizer, template, 64)
    with pytest.raises(TrainingError, match="a longer context"):
        encode_pairs([good], tokenizer, template, 16)
    with pytest.raises(TrainingError, match="there is no example"):
        encode_pairs([], tokenizer, template, 64)


def test_what_counts_of_an_answer_is_what_the_data_panel_shows(tiny_folder: Path) -> None:
    tokenizer, template = tokenizer_of(tiny_folder), template_of(tiny_folder)
    examples = [
        *rows("preference", 1),
        Example("preference", {"prompt": "Two and two", "chosen": " are four", "rejected": " x"}),
    ]
    pairs = encode_pairs(examples, tokenizer, template, 64)
    for example, pair in zip(examples, pairs.pairs, strict=True):
        shown = render(example, template)
        for text, (ids, counts) in zip((shown, shown.other), pair, strict=True):
            assert text is not None
            learnt = "".join(part for part, is_learnt in text.parts() if is_learnt)
            assert tokenizer.decode(ids[counts]) == learnt
    batch = pairs.batch([1, 0])
    assert batch["input_ids"].shape == batch["completion_mask"].shape
    assert len(batch["input_ids"]) == 4
    assert batch["attention_mask"].sum() == pairs.counts.tokens
    assert batch["completion_mask"].sum() == pairs.counts.learnt
    assert "ref_chosen_logps" not in batch
    assert sorted(pairs.order(4, seed=1)[:2]) == [0, 1]
    assert pairs.order(9, seed=1) == pairs.order(9, seed=1)

"""What cannot be trained is refused before anything is queued, in words that help."""

from __future__ import annotations

from pathlib import Path

import pytest
from train.lessons import BASE, Place, lesson, lessons

from workbench import data, jobs
from workbench.errors import DataError, InvalidRequest, TrainingError
from workbench.examples import Example
from workbench.lineage import begin, find, trainings
from workbench.train import estimate, export_again, pause, plan, remove, stop, submit


def test_what_is_missing_is_said(here: Place) -> None:
    cases = [
        ({"recipe": "finetun"}, TrainingError, "finetune"),
        ({"dataset": "lesson"}, DataError, "lessons"),
        ({"base": ""}, TrainingError, "train bases"),
        ({"base": "grwon"}, TrainingError, "grown"),
        ({"settings": "lorra"}, TrainingError, "lora"),
        ({"settings": {"preset": "lora", "learning_rat": 1}}, TrainingError, "learning_rate"),
        ({"settings": {"epochs": -1}}, TrainingError, "epochs"),
        ({"recipe": "base"}, TrainingError, "no base model"),
        ({"recipe": "base", "base": "", "settings": {"dept": 2}}, TrainingError, "depth"),
        ({"recipe": "base", "base": "", "settings": "lora"}, TrainingError, "no presets"),
        ({"recipe": "preferences"}, TrainingError, "conversation"),
        ({"name": "a name"}, InvalidRequest, "name"),
        ({"name": "tuned"}, TrainingError, "already"),
        ({"quantization": ["Q9_9"]}, TrainingError, "quantization"),
    ]
    before = [one.id for one in trainings()]
    usual = {"recipe": "finetune", "dataset": "lessons", "base": "grown", "name": "another"}
    for given, error, words in cases:
        with pytest.raises(error, match=words):
            submit(**{**usual, **given})  # type: ignore[arg-type]
    assert [one.id for one in trainings()] == before
    assert not jobs.jobs()


def test_a_refused_dataset_is_not_trained_on(here: Place) -> None:
    with data.writing("few", "conversation", recipe={"kind": "test"}) as draft:
        draft.add(lesson(1))
    with pytest.raises(TrainingError, match="refused"):
        submit("finetune", dataset="few", base="grown", name="another")
    with data.writing("pairs", "preference", recipe={"kind": "test"}) as draft:
        for n in range(12):
            draft.add(Example("preference", {"prompt": f"{n}?", "chosen": "a", "rejected": "b"}))
    with pytest.raises(TrainingError, match="recipe preferences"):
        submit("finetune", dataset="pairs", base="grown", name="another")
    assert plan("base", dataset="pairs").dataset.form == "preference"  # of its better answers


def test_a_price_can_be_had_before_the_start(here: Place) -> None:
    given = {"max_steps": 8, "context": 128}
    price = estimate("finetune", dataset="lessons", base="grown", settings=given, measure=False)
    assert price.fits and price.seconds_low <= price.seconds <= price.seconds_high
    assert price.memory > 0 and price.steps == 8
    assert estimate("base", dataset="lessons", settings=BASE, measure=False).fits
    assert plan("finetune", dataset="lessons", base=here.grown).base is not None


def test_what_cannot_fit_is_refused(here: Place) -> None:
    with pytest.raises(TrainingError, match=r"of memory.*Instead: .*--force"):
        submit("base", dataset="lessons", name="giant", settings={"depth": 48})
    assert not jobs.jobs()


def test_a_training_that_is_not_done_is_not_exported(here: Place, tmp_path: Path) -> None:
    dataset = lessons("others", validation=False)
    run = begin("base", "unborn", dataset=dataset, settings={})
    for refused in (export_again, stop, pause):
        with pytest.raises(TrainingError):
            refused(run)
    with pytest.raises(TrainingError, match="already"):
        export_again(here.tuned, deploy=True, name="grown")
    remove(run)
    with pytest.raises(TrainingError):
        find(run.id)
    assert not run.folder.exists()

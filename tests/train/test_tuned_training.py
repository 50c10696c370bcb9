"""A study whose points are trainings: made, compared, tidied away, applied with their lineage."""

from __future__ import annotations

from pathlib import Path

import pytest
from train.lessons import Place

from workbench import lineage, tune
from workbench.engines import Engine
from workbench.errors import DataError, TuneError
from workbench.jobs import JobContext
from workbench.settings import home
from workbench.space import Parameter, Space

RATES = Space("rates", "Rates", "", (
    Parameter("learning_rate", "training", "choice", choices=(5e-3, 1e-6, 1e-7), default=5e-3),
))  # fmt: skip
TASK = """
name: colours
title: Colours
mode: chat
samples:
{samples}
scorers: [chrf]
options: {{num_predict: 8, temperature: 0}}
"""
SAME = {"max_steps": 10, "context": 128, "precision": "fp32", "batch": 4}


@pytest.fixture
def suite(tmp_path: Path) -> str:
    rows = "\n".join(
        f'  - {{id: s{n}, prompt: "Number {n}: what comes after red?", target: "After red"}}'
        for n in range(24)
    )
    (tmp_path / "colours.yaml").write_text(TASK.format(samples=rows), encoding="utf-8")
    text = "name: mine\ntitle: Mine\ntasks: [colours.yaml]\n"
    (tmp_path / "all.yaml").write_text(text, encoding="utf-8")
    return str(tmp_path / "all.yaml")


def names(url: str) -> set[str]:
    with Engine(url) as engine:
        return {one.name for one in engine.models()}


def test_the_best_of_three_trainings_becomes_a_model(here: Place, suite: str) -> None:
    study = tune.create(
        "grown", suite, space=RATES, dataset="lessons", training=SAME, strategy="hyperband",
        samples=8, held_out=8, iterations=3, name="rates",
    )  # fmt: skip
    assert any("a training of about" in note for note in study.result["notes"])
    tune.run_study(JobContext("", home()), study.id)
    study = tune.find(study.id)
    tried = [one for one in tune.trials(study) if one.state != "repeated"]
    assert study.state == "done" and len(tried) == 3
    assert {one.point["learning_rate"] for one in tried} == {5e-3, 1e-6, 1e-7}
    assert tried[0].why == "default" and tried[0].measured and tried[0].measured.quality
    early = [one for one in tried if "learnt more" in one.why]
    assert len(early) == 2 and all(one.state == "pruned" for one in early)
    made = {name for name in names(here.url) if f"study-{study.id}" in name}
    assert len(made) == 1  # the two that learnt nothing are gone
    (kept,) = made
    assert lineage.find(kept).settings["learning_rate"] == 5e-3

    name = tune.apply(study, 0, "rated")
    assert name == "rated:latest" and name in names(here.url)
    run = lineage.find("rated")
    assert run.base == "grown:latest" and run.dataset_name == "lessons"
    kinds = [node.kind for node in lineage.graph(run).nodes]
    assert "dataset" in kinds and "model" in kinds
    with pytest.raises(TuneError, match="workbench train finetune --base grown"):
        tune.apply(study, 1)
    tune.remove(study)
    left = names(here.url)
    assert "rated:latest" in left and not any(f"study-{study.id}" in one for one in left)
    assert lineage.find("rated").folder.is_dir()


def test_what_cannot_be_trained_is_refused_before(here: Place, suite: str) -> None:
    with pytest.raises(TuneError, match="say what is learnt"):
        tune.create("grown", suite, space=RATES)
    with pytest.raises(DataError, match="nothing-there"):
        tune.create("grown", suite, space=RATES, dataset="nothing-there")
    with pytest.raises(TuneError, match="nothing to learn from a dataset"):
        tune.create("grown", suite, space="quick", dataset="lessons")
    with pytest.raises(TuneError, match="takes no other"):
        tune.create("grown", suite, space=RATES, dataset="lessons", engine="http://127.0.0.1:9")
    assert not [one for one in tune.studies() if one.name.startswith("grown")]

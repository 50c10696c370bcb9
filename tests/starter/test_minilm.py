"""The embedding model is what it was, in the engine; and prepare makes only what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workbench.engines import Engine
from workbench.errors import InvalidRequest, TrainingError
from workbench.jobs import JobContext, Report
from workbench.starter import install_minilm, prepare
from workbench.starter._minilm import compare, cosine, weights


def test_minilm_embeds_as_transformers_does(engine: Engine, tmp_path: Path) -> None:
    made = install_minilm(JobContext("one", tmp_path), name="mini")
    assert made["made"] and made["agreement"] >= 0.999
    assert made["alike"] > made["different"] + 0.2
    [model] = [model for model in engine.models() if model.name == "mini:latest"]
    assert model.digest == made["digest"] and "embedding" in model.capabilities
    like, other = engine.embed("mini", ["How old are you?", "What is your age?", "Paris"]).vectors[
        1:
    ]
    first = engine.embed("mini", "How old are you?").vectors[0]
    assert len(first) == 384 and cosine(first, like) > cosine(first, other)
    assert not list(tmp_path.glob("*.gguf"))
    again = install_minilm(JobContext("two", tmp_path), name="mini")
    assert again == {"name": "mini:latest", "digest": made["digest"], "made": False}


def test_embeddings_that_are_not_right_are_noticed(
    engine: Engine, tiny_embedding_gguf: Path
) -> None:
    *_, last = engine.create("wrong", files=tiny_embedding_gguf)
    assert last.status == "success"
    with pytest.raises(TrainingError, match="are not right"):
        compare(engine, "wrong", weights())


def test_a_bad_name_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="cannot be a model's name"):
        install_minilm(name="../x")


def test_prepare_makes_what_is_missing(
    engine: Engine, tiny: dict[str, Any], tmp_path: Path
) -> None:
    told: list[Report] = []
    job = JobContext("prepare", tmp_path, report=told.append)
    names = {"starter": "first", "embedding": "second"}
    made: dict[str, Any] = prepare(job, **names, **tiny | {"steps": 1})
    assert made["embedding"]["made"] and made["starter"]["steps"] == 1
    assert {"first:latest", "second:latest"} <= {model.name for model in engine.models()}
    fractions = [report.fraction for report in told if report.fraction is not None]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    told.clear()
    assert prepare(job, **names) == {"embedding": None, "starter": None}
    assert [report.message for report in told] == ["Nothing was missing"]

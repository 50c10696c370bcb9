"""kill -9 while a base model trains: resumed, its job ends with the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from data.kept_datasets import kept, text
from killed import has_begun, killed_and_resumed

from workbench import jobs, lineage
from workbench.jobs import JobContext
from workbench.pretrain import pretrain

SMALL = {
    "depth": 1, "vocab_size": 512, "context": 128, "batch": 2048, "steps": 20, "precision": "fp32",
    "patience": None,
}  # fmt: skip


@pytest.fixture(autouse=True)
def supervisor_ended(clean_environment: None) -> Iterator[None]:
    yield
    jobs.stop_supervisor()


def test_a_killed_job_ends_with_the_same_weights(tmp_path: Path) -> None:
    dataset = kept([text(f"{n} times {n} is {n * n}. " * 40) for n in range(60)], name="squares")
    cut, whole = (
        lineage.begin("base", name, dataset=dataset, settings=SMALL) for name in ("cut", "whole")
    )
    job = jobs.submit("workbench.pretrain:pretrain", {"training": cut.id}, kind="training")

    def no_model_yet() -> None:
        assert not (cut.folder / "model").exists()

    resumed = killed_and_resumed(job, partial(has_begun, job), between=no_model_yet)
    expected = pretrain(JobContext("whole", tmp_path), training=whole.id)
    for figure in ("train_loss", "validation_loss", "tokens", "steps"):
        assert resumed.result[figure] == expected[figure], figure
    files = [run.folder / "model" / "model.safetensors" for run in (cut, whole)]
    assert files[0].read_bytes() == files[1].read_bytes()
    attempts = {row.attempt for row in jobs.history(job.id) if "step" in row.metrics}
    assert attempts == {1, 2}

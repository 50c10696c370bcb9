"""kill -9 in the middle of a fine-tuning job: resumed, it ends as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from killed import killed_and_resumed

from workbench import jobs, lineage
from workbench.data import Dataset
from workbench.jobs import JobContext
from workbench.recipes import finetune


@pytest.fixture(autouse=True)
def supervisor_ended(clean_environment: None) -> Iterator[None]:
    yield
    jobs.stop_supervisor()


def test_a_killed_training_ends_with_the_same_figures(
    tiny_folder: Path, make_dataset: Callable[..., Dataset], tmp_path: Path
) -> None:
    settings = {
        "batch": 2, "context": 128, "epochs": 5, "precision": "fp32", "dropout": 0.1,
        "checkpoint_every": 3, "evaluate_every": 5,
    }  # fmt: skip
    dataset = make_dataset()

    def begun(name: str) -> lineage.Training:
        return lineage.begin(
            "finetune", name, dataset=dataset, settings=settings, base=str(tiny_folder)
        )

    cut = begun("cut")
    job = jobs.submit("workbench.recipes:finetune", {"training": cut.id}, kind="training")
    whole_ones = (cut.folder / "checkpoints").glob
    resumed = killed_and_resumed(job, lambda: list(whole_ones("checkpoint-*/whole.json")))
    whole = finetune(JobContext("whole", tmp_path), training=begun("whole").id)
    for figure in ("train_loss", "validation_loss", "tokens", "steps", "accuracy"):
        assert resumed.result[figure] == whole[figure], figure

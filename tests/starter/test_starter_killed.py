"""kill -9 in the middle of training: resumed, the job ends as if nothing had happened."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from killed import has_begun, killed_and_resumed

from workbench import jobs
from workbench.engines import Engine
from workbench.jobs import JobContext
from workbench.starter import build_starter


@pytest.fixture(autouse=True)
def supervisor_ended(clean_environment: None) -> Iterator[None]:
    yield
    jobs.stop_supervisor()


def test_a_killed_job_ends_with_the_same_figures(
    engine: Engine, tiny: dict[str, Any], tmp_path: Path
) -> None:
    job = jobs.submit("workbench.starter:build_starter", {"name": "cut", **tiny}, kind="starter")
    resumed = killed_and_resumed(job, partial(has_begun, job))
    whole = build_starter(JobContext("whole", tmp_path), name="whole", **tiny)
    for figure in ("train_loss", "validation_loss", "tokens_seen", "steps"):
        assert resumed.result[figure] == whole[figure], figure
    attempts = {row.attempt for row in jobs.history(job.id) if "step" in row.metrics}
    assert attempts == {1, 2}
    assert {"cut:latest", "whole:latest"} <= {model.name for model in engine.models()}

"""kill -9 in the middle of training: resumed, the job ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench import jobs
from workbench.engines import Engine
from workbench.jobs import JobContext
from workbench.store import StoredJob, session
from workbench.train import build_starter

PATIENCE = 300.0


@pytest.fixture(autouse=True)
def supervisor_ended(clean_environment: None) -> Iterator[None]:
    yield
    jobs.stop_supervisor()


def _pid(id: str) -> int:
    with session(read_only=True) as opened:
        row = opened.query(StoredJob).filter_by(id=id).one()
        assert row.state == "running" and row.pid is not None
        return row.pid


def test_a_killed_job_ends_with_the_same_figures(
    engine: Engine, tiny: dict[str, Any], tmp_path: Path
) -> None:
    job = jobs.submit("workbench.train:build_starter", {"name": "cut", **tiny}, kind="starter")
    until = time.monotonic() + PATIENCE
    while jobs.get(job.id).metrics.get("step", 0) < 1:
        assert time.monotonic() < until and not jobs.get(job.id).ended, jobs.log_text(job.id)
        time.sleep(0.02)
    os.kill(_pid(job.id), signal.SIGKILL)
    assert jobs.wait(job.id, PATIENCE).state == "interrupted"
    jobs.resume(job.id)
    resumed = jobs.wait(job.id, PATIENCE)
    assert resumed.state == "done", jobs.log_text(job.id)
    assert "Going on from step" in jobs.log_text(job.id)
    whole = build_starter(JobContext("whole", tmp_path), name="whole", **tiny)
    for figure in ("train_loss", "validation_loss", "tokens_seen", "steps"):
        assert resumed.result[figure] == whole[figure], figure
    attempts = {row.attempt for row in jobs.history(job.id) if "step" in row.metrics}
    assert attempts == {1, 2}
    assert {"cut:latest", "whole:latest"} <= {model.name for model in engine.models()}

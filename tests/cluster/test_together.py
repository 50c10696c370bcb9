"""Two workers of a real Ray cluster learn what one process learns.

Numbers are compared up to a thousandth: the sums of a batch's losses and gradients are taken in
another order, which changes the seventh digit of fp32, and training makes differences grow. A loss
that was the mean of the workers' means would differ in the second digit.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster.conftest import Cluster

from workbench import jobs, lineage
from workbench.data import Dataset
from workbench.errors import TrainingError
from workbench.jobs import JobContext, Report
from workbench.recipes import finetune
from workbench.store import StoredJob, session

PATIENCE = 240.0
QUICK = {"preset": "lora", "learning_rate": 3e-3, "context": 128, "precision": "fp32",
         "warmup_steps": 2, "evaluate_every": 1, "checkpoint_every": 3}  # fmt: skip
PACKED = {**QUICK, "batch": 2, "accumulation": 2, "epochs": 100}  # 8 rows: 200 steps
APART = {**QUICK, "batch": 4, "packing": False, "epochs": 20, "max_steps": 80}  # 24 rows
Curve = dict[float, tuple[float, float]]


class Told(JobContext):
    """A job whose curve is kept; `at(job, step)` is called at each step."""

    def __init__(self, folder: Path, at: Callable[[Told, float], None] | None = None) -> None:
        self.at, self.curve = at, Curve()
        super().__init__("told", folder, report=self._hear)

    def _hear(self, report: Report) -> None:
        if "step" in (told := report.metrics):
            self.curve[told["step"]] = told["train_loss"], told["validation_loss"]
            if self.at:
                self.at(self, told["step"])

    def cancel(self) -> None:
        self._stop.set()


@pytest.fixture
def begin(tiny_folder: Path, make_dataset: Callable[[], Dataset]) -> Callable[..., Any]:
    """A record of a training."""
    dataset = make_dataset()

    def made(settings: dict[str, Any], name: str = "tuned") -> lineage.Training:
        return lineage.begin(
            "finetune", name, dataset=dataset, base=str(tiny_folder), settings=settings
        )

    return made


@pytest.fixture
def on_ray(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("WORKBENCH_EXECUTOR", cluster.address)
    monkeypatch.setenv("WORKBENCH_WORKERS", "2")
    return cluster


def here(run: lineage.Training, folder: Path, at: Any = None) -> tuple[Curve, dict[str, Any]]:
    """The training in this process."""
    job = Told(folder, at)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WORKBENCH_EXECUTOR", raising=False)
        return job.curve, finetune(job, training=run.id)


def assert_same(found: Curve, wanted: Curve) -> None:
    """All that was found, and something was."""
    assert found
    for step, losses in found.items():
        assert losses == pytest.approx(wanted[step], rel=1e-3), f"step {step}"


def newest_step(run: lineage.Training) -> int:
    whole = (run.folder / "checkpoints").glob("checkpoint-*/whole.json")
    return max((int(one.parent.name.rpartition("-")[2]) for one in whole), default=0)


def test_a_killed_worker_is_told_and_the_training_goes_on_until_it_is_stopped(
    begin: Callable[..., Any], on_ray: Cluster, tmp_path: Path
) -> None:
    run = begin(APART)

    def kill(job: Told, step: float) -> None:
        if step >= 4 and newest_step(run):
            for process in on_ray.workers()[:1]:
                process.kill()

    first = Told(tmp_path, kill)
    with pytest.raises(TrainingError, match=r"worker of Ray at ray://.* ended .* from step \d+"):
        finetune(first, training=run.id)
    cut = newest_step(run)
    assert 0 < cut < 80 and not (run.folder / "model").exists()

    def stop(job: Told, step: float) -> None:
        if step >= cut + 4:
            (run.folder / "stop").touch()

    second = Told(tmp_path, stop)
    result = finetune(second, training=run.id)
    assert (result["ended"], result["packed"], result["device"]) == ("stopped", False, "cpu")
    assert cut < result["steps"] == max(second.curve) < 80
    assert result["notes"][-1] == (
        f"Learnt on 2 workers of Ray at {on_ray.address}, a processor each."
    )
    assert min(second.curve) == cut + 1
    assert (run.folder / "model" / "config.json").is_file()
    wanted, alone = here(begin(APART, "alone"), tmp_path)
    assert_same(first.curve | second.curve, wanted)
    figure = "validation_loss_before"
    assert result[figure] == pytest.approx(alone[figure])


def test_a_job_that_is_killed_goes_on_without_ray(
    begin: Callable[..., Any], on_ray: Cluster, tmp_path: Path
) -> None:
    settings = {**PACKED, "max_steps": 60}
    run = begin(settings)
    job = jobs.submit("workbench.recipes:finetune", {"training": run.id}, kind="training")
    try:
        wait_for(lambda: newest_step(run) or jobs.get(job.id).ended)
        with session(read_only=True) as opened:
            pid = opened.query(StoredJob).filter_by(id=job.id).one().pid
        assert pid is not None and not jobs.get(job.id).ended, jobs.log_text(job.id)
        os.kill(pid, signal.SIGKILL)
        assert jobs.wait(job.id, PATIENCE).state == "interrupted"
    finally:
        jobs.stop_supervisor()
    wait_for(lambda: not on_ray.workers())  # Ray ends what nobody waits for
    cut = newest_step(run)
    assert 0 < cut < 60
    rest, result = here(run, tmp_path)
    assert (result["ended"], result["steps"], min(rest)) == ("done", 60, cut + 1)
    wanted, _ = here(begin(settings, "alone"), tmp_path)
    assert_same(rest, wanted)


def wait_for(happened: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.02)

"""Studies as jobs: killed at work, paused, with several workers; nothing is lost or done twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tuned import SPACE, begun, check_kept
from words import write_suite

from workbench import jobs, tune
from workbench.errors import TuneError
from workbench.space import key_of
from workbench.store import StoredJob, session

PATIENCE = 300.0


@pytest.fixture
def suite(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("OLLAMA_HOST", url)
    monkeypatch.setenv("WORKBENCH_MAX_JOBS", "2")
    yield write_suite(tmp_path)
    supervisor = jobs.supervisor_pid()
    for id in [job.id for job in jobs.jobs() if job.state == "running"]:
        with suppress(OSError):
            os.kill(pid_of(id), signal.SIGKILL)
    if supervisor is not None:
        with suppress(OSError):
            os.kill(supervisor, signal.SIGKILL)


def pid_of(job: str) -> int:
    with session(read_only=True) as opened:
        row = opened.query(StoredJob).filter_by(id=job).one()
    assert row.pid is not None
    return row.pid


def until(true: Callable[[], bool], job: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end and not jobs.get(job).ended, jobs.log_text(job)
        time.sleep(0.02)


def test_killed_resumed_and_finished(suite: str) -> None:
    study = begun(suite, space=SPACE, iterations=12, samples=20, held_out=20)
    job = tune.start(study)
    with pytest.raises(TuneError, match="runs already"):
        tune.start(study)
    until(lambda: sum(one.state == "done" for one in tune.trials(study)) >= 3, job.id)
    with pytest.raises(TuneError, match="Pause it first"):
        tune.remove(study)
    os.kill(pid_of(job.id), signal.SIGKILL)
    assert jobs.wait(job.id, PATIENCE).state == "interrupted"
    assert tune.find(study.id).state == "paused"
    before = [one for one in tune.trials(study) if one.state not in ("running",)]
    assert len(before) >= 3
    again = jobs.wait(tune.resume(study).id, PATIENCE)
    assert again.state == "done", jobs.log_text(again.id)
    trials = tune.trials(study)
    check_kept(study, before)
    whole = [one for one in trials if one.state in ("done", "pruned")]
    assert len(whole) == 12 and len({key_of(one.point) for one in whole}) == 12
    lost = [one for one in trials if one.state == "failed"]
    tried = {key_of(one.point) for one in whole}
    assert all("worker" in one.why and key_of(one.point) in tried for one in lost)
    assert tune.find(study.id).state == "done" and again.result["best"] is not None


def test_two_workers_share_the_points(suite: str) -> None:
    study = begun(suite, space=SPACE, iterations=14, samples=20, held_out=20)
    first = tune.start(study, workers=2)
    done = [jobs.wait(id, PATIENCE) for id in tune.find(study.id).jobs]
    assert [job.state for job in done] == ["done", "done"], jobs.log_text(first.id)
    trials = [one for one in tune.trials(study) if one.state in ("done", "pruned")]
    assert 14 <= len(trials) <= 15  # both may have begun their last at one moment
    assert len({key_of(one.point) for one in trials}) >= len(trials) - 1
    study = tune.find(study.id)
    assert study.state == "done" and study.result["words"]
    assert sum("words" in (job.result or {}) for job in done) == 2
    with pytest.raises(TuneError, match="Extend it"):
        tune.start(study)


def test_paused_and_told_to_conclude(suite: str) -> None:
    study = begun(suite, space=SPACE, iterations=28, samples=20, held_out=20)
    job = tune.start(study)
    until(lambda: sum(one.state == "done" for one in tune.trials(study)) >= 2, job.id)
    assert tune.pause(study).state == "paused"
    assert jobs.wait(job.id, PATIENCE).state == "cancelled"
    with pytest.raises(TuneError, match="does not run"):
        tune.pause(study)
    before = [one for one in tune.trials(study) if one.state == "done"]
    study = tune.stop(study)
    assert jobs.wait(study.job, PATIENCE).state == "done", jobs.log_text(study.job)
    assert len([one for one in tune.trials(study) if one.state == "done"]) == len(before)
    check_kept(study, before)
    assert tune.find(study.id).state == "done" and tune.best(study) is not None

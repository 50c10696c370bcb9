"""The queue, cancelling and resuming."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from workbench.errors import JobError
from workbench.jobs import (
    Job,
    cancel,
    get,
    history,
    jobs,
    log_text,
    resume,
    stop_supervisor,
    submit,
    supervisor_pid,
    wait,
)

PATIENCE = 60
SHARED = pytest.mark.usefixtures("shared_home")


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def begun(job: Job) -> Job:
    """The job when its function has reported for the first time."""
    until(lambda: get(job.id).fraction is not None, "the job began")
    return get(job.id)


def test_one_at_a_time_in_order() -> None:
    queued = [submit("job_targets:steps", {"count": 2, "pause": 0.05}) for _ in range(3)]
    ended = [wait(job.id, PATIENCE) for job in queued]
    assert [job.state for job in ended] == ["done"] * 3
    for before, after in pairwise(ended):
        assert before.ended_at is not None and after.started_at is not None
        assert before.ended_at <= after.started_at
    assert [job.id for job in jobs()] == [job.id for job in reversed(queued)]
    assert [job.id for job in jobs(limit=2)] == [queued[2].id, queued[1].id]


def test_several_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_MAX_JOBS", "2")
    queued = [submit("job_targets:crawl") for _ in range(3)]
    begun(queued[0]), begun(queued[1])
    time.sleep(0.6)
    assert sorted(job.state for job in jobs()) == ["queued", "running", "running"]
    cancel(queued[0].id)
    begun(queued[2])
    for job in queued[1:]:
        cancel(job.id)
    assert {wait(job.id, PATIENCE).state for job in queued} == {"cancelled"}


def test_a_queued_job_is_cancelled_at_once_and_never_runs() -> None:
    first = submit("job_targets:crawl")
    second = submit("job_targets:add", {"a": 1})
    begun(first)
    assert cancel(second.id).state == "cancelled"
    assert cancel(first.id).cancelling
    assert wait(first.id, PATIENCE).state == "cancelled"
    time.sleep(0.6)
    assert (get(second.id).state, get(second.id).attempts) == ("cancelled", 0)


@SHARED
def test_cancelled_at_the_next_check() -> None:
    job = begun(submit("job_targets:crawl"))
    cancel(job.id)
    ended = wait(job.id, PATIENCE)
    assert (ended.state, ended.error, ended.result) == ("cancelled", None, None)
    assert "Traceback" not in log_text(job.id)
    assert cancel(job.id) == ended, "cancelling again changes nothing"


@SHARED
def test_a_job_may_return_what_it_has() -> None:
    job = begun(submit("job_targets:stop_early"))
    cancel(job.id)
    ended = wait(job.id, PATIENCE)
    assert (ended.state, ended.result, ended.fraction) == ("cancelled", "half of it", 0.1)


@SHARED
def test_a_job_that_never_looks_is_told_by_signal_and_can_tidy_up() -> None:
    job = begun(submit("job_targets:tidy"))
    cancel(job.id)
    assert wait(job.id, PATIENCE).state == "cancelled"
    assert (job.folder / "checkpoint").read_text() == "saved"


@SHARED
def test_a_stubborn_job_is_killed_with_its_children() -> None:
    job = begun(submit("job_targets:stubborn"))
    child = psutil.Process(int((job.folder / "child").read_text()))
    cancel(job.id)
    assert wait(job.id, PATIENCE).state == "cancelled"
    until(lambda: not child.is_running() or child.status() == "zombie", "the child ended")


def test_cancel_works_without_a_supervisor() -> None:
    """It ended, or was killed, while the job ran: who cancels starts another."""
    job = begun(submit("job_targets:stubborn"))
    assert stop_supervisor()
    until(lambda: supervisor_pid() is None, "the supervisor ended")
    assert get(job.id).state == "running", "jobs do not need the supervisor"
    cancel(job.id)
    assert wait(job.id, PATIENCE).state == "cancelled"


@SHARED
def test_done_wins_over_a_late_cancel() -> None:
    job = wait(submit("job_targets:add", {"a": 1}).id, PATIENCE)
    assert cancel(job.id) == job


@SHARED
def test_resume_goes_on_from_the_checkpoint() -> None:
    job = begun(submit("job_targets:steps", {"count": 60, "pause": 0.05}))
    until(lambda: len(history(job.id)) > 3, "some steps")
    cancel(job.id)
    stopped = wait(job.id, PATIENCE)
    assert (stopped.state, stopped.attempts) == ("cancelled", 1)
    assert (stopped.fraction or 0) > 0
    again = resume(job.id)
    assert again.state in {"queued", "running"}
    with pytest.raises(JobError, match="already"):
        resume(job.id)
    ended = wait(job.id, PATIENCE)
    assert (ended.state, ended.result, ended.attempts) == ("done", 60, 2)
    assert ended.folder == job.folder
    assert ended.created_at == job.created_at
    rows = history(job.id)
    assert [row.metrics["step"] for row in rows] == list(range(60)), "nothing done twice"
    assert [row.attempt for row in rows] == sorted(row.attempt for row in rows)
    assert {row.attempt for row in rows} == {1, 2}
    assert "attempt 2" in log_text(job.id), "the log goes on"
    with pytest.raises(JobError, match="is done"):
        resume(job.id)


@SHARED
def test_a_failed_job_can_be_tried_again(tmp_path: Path) -> None:
    job = wait(submit("job_targets:fail", {"how": "ours"}).id, PATIENCE)
    resume(job.id)
    again = wait(job.id, PATIENCE)
    assert (again.state, again.attempts, again.error) == ("failed", 2, "invalid model name")


@SHARED
def test_resume_makes_a_lost_folder_again() -> None:
    job = wait(submit("job_targets:fail", {"how": "ours"}).id, PATIENCE)
    shutil.rmtree(job.folder)
    assert log_text(job.id) == ""
    resume(job.id)
    assert wait(job.id, PATIENCE).attempts == 2


@SHARED
def test_seconds_left() -> None:
    job = submit("job_targets:steps", {"count": 100, "pause": 0.05})
    assert job.seconds_left is None
    until(lambda: get(job.id).seconds_left is not None, "an estimate")
    found = get(job.id)
    assert found.seconds_left is not None and found.fraction is not None
    assert 0 <= found.seconds_left < 60
    cancel(job.id)
    assert wait(job.id, PATIENCE).seconds_left is None


def test_the_supervisor_ends_when_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SUPERVISOR_IDLE", "1")
    wait(submit("job_targets:add", {"a": 1}).id, PATIENCE)
    until(lambda: supervisor_pid() is None, "the supervisor ended by itself")
    assert wait(submit("job_targets:add", {"a": 2}).id, PATIENCE).result == {"sum": 2}


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/false"])
def test_a_python_that_is_gone(python: str) -> None:
    """The environment of a queued job was deleted, or broken, before its turn."""
    first = begun(submit("job_targets:crawl"))
    job = submit("job_targets:add", {"a": 1})
    note = job.folder / "launch.json"
    assert note.stat().st_mode & 0o077 == 0, "it may hold keys"
    note.write_text(json.dumps(json.loads(note.read_text()) | {"executable": python}))
    cancel(first.id)
    ended = wait(job.id, PATIENCE)
    assert ended.state == "failed"
    assert ended.error is not None and "could not be started" in ended.error
    assert (python in ended.error) == (python != "/bin/false")
    assert not note.exists()


def test_what_was_noted_for_a_start_is_deleted() -> None:
    first = begun(submit("job_targets:crawl"))
    second = submit("job_targets:add", {"a": 1})
    cancel(second.id)
    assert not (first.folder / "launch.json").exists()
    assert not (second.folder / "launch.json").exists()


def test_a_deleted_home_ends_its_processes(tmp_path: Path) -> None:
    job = begun(submit("job_targets:crawl", {"check": False}))
    worker = psutil.Process(int(get_pid(job)))
    pid = supervisor_pid()
    assert pid is not None
    supervisor = psutil.Process(pid)
    home = Path(os.environ["WORKBENCH_HOME"])
    shutil.rmtree(home, ignore_errors=True)  # they may write at this very moment
    until(lambda: not alive(worker) and not alive(supervisor), "both ended")
    assert jobs() == []


def get_pid(job: Job) -> int:
    from workbench.jobs import _queue

    pid = _queue._find(job.id).pid
    assert pid is not None
    return pid


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != "zombie")
    except psutil.Error:
        return False

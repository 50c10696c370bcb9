"""Updates as jobs: begun, killed at work and resumed, stopped, one at a time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from versions.updated import fill, first_release, in_use, write_suite

from workbench import jobs, releases, versions
from workbench.engines import Engine
from workbench.errors import ReleaseError
from workbench.store import StoredJob, session

PATIENCE = 300.0


@pytest.fixture
def suite(engine: Engine, tmp_path: Path) -> Iterator[str]:
    first_release(engine)
    fill(engine)
    yield write_suite(tmp_path, 16)
    supervisor = jobs.supervisor_pid()
    for job in jobs.jobs("running"):
        os.kill(pid_of(job.id), signal.SIGKILL)
    if supervisor is not None:
        with suppress(OSError):
            os.kill(supervisor, signal.SIGKILL)


def pid_of(job: str) -> int:
    with session(read_only=True) as s:
        row = s.query(StoredJob).filter_by(id=job).one()
    assert row.pid is not None
    return row.pid


def until(true: Callable[[], bool], job: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end and not jobs.get(job).ended, jobs.log_text(job)
        time.sleep(0.01)


def test_killed_resumed_and_undone(suite: str) -> None:
    roles = {"primary": "two", "embedding": "other"}
    update = versions.start(roles, suite=suite, gate="none", reason="Try it.")
    with pytest.raises(ReleaseError, match="under way"):
        versions.start({"primary": "two"})
    with pytest.raises(ReleaseError, match="under way already"):
        versions.resume(update)
    until(lambda: "answers" in jobs.get(update.job).message, update.job)
    os.kill(pid_of(update.job), signal.SIGKILL)
    assert jobs.wait(update.job, PATIENCE).state == "interrupted"
    killed = versions.find()
    assert killed.state == "stopped" and "killed" in (killed.error or "")
    assert killed.step("suite").state == "running" and in_use()["version"] == "v0.1"
    again = versions.resume(update)
    assert again.job == update.job, "the same job goes on"
    ended = jobs.wait(again.job, PATIENCE)
    assert ended.state == "done" and ended.fraction == 1.0, jobs.log_text(ended.id)
    done = versions.find(update.id)
    assert done.state == "done" and in_use()["version"] == "v0.2"
    assert ended.result["update"] == done.id and "v0.2 is in use" in ended.result["words"]
    backup = Path(done.step("reembed").evidence["collections"]["notes"]["backup"])
    assert backup.is_relative_to(ended.folder)
    for act in (versions.stop, versions.resume):
        with pytest.raises(ReleaseError):
            act(done)
    assert versions.undo().state == "undone" and in_use()["version"] == "v0.1"
    assert [one.state for one in versions.updates()] == ["undone"]


def test_stopped_before_the_switch(suite: str) -> None:
    update = versions.start({"primary": "two"}, suite=suite)
    until(lambda: "answers" in jobs.get(update.job).message, update.job)
    stopped = versions.stop(update.id[:5])
    assert stopped.state == "stopped" and stopped.ended_at is not None
    assert jobs.wait(update.job, PATIENCE).state == "cancelled"
    assert versions.find(update.id).error == "It was stopped. Nothing was changed."
    with pytest.raises(ReleaseError, match="has ended"):
        versions.stop(update)
    assert len(releases.history()) == 1
    versions.resume(update)
    assert jobs.wait(update.job, PATIENCE).state == "done", jobs.log_text(update.job)
    assert versions.find("v0.2").state == "done"


def test_a_failed_job_tells_why(suite: str, engine: Engine) -> None:
    engine.copy("two", "candidate")
    update = versions.start({"primary": "candidate"}, suite=suite)
    until(lambda: versions.find(update.id).step("smoke").state != "waiting", update.job)
    engine.delete("candidate")
    ended = jobs.wait(update.job, PATIENCE)
    found = versions.find(update.id)
    assert ended.state == found.state == "failed" and found.error
    assert "candidate" in (ended.error or "") and in_use()["version"] == "v0.1"

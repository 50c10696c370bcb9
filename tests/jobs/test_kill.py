"""kill -9 of anything at any moment: no record is lost, the next call works, nothing runs twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from sqlalchemy import update

from workbench.jobs import (
    Job,
    get,
    history,
    jobs,
    resume,
    submit,
    supervisor_pid,
    wait,
)
from workbench.jobs._launch import home_id
from workbench.jobs._process import ProcessIdentity, end_group, identity, lives
from workbench.jobs._records import now
from workbench.store import StoredJob, session

PATIENCE = 60


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def begun(job: Job) -> Job:
    until(lambda: get(job.id).fraction is not None, "the job began")
    return get(job.id)


def worker_pid(job: Job) -> int | None:
    with session(read_only=True) as opened:
        row = opened.query(StoredJob).filter_by(id=job.id).one()
        return row.pid if row.state == "running" else None


def kill(pid: int | None) -> None:
    if pid is not None:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def supervisors() -> list[int]:
    """The supervisor processes of this home. (A fork on its way to become a worker is none.)"""

    def found() -> dict[int, int]:
        parents = {}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if (
                    "workbench.jobs._supervisor" in process.cmdline()
                    and process.status() != "zombie"
                    and process.environ().get("WORKBENCH_HOME") == os.environ["WORKBENCH_HOME"]
                ):
                    parents[process.pid] = process.ppid()
        return parents

    first = found()
    time.sleep(0.05)
    second = found()
    return [pid for pid, parent in second.items() if pid in first and parent not in first]


def test_a_killed_worker_is_seen_and_resumed() -> None:
    job = begun(submit("job_targets:steps", {"count": 40, "pause": 0.05}))
    kill(worker_pid(job))
    ended = wait(job.id, PATIENCE)
    assert ended.state == "interrupted"
    assert ended.error is not None and "Resume the job" in ended.error
    assert ended.ended_at is not None
    until(lambda: "SIGKILL" in (get(job.id).error or ""), "its parent said what killed it")
    resume(job.id)
    assert wait(job.id, PATIENCE).state == "done"
    noted = [int(line) for line in (job.folder / "steps").read_text().split()]
    assert noted == list(range(40))


def test_a_death_is_seen_without_a_supervisor() -> None:
    """Both die: whoever looks sees it, and says so at once."""
    job = begun(submit("job_targets:crawl"))
    kill(supervisor_pid())
    kill(worker_pid(job))
    until(lambda: get(job.id).state == "interrupted", "seen as interrupted")
    assert jobs("interrupted") == [get(job.id)]
    assert jobs("running") == []


def test_a_killed_supervisor_is_replaced_and_its_jobs_go_on() -> None:
    running = begun(submit("job_targets:steps", {"count": 60, "pause": 0.05}))
    queued = submit("job_targets:add", {"a": 1})
    kill(supervisor_pid())
    ended = wait(queued.id, PATIENCE)  # to look is enough to start another
    assert ended.state == "done"
    first = get(running.id)
    assert (first.state, first.attempts) == ("done", 1), "it went on, and was waited for"
    assert first.ended_at is not None and ended.started_at is not None
    assert first.ended_at <= ended.started_at


def test_a_killed_submitter_leaves_the_job_running() -> None:
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from workbench.jobs import submit\n"
        "print(submit('job_targets:steps', {'count': 20, 'pause': 0.05}).id, flush=True)\n"
        "time.sleep(60)"
    )
    here = str(Path(__file__).parent)
    with subprocess.Popen([sys.executable, "-c", code, here], stdout=subprocess.PIPE) as submitter:
        assert submitter.stdout is not None
        id = submitter.stdout.readline().decode().strip()
        submitter.kill()
    assert wait(id, PATIENCE).state == "done"


def test_many_starters_make_one_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_MAX_JOBS", "4")
    code = (
        "from workbench.jobs import submit; from workbench.jobs._start import ensure_supervisor\n"
        "print(submit('job_targets:add', {'a': 1}).id)\n"
        "for _ in range(20): ensure_supervisor()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    starters = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
        for _ in range(4)
    ]
    ids = [starter.communicate(timeout=PATIENCE)[0].decode().strip() for starter in starters]
    assert all(starter.returncode == 0 for starter in starters)
    assert len(supervisors()) == 1
    assert {wait(id, PATIENCE).state for id in ids} == {"done"}
    assert supervisors() == [supervisor_pid()]


def test_two_workers_for_one_job() -> None:
    """The second one leaves the job alone, whatever made somebody start it."""
    job = begun(submit("job_targets:steps", {"count": 40, "pause": 0.05}))
    again = subprocess.run(
        [sys.executable, "-P", "-m", "workbench.jobs._worker", job.id], timeout=PATIENCE
    )
    assert again.returncode == 75
    ended = wait(job.id, PATIENCE)
    assert (ended.state, ended.attempts, ended.result) == ("done", 1, 40)


def test_a_worker_that_was_taken_for_dead_says_that_it_lives() -> None:
    job = begun(submit("job_targets:crawl", {"seconds": 4}))
    with session() as opened:
        opened.execute(
            update(StoredJob)
            .where(StoredJob.id == job.id)
            .values(state="interrupted", ended_at=now(), error="wrongly")
        )
    until(lambda: get(job.id).state == "running", "its next heartbeat said it")
    ended = wait(job.id, PATIENCE)
    assert (ended.state, ended.attempts, ended.error) == ("done", 1, None)


def test_a_reboot() -> None:
    """The process that had the job belongs to an earlier start of the machine."""
    ago = now() - timedelta(minutes=5)
    row = StoredJob(
        id="rebooted",
        home=home_id(),
        title="",
        kind="",
        target="job_targets:add",
        arguments={"a": 3},
        state="running",
        attempts=1,
        fraction=0.5,
        created_at=ago,
        queued_at=ago,
        started_at=ago,
        heartbeat_at=ago,
        pid=os.getpid(),
        pid_started="12345",
        boot="an earlier start",
    )
    with session() as opened:
        opened.add(row)
    found = get("rebooted")
    assert (found.state, found.fraction, found.ended_at) == ("interrupted", 0.5, ago)
    resume("rebooted")
    assert wait("rebooted", PATIENCE).result == {"sum": 3}


def test_who_lives() -> None:
    me = identity(os.getpid())
    assert me is not None
    ago = now() - timedelta(hours=1)
    assert lives(me, ago), "a long pause is no death where the process can be seen"
    assert not lives(replace(me, started="1"), now()), "the id is another's by now"
    rebooted = replace(me, boot="an earlier start")
    assert not lives(rebooted, ago)
    assert lives(rebooted, now()), "in another container only the heartbeat tells"
    assert not lives(None, None)
    assert identity(2**22 + 1) is None


def test_signals_never_reach_a_stranger() -> None:
    """A group whose number is another's by now."""
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        real = identity(stranger.pid)
        assert real is not None
        for stale in (
            ProcessIdentity(stranger.pid, "1", real.boot),
            replace(real, boot="an earlier start"),
        ):
            end_group("some-job", stale, signal.SIGKILL)
        time.sleep(0.2)
        assert stranger.poll() is None
        end_group("some-job", real, signal.SIGKILL)
        assert stranger.wait(10) == -signal.SIGKILL
    finally:
        stranger.kill()
        stranger.wait()


def test_what_a_killed_worker_left_running_is_ended() -> None:
    job = begun(submit("job_targets:stubborn"))
    child = psutil.Process(int((job.folder / "child").read_text()))
    kill(worker_pid(job))
    assert wait(job.id, PATIENCE).state == "interrupted"
    until(lambda: not child.is_running() or child.status() == "zombie", "the child ended")


@pytest.mark.parametrize("seed", [int(os.environ.get("CHAOS_SEED", "1"))])
def test_chaos(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers, supervisors and submitters die at random moments while jobs run two at a time."""
    chance = random.Random(seed)
    monkeypatch.setenv("WORKBENCH_MAX_JOBS", "2")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from workbench.jobs import submit\n"
        "for n in range(3):\n"
        "    print(submit('job_targets:steps', {'count': 50, 'pause': 0.03}).id, flush=True)\n"
        "import time; time.sleep(60)"
    )
    here = str(Path(__file__).parent)
    with subprocess.Popen([sys.executable, "-c", code, here], stdout=subprocess.PIPE) as submitter:
        assert submitter.stdout is not None
        told = [submitter.stdout.readline().decode().strip()]
        time.sleep(chance.random() * 0.1)
        submitter.kill()
        told += submitter.stdout.read().decode().split()
    for _ in range(10):
        time.sleep(chance.random() * 0.8)
        assert len(supervisors()) <= 1
        victims = [worker_pid(job) for job in jobs("running")] or [supervisor_pid()]
        kill(chance.choice([*victims, supervisor_pid()]))
        for job in jobs("interrupted"):
            resume(job.id)
    known = {job.id for job in jobs()}
    assert set(told) <= known, "what submit returned is in the store"
    for id in known:
        while wait(id, PATIENCE).state == "interrupted":
            resume(id)
        job = get(id)
        assert (job.state, job.error, job.result) == ("done", None, 50), (
            "it never ran twice at once"
        )
        noted = [int(line) for line in (job.folder / "steps").read_text().split()]
        assert noted == list(range(50))
        stored = [int(row.metrics["step"]) for row in history(id)]
        assert set(noted) == set(stored), "every step that the job went past is in the store"
        assert len(stored) - len(noted) <= job.attempts
    assert len(supervisors()) <= 1

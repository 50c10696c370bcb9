"""`workbench jobs` on real jobs, piped and on a terminal."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from workbench import jobs

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Terminal = Callable[..., pexpect.spawn]


@pytest.fixture(autouse=True)
def targets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Jobs find their functions; no supervisor outlives the test."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    yield
    for job in jobs.jobs():
        if not job.ended:
            jobs.cancel(job.id)
            jobs.wait(job.id, 20)
    jobs.stop_supervisor()


def test_watch_list_show_and_log(run: Run) -> None:
    job = jobs.submit("cli_targets:count", {"steps": 3}, title="Count to three", kind="test")
    watched = run("jobs", "watch", job.id)
    assert watched.returncode == 0
    assert watched.stdout == ""
    assert "Count to three" in watched.stderr
    assert "\x1b" not in watched.stderr, "no bar in a pipe"

    listed = run("jobs", "list").stdout.splitlines()
    assert listed[0].split()[:3] == ["ID", "STATE", "DONE"]
    assert listed[1].startswith(job.id) and "done" in listed[1] and "Count to three" in listed[1]

    shown = run("jobs", "show", job.id).stdout
    assert "{'steps': 3}" in shown and "cli_targets:count" in shown
    assert "counting" in run("jobs", "log", job.id).stdout


def test_json_is_quiet_and_whole(run: Run) -> None:
    job = jobs.submit("cli_targets:count", {"steps": 3}, title="Count")
    watched = run("jobs", "watch", job.id, "--json")
    assert watched.stderr == ""
    rows = [json.loads(line) for line in watched.stdout.splitlines()]
    assert rows[-1]["state"] == "done" and rows[-1]["result"] == {"steps": 3}
    assert rows[-1]["metrics"]["loss"] == pytest.approx(3.8)
    assert [row["id"] for row in json.loads(run("jobs", "list", "--json").stdout)] == [job.id]
    assert "counting" in json.loads(run("jobs", "log", job.id, "--json").stdout)["log"]
    assert json.loads(run("jobs", "list", "--state", "failed", "--json").stdout) == []


def test_a_bar_with_the_loss_on_a_terminal(terminal: Terminal) -> None:
    job = jobs.submit("cli_targets:count", {"steps": 40}, title="Count")
    child = terminal("jobs", "watch", job.id)
    child.expect(r"Count: .*━.*%.*loss \d")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0


def test_ctrl_c_stops_watching_and_not_the_job(terminal: Terminal, run: Run) -> None:
    job = jobs.submit("cli_targets:count", {"steps": 600}, title="Long")
    child = terminal("jobs", "watch", job.id)
    child.expect("loss")
    child.sendintr()
    child.expect(f"workbench jobs cancel {job.id}")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 130
    assert jobs.get(job.id).state == "running"
    assert run("jobs", "cancel", job.id).returncode == 0
    assert jobs.wait(job.id, 20).state == "cancelled"


def test_resume_goes_on(run: Run) -> None:
    job = jobs.submit("cli_targets:count", {"steps": 600})
    while jobs.get(job.id).state == "queued":
        time.sleep(0.05)
    assert json.loads(run("jobs", "cancel", job.id, "--json").stdout)["id"] == job.id
    jobs.wait(job.id, 20)
    resumed = run("jobs", "resume", job.id)
    assert resumed.returncode == 0 and f"workbench jobs watch {job.id}" in resumed.stdout
    assert jobs.get(job.id).state in {"queued", "running"}


def test_a_job_that_fails_fails_its_watcher(run: Run) -> None:
    job = jobs.submit("cli_targets:fail", title="Doomed")
    watched = run("jobs", "watch", job.id)
    assert watched.returncode == 1
    assert "there is no such thing" in watched.stderr.splitlines()[-1]
    assert f"workbench jobs log {job.id}" in watched.stderr


def test_a_hostile_log_is_neutralised_on_a_terminal(terminal: Terminal, run: Run) -> None:
    job = jobs.submit("cli_targets:last_words")
    jobs.wait(job.id, 30)
    child = terminal("jobs", "log", job.id)
    child.expect(pexpect.EOF)
    assert "␛[2Jcleared␛]0;title␇" in child.before
    assert "\x1b[2J" in run("jobs", "log", job.id).stdout, "a pipe gets it as it is"


@pytest.mark.parametrize("name", ["show", "resume"])
def test_there_is_no_such_job(run: Run, name: str) -> None:
    done = run("jobs", name, "nosuchjob")
    assert done.returncode == 3
    assert "nosuchjob" in done.stderr and "Traceback" not in done.stderr


def test_following_a_log_ends_with_the_job(command: str) -> None:
    job = jobs.submit("cli_targets:count", {"steps": 20})
    with subprocess.Popen(
        [command, "jobs", "log", job.id, "--follow"], stdout=subprocess.PIPE, text=True
    ) as process:
        text, _ = process.communicate(timeout=60)
    assert jobs.get(job.id).state == "done"
    assert text.splitlines().count("counting") == 1
    assert process.returncode == 0


def test_sigterm_ends_a_watcher_at_once(command: str) -> None:
    job = jobs.submit("cli_targets:count", {"steps": 600})
    with subprocess.Popen([command, "jobs", "watch", job.id], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM

"""`workbench doctor`, `hardware`, `starter` and `engine serve`."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from workbench import jobs
from workbench.settings import home

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_the_doctor_fails_without_an_engine_and_says_what_to_do(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_ENGINE", "embedded")
    done = run("doctor")
    assert done.returncode == 1 and done.stderr == ""
    lines = done.stdout.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("FAIL  engine"))
    assert lines[place + 2].strip() == "$ workbench engine start"
    told = json.loads(run("doctor", "--json").stdout)
    assert told["ok"] is False
    assert {check["name"] for check in told["checks"]} >= {"home", "store", "engine", "packages"}


@pytest.mark.usefixtures("engine")
def test_the_doctor_is_content_with_an_engine(run: Run) -> None:
    done = run("doctor", "--thorough")
    assert done.returncode == 0, done.stdout
    assert "said 1 token" in done.stdout and "embed:latest" in done.stdout


def test_hardware(run: Run) -> None:
    told = json.loads(run("hardware", "--json").stdout)
    assert told["logical_cores"] >= 1 and told["disk_free"] > 0
    assert told["cpu"] in run("hardware").stdout


def test_starter_submits_a_job(run: Run) -> None:
    done = run("starter", "--minutes", "0.5", "--name", "small", "--replace", "--detach", "--json")
    job = json.loads(done.stdout)
    try:
        assert job["target"] == "workbench.starter:build_starter"
        assert job["arguments"] == {"minutes": 0.5, "name": "small", "replace": True}
    finally:
        jobs.cancel(job["id"])
        jobs.wait(job["id"], 30)
        jobs.stop_supervisor()


def test_starter_refuses_a_name_before_it_trains(run: Run) -> None:
    done = run("starter", "--name", "../x")
    assert done.returncode == 1 and "invalid model name" in done.stderr
    assert jobs.jobs() == []


def test_serve_runs_here_until_ctrl_c(command: str, run: Run) -> None:
    with subprocess.Popen(
        [command, "engine", "serve", "--port", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while not (home() / "engine" / "engine.json").exists():
            assert process.poll() is None
            time.sleep(0.05)
        facts = json.loads((home() / "engine" / "engine.json").read_text())
        assert facts["pid"] == process.pid, "signals reach the engine itself"
        assert run("engine", "start").stdout == f"The engine answers at {facts['url']}\n"
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert not (home() / "engine" / "engine.json").exists()

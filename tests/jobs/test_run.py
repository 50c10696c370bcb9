"""Jobs that end by themselves: what they get, what they give, what is said when they fail."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import JobError, SettingsError
from workbench.jobs import Job, get, history, jobs, log_text, submit, wait, watch
from workbench.jobs._process import identity

pytestmark = pytest.mark.usefixtures("shared_home")
PATIENCE = 60


def run(target: str, arguments: dict[str, Any] | None = None) -> Job:
    job = wait(submit(target, arguments).id, PATIENCE)
    assert job.ended, log_text(job.id)
    return job


def test_submit_run_done_history() -> None:
    submitted = submit("job_targets:add", {"a": 1, "b": 2}, title="Sum", kind="sums")
    assert (submitted.state, submitted.attempts) == ("queued", 0)
    job = wait(submitted.id, PATIENCE)
    assert (job.state, job.result, job.error) == ("done", {"sum": 3}, None)
    assert (job.title, job.kind, job.arguments) == ("Sum", "sums", {"a": 1, "b": 2})
    assert (job.fraction, job.message, job.attempts) == (1.0, "halfway", 1)
    assert job.metrics == {"step": 1, "loss": 0.25}
    assert job.started_at is not None and job.ended_at is not None
    assert job.created_at <= job.started_at <= job.ended_at
    (row,) = history(job.id)
    assert (row.fraction, row.message, row.metrics) == (0.5, "halfway", {"step": 1, "loss": 0.25})
    assert history(job.id, after=row.id) == []
    assert "adding 1 2" in log_text(job.id)
    assert job == get(job.id)
    assert job.id in [found.id for found in jobs("done")]
    assert job.id not in [found.id for found in jobs("failed")]


def test_the_process_of_a_job(monkeypatch: pytest.MonkeyPatch, shared_home: Path) -> None:
    monkeypatch.setenv("TEST_VARIABLE", "as when submitted")
    job = run("job_targets:where")
    assert job.result["cwd"] == job.result["folder"] == str(job.folder)
    assert job.folder == shared_home / "jobs" / job.id
    assert job.result["variable"] == "as when submitted"
    assert job.result["session"], "a terminal's Ctrl-C would reach it"
    assert job.result["stdin"] == ""
    assert job.result["pid"] != os.getpid()
    assert "launch.json" not in job.result["files"], "the environment may hold keys"
    log = log_text(job.id)
    for words in ("a log line", "printed", "from a child", "on stderr"):
        assert words in log
    assert (job.folder / "log.txt").stat().st_mode & 0o077 == 0


def test_a_later_submitters_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor was started by another, with another environment."""
    run("job_targets:add", {"a": 1})
    monkeypatch.setenv("TEST_VARIABLE", "new")
    assert run("job_targets:where").result["variable"] == "new"


def test_attributes_can_be_targets() -> None:
    assert run("job_targets:Group.double", {"a": 4}).result == 8


def test_a_job_may_submit_jobs() -> None:
    outer = run("job_targets:submit_another")
    assert wait(outer.result, PATIENCE).result == {"sum": 21}


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("add", "package.module:function"),
        ("job_targets.add", "package.module:function"),
        ("job_targets:", "package.module:function"),
        ("job_targets:add()", "package.module:function"),
        ("../x:y", "package.module:function"),
        ("os;x:y", "package.module:function"),
        ("", "package.module:function"),
        ("__main__:f", "Put it into a module"),
        ("no_such_package.x:f", "no module 'no_such_package'"),
    ],
)
def test_targets_that_cannot_be(target: str, words: str) -> None:
    before = len(jobs())
    with pytest.raises(JobError, match=words.replace(".", r"\.")):
        submit(target)
    assert len(jobs()) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"a": object()}, "must be JSON"),
        ({"a": float("nan")}, "must be JSON"),
        ({"a": {1, 2}}, "must be JSON"),
        ({"a": "\ud800"}, "must be JSON"),
        ({1: 2}, "text as keys"),
        ({"a": "x" * 2_000_000}, "2.0 MB"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[Any, Any], words: str) -> None:
    with pytest.raises(JobError, match=words):
        submit("job_targets:add", arguments)


def test_senseless_setting_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_MAX_JOBS", "many")
    with pytest.raises(SettingsError, match="WORKBENCH_MAX_JOBS must be a whole number"):
        submit("job_targets:add")


FAILURES: list[tuple[str, dict[str, Any], str]] = [
    ("job_targets:absent", {}, "The module 'job_targets' has no function 'absent'."),
    ("job_targets.deeper:f", {}, "There is no module 'job_targets.deeper'"),
    ("job_targets:CONSTANT", {}, "is no function, but a int"),
    ("job_targets:add", {"c": 1}, "The arguments do not fit job_targets:add(job"),
    ("job_targets:add", {"job": 1, "a": 1}, "The arguments do not fit"),
    ("job_targets:fail", {"how": "ours"}, "invalid model name"),
    ("job_targets:fail", {"how": "theirs"}, "ValueError: first line"),
    ("job_targets:fail", {"how": "silent"}, "RuntimeError"),
    ("job_targets:fail", {"how": "exit"}, "SystemExit: 3"),
    ("job_targets:fail", {"how": "nul"}, "ValueError: ab?"),
    ("job_targets:give", {"what": "object"}, "What a job returns must be JSON"),
    ("job_targets:give", {"what": "large"}, "2.0 MB of JSON"),
]


def test_failures_in_one_sentence() -> None:
    submitted = [submit(target, arguments).id for target, arguments, _ in FAILURES]
    for id, (target, _, words) in zip(submitted, FAILURES, strict=True):
        job = wait(id, PATIENCE)
        assert (job.target, job.state, job.result) == (target, "failed", None)
        assert words in (job.error or "")
        assert "\n" not in (job.error or "")
        assert "Traceback" in log_text(job.id)


def test_processes_that_die_by_themselves() -> None:
    job = run("job_targets:fail", {"how": "hard exit"})
    assert (job.state, job.attempts) == ("interrupted", 1)
    job = run("job_targets:fail", {"how": "segfault"})
    assert job.state == "interrupted"
    assert "Segmentation fault" in log_text(job.id), "the log holds the last words"
    deadline = time.monotonic() + 10  # who looked first may only know that it is gone
    while "SIGSEGV" not in (get(job.id).error or "") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "SIGSEGV" in (get(job.id).error or "")


def test_odd_reports() -> None:
    job = run("job_targets:report_oddly")
    rows = history(job.id)
    assert [row.fraction for row in rows] == [None, 1.0, 0.0, None]
    assert rows[1].message == "too much"
    assert len(rows[2].message) == 1000
    assert str(rows[1].metrics["loss"]) == "nan"
    assert rows[2].metrics["loss"] == float("inf")
    assert job.metrics["loss"] == -0.5


def test_reports_without_a_step_are_thinned_out_and_the_last_is_kept() -> None:
    job = run("job_targets:report_much", {"count": 20_000})
    rows = history(job.id)
    assert len(rows) < 100
    assert rows[-1].message == "at 19999"
    assert job.message == "at 19999"
    assert job.metrics["value"] == 19_999


def test_no_report_with_a_step_is_lost() -> None:
    job = run("job_targets:steps", {"count": 1000})
    rows = history(job.id)
    assert [row.metrics["step"] for row in rows] == list(range(1000))
    middle = rows[499].id
    assert [row.metrics["step"] for row in history(job.id, after=middle)] == list(range(500, 1000))


def test_reports_wait_while_the_disk_is_full() -> None:
    job = run("job_targets:steps_on_a_full_disk")
    assert job.state == "done", job.error
    assert "could not be stored yet" not in (job.error or "")
    assert [row.metrics["step"] for row in history(job.id)] == list(range(60))


def test_watch_ends_with_the_end() -> None:
    job = submit("job_targets:steps", {"count": 8, "pause": 0.15})
    seen = list(watch(job.id))
    assert seen[-1].state == "done"
    assert len({found.fraction for found in seen}) > 2
    fractions = [found.fraction or 0 for found in seen]
    assert fractions == sorted(fractions)


def test_wait_with_a_timeout_returns_the_job_as_it_is() -> None:
    job = wait(submit("job_targets:crawl", {"seconds": 2}).id, timeout=0.1)
    assert not job.ended
    assert wait(job.id, PATIENCE).result == "all of it"


def test_log_stays_bounded_and_keeps_the_end() -> None:
    job = run("job_targets:chatter", {"megabytes": 12})
    size = sum(file.stat().st_size for file in job.folder.glob("log*.txt"))
    assert size < 11_000_000
    assert log_text(job.id, tail=1) == "the last words"
    assert log_text(job.id, tail=0) == ""


def test_a_thread_that_stays_does_not_keep_the_process() -> None:
    job = run("job_targets:leave_a_thread")
    assert job.state == "done"
    deadline = time.monotonic() + PATIENCE
    while identity(job.result) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert identity(job.result) is None


@pytest.mark.parametrize("id", ["0000000000", "", "../../etc", "'; drop table jobs", "x" * 10_000])
def test_unknown_jobs(id: str) -> None:
    from workbench.jobs import cancel, resume

    for look in (get, cancel, resume, history, log_text, wait, lambda id: next(watch(id))):
        with pytest.raises(JobError, match="There is no job"):
            look(id)


def test_unknown_state() -> None:
    with pytest.raises(JobError, match="one of queued, running"):
        jobs("finished")

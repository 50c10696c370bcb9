"""The same store and the same jobs in a real PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from workbench import fit, jobs
from workbench.errors import JobError, StoreError
from workbench.store import SCHEMA, Base, StoredJob, engine, session

PATIENCE = 60
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture(autouse=True)
def ended(postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test has a database; the supervisor and the connections it leaves are ended."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "jobs"))
    yield
    pid = jobs.supervisor_pid()
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    engine().dispose()


def test_the_tables() -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine().connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": "workbench_schema", "compare_type": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_many_processes_open_a_new_store_at_once() -> None:
    code = (
        "import sys; from workbench.store import *; from datetime import *\n"
        "at = datetime.now(UTC)\n"
        "with session() as s:\n"
        "    s.add(StoredJob(id=sys.argv[1], home='h', title='', kind='', target='',\n"
        "        arguments={}, state='done', created_at=at, queued_at=at))"
    )
    openers = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(4)]
    assert [opener.wait(PATIENCE) for opener in openers] == [0] * 4
    with session(read_only=True) as opened:
        assert opened.scalar(select(func.count()).select_from(StoredJob)) == 4
        assert opened.execute(text("SELECT * FROM workbench_schema")).all() == [(SCHEMA,)]


def test_a_job_from_submit_to_done() -> None:
    job = jobs.wait(
        jobs.submit("job_targets:add", {"a": 1, "b": 2}, title="Sum ü\x00").id, PATIENCE
    )
    assert (job.state, job.result, job.title) == ("done", {"sum": 3}, "Sum ü")
    assert job.created_at.tzinfo is UTC
    assert jobs.jobs() == [job]
    assert [row.metrics for row in jobs.history(job.id)] == [{"step": 1, "loss": 0.25}]


def test_numbers_that_json_has_not() -> None:
    job = jobs.wait(jobs.submit("job_targets:report_oddly").id, PATIENCE)
    assert job.state == "done", job.error
    assert [str(row.metrics.get("loss")) for row in jobs.history(job.id)] == [
        "None",
        "nan",
        "inf",
        "-0.5",
    ]


def test_cancel_kill_and_resume() -> None:
    job = jobs.submit("job_targets:steps", {"count": 40, "pause": 0.05})
    deadline = time.monotonic() + PATIENCE
    while jobs.get(job.id).fraction is None and time.monotonic() < deadline:
        time.sleep(0.05)
    with session(read_only=True) as opened:
        pid = opened.scalars(select(StoredJob)).one().pid
    assert pid is not None
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
    assert jobs.wait(job.id, PATIENCE).state == "interrupted"
    jobs.resume(job.id)
    assert jobs.wait(job.id, PATIENCE).result == 40
    assert len({row.metrics["step"] for row in jobs.history(job.id)}) == 40
    other = jobs.submit("job_targets:crawl")
    jobs.cancel(other.id)
    assert jobs.wait(other.id, PATIENCE).state == "cancelled"


def test_two_homes_share_a_server_and_not_their_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = jobs.wait(jobs.submit("job_targets:add", {"a": 1}).id, PATIENCE)
    first = os.environ["WORKBENCH_HOME"]
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "another"))
    assert jobs.jobs() == []
    with pytest.raises(JobError, match="There is no job"):
        jobs.get(mine.id)
    monkeypatch.setenv("WORKBENCH_HOME", first)
    assert jobs.jobs() == [mine]


def test_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.fit._ledger.KEEP", 3)
    guess = fit.Estimate(1e9, 8e8, 1.25e9, "formula")
    for n in range(12):
        fit.record(
            fit.Measurement(
                "memory_ram",
                1.3e9,
                "embedded-cpu",
                "llama",
                f"m\x00ü{n % 3}\ud800",
                load=fit.Load(context=n + 1),
                formula=guess,
                details={"\x00": "\x00 \ud800"},
                key="same" if n > 9 else "",
            )
        )
    (row,) = fit.errors()
    assert (row.count, row.newest.tzinfo) == (9, UTC)
    assert row.bias == pytest.approx(1 / 1.3 - 1)
    now = fit.corrected(guess, quantity="memory_ram", backend="embedded-cpu", architecture="llama")
    assert 1.2e9 < now.value < 1.3e9
    fit.save_calibration({"bandwidth": 1e10, "name": "\x00"})
    assert (fit.latest_calibration() or {})["bandwidth"] == 1e10


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda url: url.replace("127.0.0.1", "127.0.0.2"), "does not answer. Check"),
        (lambda url: url.replace("tester@", "nobody:secret@"), "Check that the server runs"),
        (lambda url: url + "_not", "Check that the server runs"),
    ],
)
def test_a_server_that_cannot_be_used(
    change: Callable[[str], str], words: str, postgres: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_DATABASE_URL", change(postgres))
        with pytest.raises(StoreError, match=words) as caught:
            engine()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_connection_that_broke_is_replaced() -> None:
    with session() as opened:
        opened.execute(text("SELECT 1"))
    with suppress(StoreError), session() as opened:
        opened.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with session() as opened:
        assert opened.scalar(text("SELECT 2")) == 2

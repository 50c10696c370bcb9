"""The SQLite store: what it keeps, opened by many, killed at any moment."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError, StatementError
from store.stored import AT, count, job

from workbench.settings import home
from workbench.store import (
    SCHEMA,
    Base,
    StoredCalibration,
    StoredJob,
    StoredProgress,
    engine,
    session,
)


def in_child(work: Callable[[], None]) -> int:
    """Run it in a forked child; its process id."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def test_what_is_written_is_read() -> None:
    with session() as opened:
        opened.add(job("a", result=[1, {"x": None}], metrics={"loss": 0.5}))
    with session(read_only=True) as opened:
        found = opened.scalars(select(StoredJob)).one()
    assert (found.id, found.result, found.metrics) == ("a", [1, {"x": None}], {"loss": 0.5})
    assert (found.attempts, found.message, found.error) == (0, "", None)
    assert found.created_at == AT, "usable after the session, and aware"


def test_times_are_kept_in_utc() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=9)))
    with session() as opened:
        opened.add(job("a", started_at=elsewhere))
    with session(read_only=True) as opened:
        found = opened.scalars(select(StoredJob)).one()
    assert found.started_at == AT
    assert found.started_at.tzinfo is UTC
    with pytest.raises(StatementError, match="must have a time zone"), session() as opened:
        opened.add(job("b", started_at=datetime(2026, 1, 1)))


def test_an_exception_rolls_back() -> None:
    with pytest.raises(KeyError), session() as opened:
        opened.add(job("a"))
        opened.flush()
        raise KeyError
    assert count() == 0


def test_foreign_keys_are_enforced_and_cascade() -> None:
    lost = StoredProgress(job=77, attempt=1, at=AT, message="", metrics={})
    with pytest.raises(IntegrityError), session() as opened:
        opened.add(lost)
    with session() as opened:
        opened.add(job("a"))
        opened.flush()
        opened.add(StoredProgress(job=1, attempt=1, at=AT, message="", metrics={}))
    with session() as opened:
        opened.delete(opened.scalars(select(StoredJob)).one())
    with session(read_only=True) as opened:
        assert opened.scalars(select(StoredProgress)).all() == []


def test_ids_of_reports_are_never_given_again() -> None:
    """Readers ask for what is newer than an id."""
    ids = []
    for _ in range(2):
        with session() as opened:
            opened.add(job("a"))
        with session() as opened:
            row = opened.scalars(select(StoredJob)).one()
            report = StoredProgress(job=row.number, attempt=1, at=AT, message="", metrics={})
            opened.add(report)
            opened.flush()
            ids.append(report.id)
            opened.delete(row)
    assert ids[1] > ids[0]


def test_the_files_are_private() -> None:
    with session() as opened:
        opened.add(job("a"))
        for file in home().glob("workbench.db*"):
            assert file.stat().st_mode & 0o077 == 0, file


def test_how_sqlite_is_set_up() -> None:
    with engine().connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": 1,
        "busy_timeout": 30_000,
    }


def test_migrations_make_the_tables_of_the_code() -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    import workbench.store

    scripts = ScriptDirectory(str(Path(workbench.store.__file__).with_name("migrations")))
    assert scripts.get_heads() == [SCHEMA]
    with engine().connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": "workbench_schema", "compare_type": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_a_store_of_the_first_version_keeps_its_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.store import _migrate

    with monkeypatch.context() as patch:
        patch.setattr(_migrate, "SCHEMA", "0001")
        with session() as opened:
            opened.add(job("old", result={"x": 1}))
            opened.flush()
            opened.add(StoredProgress(job=1, attempt=1, at=AT, message="m", metrics={}))
        with engine().connect() as connection:
            tables = set(inspect(connection).get_table_names())
        assert tables == {"jobs", "job_progress", "workbench_schema"}
    engine().dispose()
    code = "from workbench.store import engine; engine()"
    openers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [opener.wait(60) for opener in openers] == [0] * 3
    with session() as opened:
        (kept,) = opened.scalars(select(StoredJob)).all()
        assert (kept.id, kept.result, kept.created_at) == ("old", {"x": 1}, AT)
        assert len(opened.scalars(select(StoredProgress)).all()) == 1
        assert opened.execute(text("SELECT * FROM workbench_schema")).all() == [(SCHEMA,)]
        opened.add(StoredCalibration(at=AT, machine="m", facts={"x": 1}))
    with session(read_only=True) as opened:
        assert opened.scalars(select(StoredCalibration)).one().facts == {"x": 1}


def test_a_current_store_opens_without_alembic() -> None:
    code = (
        "import sys; from workbench.store import session\n"
        "with session(): pass\n"
        "print('alembic' in sys.modules)"
    )
    for expected in ("True", "False"):
        said = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
        )
        assert said.stdout.strip() == expected


def test_the_database_is_shared_with_optuna() -> None:
    """It keeps its own migrations, in a table of Alembic's default name."""
    with sqlite3.connect(home() / "workbench.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('v3.2.0.a')")
    connection.close()
    with session() as opened:
        opened.add(job("a"))
        assert opened.execute(text("SELECT * FROM alembic_version")).all() == [("v3.2.0.a",)]
        assert opened.execute(text("SELECT * FROM workbench_schema")).all() == [(SCHEMA,)]


def test_many_processes_open_a_new_store_at_once() -> None:
    def write(who: int) -> None:
        for n in range(20):
            with session() as opened:
                opened.add(job(f"{who}-{n}"))

    children = [in_child(lambda who=who: write(who)) for who in range(6)]  # type: ignore[misc]
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 6
    assert count() == 120


def test_threads_share_the_engine() -> None:
    engines = []

    def write(n: int) -> None:
        engines.append(engine())
        with session() as opened:
            opened.add(job(str(n)))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count() == 12
    assert len(set(map(id, engines))) == 1


def test_reading_first_and_writing_later_is_safe() -> None:
    """Both add one to what they read; none is lost, and none is refused."""
    with session() as opened:
        opened.add(job("a", metrics={"n": 0}))

    def add() -> None:
        for _ in range(25):
            with session() as opened:
                row = opened.scalars(select(StoredJob)).one()
                row.metrics = {"n": row.metrics["n"] + 1}

    children = [in_child(add) for _ in range(4)]
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
    with session(read_only=True) as opened:
        assert opened.scalars(select(StoredJob)).one().metrics == {"n": 100}


def test_a_forked_child_gets_connections_of_its_own() -> None:
    with session() as opened:
        opened.add(job("a"))
    pid = in_child(lambda: None if count() == 1 else os._exit(9))
    assert os.waitpid(pid, 0)[1] == 0
    assert count() == 1


def test_killed_while_it_is_made() -> None:
    chance = random.Random(5)
    for _ in range(20):
        pid = in_child(lambda: engine().dispose())
        time.sleep(chance.random() * 0.15)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert count() == 0, "it opens, and is whole"
        for file in home().glob("workbench.db*"):
            file.unlink()


def test_killed_while_it_writes() -> None:
    """What a commit has confirmed is there."""
    chance = random.Random(7)
    with session() as opened:
        opened.add(job("first"))
    confirmed = 1
    for round_ in range(8):
        read_end, write_end = os.pipe()

        def write(round_: int = round_, write_end: int = write_end) -> None:
            for n in range(100_000):
                with session() as opened:
                    opened.add(job(f"{round_}-{n}"))
                os.write(write_end, b"x")

        pid = in_child(write)
        os.close(write_end)
        confirmed += len(os.read(read_end, 1))  # it writes now, however slow the machine is
        time.sleep(chance.random() * 0.1)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        with os.fdopen(read_end, "rb") as told:
            confirmed += len(told.read())
        found = count()
        assert confirmed <= found <= confirmed + 1, "one may be committed and not yet confirmed"
        confirmed = found
    assert confirmed > 8
    with engine().connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_opened_again_when_the_file_was_deleted() -> None:
    with session() as opened:
        opened.add(job("a"))
    for file in home().glob("workbench.db*"):
        file.unlink()
    assert count() == 0


def test_each_home_has_its_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with session() as opened:
        opened.add(job("a"))
    first = os.environ["WORKBENCH_HOME"]
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "another % home ü"))
    assert count() == 0
    monkeypatch.setenv("WORKBENCH_HOME", first)
    assert count() == 1

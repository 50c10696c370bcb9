"""The SQLite store: opened by many, killed at any moment, in places where it cannot be."""

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
from sqlalchemy import func, inspect, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from workbench.errors import MissingExtra, SettingsError, StoreError
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

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def job(id: str, **columns: object) -> StoredJob:
    return StoredJob(
        id=id,
        home="h",
        title="",
        kind="",
        target="a:b",
        arguments={},
        state="queued",
        created_at=AT,
        queued_at=AT,
        **columns,
    )


def count() -> int:
    with session(read_only=True) as opened:
        return opened.scalar(select(func.count()).select_from(StoredJob)) or 0


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


def test_written_by_a_newer_workbench() -> None:
    with session() as opened:
        opened.execute(text("UPDATE workbench_schema SET version_num = '9999'"))
    engine().dispose()
    said = subprocess.run(
        [sys.executable, "-c", "from workbench.store import engine; engine()"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "StoreError: The database was written by a newer workbench" in said.stderr
    assert "Upgrade the workbench" in said.stderr


def test_not_a_database() -> None:
    (home() / "workbench.db").write_bytes(b"this is a letter, not a database" * 100)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"is not a database\. Move the file away"):
            engine()
    assert (home() / "workbench.db").read_bytes().startswith(b"this is a letter")


def test_a_damaged_database() -> None:
    with session() as opened:
        opened.add(job("a"))
    engine().dispose()
    file = home() / "workbench.db"
    content = bytearray(file.read_bytes())
    content[100:4096] = b"\xff" * 3996  # the first page's tree
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    file.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"):
        count()


@pytest.mark.parametrize("folder", ["/sys", "/proc/sys"])
def test_a_folder_that_cannot_be_written(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", f"sqlite:///{folder}/workbench.db")
    with pytest.raises(StoreError, match=r"cannot be opened or made .*Set WORKBENCH_HOME"):
        engine()


def test_a_folder_in_place_of_the_file() -> None:
    (home() / "workbench.db").mkdir()
    with pytest.raises(StoreError, match="cannot be opened or made"):
        engine()


def test_a_database_that_may_only_be_read() -> None:
    with pytest.raises(StoreError, match="cannot be written"), session() as opened:
        opened.execute(text("PRAGMA query_only = ON"))
        opened.add(job("a"))
    engine().dispose()


def test_a_full_disk() -> None:
    """SQLite at its limit, then a write that the system refuses; all works when there is room."""
    with session() as opened:
        opened.add(job("a"))
    with pytest.raises(StoreError, match="the disk is full"), session() as opened:
        opened.execute(text("PRAGMA max_page_count = 1"))
        opened.add(job("b", message="x" * 500_000))
    engine().dispose()
    code = (
        "import resource; from workbench.errors import StoreError\n"
        "from workbench.store import engine, session; from sqlalchemy import text; engine()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))\n"
        "change = text('UPDATE jobs SET message = :m')\n"
        "try:\n"
        "    with session() as s: s.execute(change, {'m': 'x' * 500_000})\n"
        "except StoreError as error: print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)\n"
        "with session() as s: s.execute(change, {'m': 'fits'})\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "the disk is full or failing. Check it and try again" in said.stdout
    with session(read_only=True) as opened:
        assert [row.message for row in opened.scalars(select(StoredJob))] == ["fits"]


def test_held_by_another_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.store import _engine

    monkeypatch.setattr(_engine, "_BUSY_MILLISECONDS", 100)
    engine()
    other = sqlite3.connect(home() / "workbench.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert count() == 0, "readers do not wait"
        with pytest.raises(StoreError, match="busy for too long"), session() as opened:
            opened.add(job("a"))
    finally:
        other.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("rubbish", "is not a database's URL"),
        ("mysql://u:secret@h/d", "must begin with sqlite:/// or postgresql://, not mysql"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
    ],
)
def test_urls_that_make_no_sense(url: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", url)
    with pytest.raises(SettingsError, match=words) as caught:
        engine()
    assert "secret" not in str(caught.value)


def test_postgres_without_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", "postgresql://u@h/d")
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "psycopg", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'workbench\[postgres\]'"):
        engine()

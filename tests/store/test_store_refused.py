"""Stores that cannot be opened, read or written: newer, damaged, locked, full, in a wrong place."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest
from sqlalchemy import select, text
from store.stored import count, job

from workbench.errors import MissingExtra, SettingsError, StoreError
from workbench.settings import home
from workbench.store import StoredJob, engine, session


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

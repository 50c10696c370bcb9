"""Open the database and hand out sessions.

SQLite is set up for many processes at once: a write-ahead log, 30 s of patience for another's
write, foreign keys on. A transaction that may write begins with the write lock (BEGIN IMMEDIATE):
one that reads first and writes later would be refused at once when somebody wrote in between, and
no waiting helps it.

`synchronous = NORMAL`: every commit is in the operating system's hands before it returns, so a
process killed with -9 loses nothing; only a power cut can take the last commits, and never damages
the file. FULL would make every heartbeat of every job wait for the disk (measured on an SSD: 0.14
against 0.01 ms a commit; tens of ms on a hard disk).

The engine is kept per URL and process. It is opened again when the database's file was deleted or
replaced, and dropped in a forked child, which may not share its parent's connections.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from workbench.errors import MissingExtra, SettingsError, StoreError
from workbench.settings import database_url
from workbench.store._errors import in_words
from workbench.store._migrate import is_current, migrate

_BUSY_MILLISECONDS = 30_000
_READ_ONLY = "workbench_read_only"


@dataclass(frozen=True)
class _Open:
    engine: Engine
    identity: tuple[int, int] | None  # device and inode of an SQLite file


_opened: dict[str, _Open] = {}
_opening = threading.RLock()


def engine() -> Engine:
    """The engine of the configured database, opened and up to date. Raises StoreError."""
    text = database_url()
    known = _opened.get(text)
    if known is not None and (known.identity is None or known.identity == _identity(known.engine)):
        return known.engine
    with _opening:
        known = _opened.pop(text, None)
        if known is not None:
            if known.identity is None or known.identity == _identity(known.engine):
                _opened[text] = known  # another thread was quicker
                return known.engine
            known.engine.dispose()
        fresh = _open(_parse(text))
        _opened[text] = _Open(fresh, _identity(fresh))
        return fresh


@contextmanager
def session(*, read_only: bool = False) -> Iterator[Session]:
    """A transaction: committed at the end, rolled back on any exception.

    Without `read_only` it holds SQLite's write lock from the start, so keep it short. Objects stay
    usable after it. Raises StoreError when the database cannot be used.
    """
    bound = engine()
    url = bound.url
    if read_only:
        bound = bound.execution_options(**{_READ_ONLY: True})
    with in_words(url), Session(bound, expire_on_commit=False) as opened, opened.begin():
        yield opened


def _parse(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise SettingsError("WORKBENCH_DATABASE_URL is not a database's URL.") from None
    backend = url.get_backend_name()
    if backend in {"postgres", "postgresql"}:
        if find_spec("psycopg") is None:
            raise MissingExtra("psycopg", "postgres")
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise SettingsError(
            f"WORKBENCH_DATABASE_URL must begin with sqlite:/// or postgresql://, not {backend}."
        )
    if not url.database or url.database == ":memory:":
        raise SettingsError(
            "WORKBENCH_DATABASE_URL must name a file: jobs run in processes of their own, which "
            "cannot see a database in memory."
        )
    return url


def _open(url: URL) -> Engine:
    file = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
    if file is not None:
        _make_private(file)
        made = create_engine(url, connect_args={"timeout": _BUSY_MILLISECONDS / 1000})
        event.listen(made, "connect", _on_connect)
        event.listen(made, "begin", _on_begin)
    else:
        made = create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    try:
        with in_words(url, opening=True):
            with made.execution_options(**{_READ_ONLY: True}).connect() as connection:
                current = is_current(connection)
            if not current:
                migrate(made, file)
    except BaseException:
        made.dispose()
        raise
    return made


def _make_private(file: Path) -> None:
    """Create the file for the user alone; SQLite gives its -wal and -shm files the same mode."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(
            f"The database {file} cannot be opened or made ({error.strerror}). Set WORKBENCH_HOME "
            "or WORKBENCH_DATABASE_URL to a place that you can write to."
        ) from error


def _on_connect(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: _on_begin does
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    reads = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _identity(opened: Engine) -> tuple[int, int] | None:
    if opened.url.get_backend_name() != "sqlite":
        return None
    try:
        found = Path(opened.url.database or "").stat()
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def _forget_after_fork() -> None:
    global _opening
    _opening = threading.RLock()
    for known in _opened.values():
        known.engine.dispose(close=False)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_after_fork)

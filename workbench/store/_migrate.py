"""Bring the tables up to date, once, however many processes start at the same moment.

A current database costs one query, and Alembic is not even imported. Otherwise the change runs in
one transaction under a lock between processes (a file beside an SQLite database, an advisory lock
in PostgreSQL): killed in the middle it leaves the tables as they were.
The version is kept in a table of our own name, because Optuna, which shares the database, keeps
its own in Alembic's default one.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from workbench.errors import StoreError

SCHEMA = "0008"  # the newest migration
VERSION_TABLE = "workbench_schema"
_ADVISORY_KEY = 0x776F726B  # any number that is ours
_LOCK_SECONDS = 60.0


def is_current(connection: Connection) -> bool:
    """Whether the tables are this version's. Raises StoreError when they are a later one's."""
    version = _version(connection)
    if version is not None and version > SCHEMA:
        raise StoreError(
            f"The database was written by a newer workbench (tables {version}, this one knows "
            f"{SCHEMA}). Upgrade the workbench, or set WORKBENCH_HOME to another folder."
        )
    return version == SCHEMA


def migrate(engine: Engine, file: Path | None) -> None:
    """Upgrade under the lock; `file` is the SQLite database's, None for a server's."""
    if file is None:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})
            _upgrade(connection)
        return
    from filelock import FileLock, Timeout

    lock = file.with_name(file.name + ".lock")
    try:
        with FileLock(lock, timeout=_LOCK_SECONDS, mode=0o600):
            with engine.connect() as connection:
                _use_wal(connection)
            with engine.begin() as connection:
                _upgrade(connection)
    except Timeout:
        raise StoreError(
            f"Another process has been changing the database for {_LOCK_SECONDS:.0f} seconds. "
            f"Wait for it and try again; it holds {lock}."
        ) from None


def _use_wal(connection: Connection) -> None:
    """Write-ahead log: readers and one writer at once. The file remembers it."""
    raw = connection.connection.dbapi_connection
    assert raw is not None
    raw.cursor().execute("PRAGMA journal_mode = WAL")


def _upgrade(connection: Connection) -> None:
    if is_current(connection):
        return  # somebody was quicker
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, SCHEMA)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    return str(found) if found is not None else None

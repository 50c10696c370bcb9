"""Database errors in words. The original stays as the cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from workbench.errors import StoreError

_ADVICE = {
    "is not a database": "is not a database. Move the file away, or set WORKBENCH_HOME or "
    "WORKBENCH_DATABASE_URL to another place",
    "malformed": "is damaged. Move the file away (keep it: parts can be recovered with "
    "sqlite3's .recover) and start again",
    "readonly": "cannot be written. Give yourself the right to write it and its folder, or set "
    "WORKBENCH_HOME to a folder of your own",
    "unable to open": "cannot be opened or made. Check that its folder exists and is yours to "
    "write, or set WORKBENCH_HOME to a folder of your own",
    "is full": "cannot grow: the disk is full. Free some space and try again",
    "disk i/o": "cannot be read or written: the disk is full or failing. Check it and try again",
    "no space left": "cannot grow: its server's disk is full. Free some space and try again",
    "permission denied": "does not let this user make or use its tables. Ask for the right to, or "
    "set WORKBENCH_DATABASE_URL to another database",
    "is locked": "has been busy for too long. Another program holds it; try again, or close that "
    "program",
    "connection": "does not answer. Check that the server runs and that WORKBENCH_DATABASE_URL "
    "has the right host, port, name and password",
}


@contextmanager
def in_words(url: URL, *, opening: bool = False) -> Iterator[None]:
    """Turn what the database's driver raises into a StoreError that says what to do.

    Once it is open, a refused row or statement stays as it is: a mistake of ours, or expected.
    """
    try:
        yield
    except DBAPIError as error:
        if isinstance(error, IntegrityError | ProgrammingError) and not opening:
            raise
        raise StoreError(_sentence(url, str(error.orig))) from error


def _sentence(url: URL, original: str) -> str:
    name = url.database if url.get_backend_name() == "sqlite" else url.render_as_string()
    lowered = original.lower()
    for sign, advice in _ADVICE.items():
        if sign in lowered:
            return f"The database {name} {advice}. ({_first_line(original)})"
    return f"The database {name} cannot be used: {_first_line(original)}"


def _first_line(words: str) -> str:
    return words.strip().splitlines()[0] if words.strip() else "no reason given"

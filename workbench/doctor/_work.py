"""The database and the jobs."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.doctor._check import Check

_SHOWN = 5


def store() -> Iterator[Check]:
    """Whether the database opens and is sound."""
    from sqlalchemy import text

    from workbench.store import SCHEMA, engine

    with engine().connect() as connection:  # opening brings it up to date, or says why not
        kind = connection.dialect.name
        question = "PRAGMA quick_check(1)" if kind == "sqlite" else "SELECT 'ok'"
        state = connection.execute(text(question)).scalar()
    message = f"{kind}, tables of version {SCHEMA}" if state == "ok" else f"{kind}: {state}"
    yield Check("store", state == "ok", message, "Restore a backup, or move it away.")


def interrupted_jobs() -> Iterator[Check]:
    """Jobs that were killed and can go on."""
    from workbench.jobs import jobs

    found = jobs("interrupted")
    for job in found[:_SHOWN]:
        fix, command = "Go on from its last checkpoint.", f"workbench jobs resume {job.id}"
        message = f"{job.title} was interrupted."
        yield Check("jobs", None, message, fix, command, "resume job", job.id, safe=True)
    if not found:
        yield Check("jobs", True, "none is interrupted")

"""Jobs in the store, for tests of it."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select

from workbench.store import StoredJob, session

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

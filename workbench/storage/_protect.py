"""Patterns of names that pruning leaves alone, in the store."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, select

from workbench.errors import StorageError
from workbench.storage._records import Protection
from workbench.store import StoredProtection, clean, session
from workbench.texts import nearest

_LONGEST = 256


def protect(pattern: str, why: str = "") -> Protection:
    """Leave alone what has such a name: `starter:*`, `*-legal`, a family such as `qwen2`.

    A pattern that is there gets the new reason. Raises StorageError for one that cannot be.
    """
    wanted = " ".join(str(pattern).split()).lower()
    if not wanted or len(wanted) > _LONGEST or "\x00" in wanted:
        raise StorageError(
            "A protection is a name or a pattern of at most 256 characters, such as llama3*."
        )
    with session() as opened:
        row = opened.scalar(select(StoredProtection).where(StoredProtection.pattern == wanted))
        if row is None:
            row = StoredProtection(pattern=wanted, why="", at=datetime.now(UTC))
            opened.add(row)
        row.why = clean(str(why))
        opened.flush()
        return Protection(row.pattern, row.why, row.at)


def unprotect(pattern: str) -> None:
    """Take a protection away. Raises StorageError where there is none."""
    wanted = " ".join(str(pattern).split()).lower()
    with session() as opened:
        known = opened.scalars(select(StoredProtection.pattern)).all()
        if wanted not in known:
            raise StorageError(f"{pattern!r} is not protected.{nearest(wanted, known)}")
        opened.execute(delete(StoredProtection).where(StoredProtection.pattern == wanted))


def protections() -> list[Protection]:
    """All patterns, by name."""
    with session(read_only=True) as opened:
        rows = opened.scalars(select(StoredProtection).order_by(StoredProtection.pattern)).all()
    return [Protection(row.pattern, row.why, row.at) for row in rows]

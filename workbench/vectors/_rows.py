"""The rows of collections, texts and vectors: found, counted, locked.

Whoever writes takes the collection's row first (`locked`), so that a writer sees all that others
have written: in SQLite the write lock does the same, PostgreSQL locks the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from workbench.errors import VectorError
from workbench.store import StoredCollection, StoredGeneration, StoredText, StoredVector, session
from workbench.texts import nearest
from workbench.vectors._records import Generation, checked_name


@contextmanager
def within(opened: Session | None) -> Iterator[Session]:
    """The transaction that is open, or one of our own."""
    with session() if opened is None else nullcontext(opened) as inner:
        yield inner


def row_of(opened: Session, name: str) -> StoredCollection | None:
    """The collection's row; None without one."""
    same = StoredCollection.name == checked_name(name)
    return opened.scalar(select(StoredCollection).where(same))


def known(opened: Session, name: str) -> StoredCollection:
    """The collection's row. Raises VectorError, with near names."""
    row = row_of(opened, name)
    if row is None:
        raise _unknown(opened, name)
    return row


def locked(opened: Session, name: str) -> StoredCollection:
    """As `known`, for a transaction that writes."""
    same = StoredCollection.name == checked_name(name)
    row = opened.scalar(
        select(StoredCollection).where(same).with_for_update(),
        execution_options={"populate_existing": True},
    )
    if row is None:
        raise _unknown(opened, name)
    return row


def generation_row(
    opened: Session, row: StoredCollection, number: int | None = None
) -> StoredGeneration:
    """A generation's row, the one in use without a number. Raises VectorError."""
    number = row.generation if number is None else number
    found = opened.scalar(
        select(StoredGeneration).where(
            StoredGeneration.collection == row.number, StoredGeneration.generation == number
        )
    )
    if found is None:
        numbers = select(StoredGeneration.generation).where(
            StoredGeneration.collection == row.number
        )
        there = ", ".join(map(str, sorted(opened.scalars(numbers))))
        raise VectorError(
            f"{row.name} has no generation {number} of vectors. There are: {there}. `reembed` "
            "makes another one."
        )
    return found


def without_vector(collection: int, generation: int) -> Select[int, str]:
    """Number and text of what a generation lacks, in their order."""
    there = select(StoredVector.id).where(
        StoredVector.text == StoredText.id, StoredVector.generation == generation
    )
    return (
        select(StoredText.id, StoredText.text)
        .where(StoredText.collection == collection, ~there.exists())
        .order_by(StoredText.id)
    )


def missing(opened: Session, collection: int, generation: int) -> int:
    """How many texts a generation lacks."""
    lacking = without_vector(collection, generation).order_by(None).subquery()
    return opened.scalar(select(func.count()).select_from(lacking)) or 0


def record(opened: Session, row: StoredCollection, one: StoredGeneration) -> Generation:
    """A generation with its counts."""
    every = select(func.count()).where(StoredText.collection == row.number)
    lacking = missing(opened, row.number, one.generation)
    return Generation(
        one.generation, one.model, one.digest, one.dimensions, one.created_at,
        vectors=(opened.scalar(every) or 0) - lacking, missing=lacking,
        in_use=one.generation == row.generation,
    )  # fmt: skip


def records(opened: Session, row: StoredCollection) -> list[Generation]:
    """All generations of a collection, the newest first."""
    mine = select(StoredGeneration).where(StoredGeneration.collection == row.number)
    stored = opened.scalars(mine.order_by(StoredGeneration.generation.desc())).all()
    return [record(opened, row, one) for one in stored]


def _unknown(opened: Session, name: str) -> VectorError:
    names = opened.scalars(select(StoredCollection.name)).all()
    return VectorError(f"There is no collection {name!r}.{nearest(name, names)}")

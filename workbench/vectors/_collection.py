"""A collection: opened, filled, searched, emptied.

Texts are embedded outside of any transaction, since that takes long, and written with their
vectors in one. When the generation in use has changed in between, they are embedded again. So the
generation in use never lacks a vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from workbench.errors import VectorError
from workbench.store import StoredCollection, StoredGeneration, StoredText, StoredVector, session
from workbench.vectors import _rows as rows
from workbench.vectors._embed import embedder, embedder_of, engine_of
from workbench.vectors._records import (
    Found,
    Item,
    Stats,
    checked_item,
    checked_key,
    checked_name,
    mismatch_words,
)
from workbench.vectors._search import nearest_texts

if TYPE_CHECKING:
    from workbench.engines import Engine

T = TypeVar("T")
BATCH = 32  # texts that go to the engine at once
MOST_FOUND = 1000
_TRIES = 5  # of a batch whose collection is switched under it
_KEYS = 500  # in one statement


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of texts. Get one with `collection`. All of it raises VectorError, EngineError.

    May be used by several processes at once: each call looks at the store anew.
    """

    name: str
    engine: Engine | None = field(default=None, repr=False)  # None: the one in use

    def add(self, items: Iterable[Item], *, batch: int = BATCH) -> int:
        """Put texts in, or in place of those with the same keys; returns how many were embedded.

        Only texts that are new or changed are. Each batch is one transaction; of equal keys the
        last counts.
        """
        made = 0
        with engine_of(self.engine) as engine:
            for some in batches((checked_item(item) for item in items), batch):
                made += self._add(engine, list({item[0]: item for item in some}.values()))
        return made

    def search(self, query: str, limit: int = 10) -> list[Found]:
        """The texts nearest to the query in meaning, the nearest first."""
        _, query, _ = checked_item(("the query", query, {}))
        limit = max(1, min(int(limit), MOST_FOUND))
        for _ in range(_TRIES):
            number, before = self._in_use()
            with engine_of(self.engine) as engine:
                model = embedder_of(engine, before.model, before.digest, self.name)
                [wanted] = model.vectors([query])
            with session(read_only=True) as opened:
                if rows.known(opened, self.name).generation == before.generation:
                    return nearest_texts(opened, number, before, wanted, limit)
        raise self._restless()

    def remove(self, keys: Iterable[str]) -> int:
        """Take texts out, with all their vectors; returns how many were there."""
        gone = 0
        with session() as opened:
            number = rows.locked(opened, self.name).number
            for some in batches(map(checked_key, keys), _KEYS):
                same = StoredText.collection == number, StoredText.key.in_(some)
                ids = opened.scalars(select(StoredText.id).where(*same)).all()
                opened.execute(delete(StoredText).where(StoredText.id.in_(ids)))
                gone += len(ids)
        return gone

    def stats(self) -> Stats:
        """How large it is, and the generations of its vectors."""
        with session(read_only=True) as opened:
            row = rows.known(opened, self.name)
            mine = StoredText.collection == row.number
            characters = func.coalesce(func.sum(func.length(StoredText.text)), 0)
            counts = opened.execute(select(func.count(), characters).where(mine)).one()
            every = tuple(rows.records(opened, row))
        size = sum(one.vectors * one.dimensions * 4 for one in every)
        return Stats(self.name, counts[0], int(counts[1]), size, every)

    def _in_use(self) -> tuple[int, StoredGeneration]:
        with session(read_only=True) as opened:
            row = rows.known(opened, self.name)
            return row.number, rows.generation_row(opened, row)

    def _add(self, engine: Engine, items: Sequence[Item]) -> int:
        for _ in range(_TRIES):
            number, before = self._in_use()
            with session(read_only=True) as opened:
                there = _texts(opened, number, [key for key, _, _ in items])
            fresh = [item for item in items if _text_of(there.get(item[0])) != item[1]]
            made: dict[str, bytes] = {}
            if fresh:
                model = embedder_of(engine, before.model, before.digest, self.name)
                vectors = model.vectors([text for _, text, _ in fresh])
                made = dict(zip((key for key, _, _ in fresh), vectors, strict=True))
            with session() as opened:
                if _write(opened, self.name, before.generation, items, made):
                    return len(fresh)
        raise self._restless()

    def _restless(self) -> VectorError:
        return VectorError(f"{self.name} is being changed by somebody all the time. Try again.")


def collection(name: str, *, model: str | None = None, engine: Engine | None = None) -> Collection:
    """The collection of this name, made with the embedding model `model` when there is none.

    Where there is one, `model` must be what made its vectors. Raises VectorError: for another
    model, for a new collection without a model; EngineError.
    """
    with session(read_only=True) as opened:
        row = rows.row_of(opened, checked_name(name))
        used = rows.generation_row(opened, row) if row else None
    if model is None and used is None:
        raise VectorError(
            f"There is no collection {name!r} yet. Name the embedding model that it is to be made "
            'with, such as model="all-minilm".'
        )
    if model is not None:
        with engine_of(engine) as asked:
            wanted = embedder(asked, model, name)
            if used is None:
                _begin(name, wanted.model, wanted.digest, wanted.dimensions())
            elif wanted.digest != used.digest:
                raise VectorError(
                    mismatch_words(name, used.model, used.digest, wanted.digest, wanted.model)
                )
    return Collection(name, engine)


def collections() -> list[str]:
    """The names of all collections, in order."""
    with session(read_only=True) as opened:
        return sorted(opened.scalars(select(StoredCollection.name)))


def drop(name: str) -> None:
    """Delete a collection with all its texts and vectors. Raises VectorError without one."""
    with session() as opened:
        delete_rows(opened, rows.locked(opened, name))


def delete_rows(opened: Session, row: StoredCollection) -> None:
    """Delete a collection in an open transaction; what belongs to it goes with it."""
    opened.execute(delete(StoredCollection).where(StoredCollection.number == row.number))


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    left = iter(items)
    while some := list(islice(left, max(1, size))):
        yield some


def _begin(name: str, model: str, digest: str, dimensions: int) -> None:
    at = datetime.now(UTC)
    try:
        with session() as opened:
            row = StoredCollection(name=name, generation=1, created_at=at)
            opened.add(row)
            opened.flush()
            opened.add(
                StoredGeneration(
                    collection=row.number, generation=1, model=model, digest=digest,
                    dimensions=dimensions, created_at=at,
                )
            )  # fmt: skip
    except IntegrityError:  # another process was quicker
        with session(read_only=True) as opened:
            used = rows.generation_row(opened, rows.known(opened, name))
        if used.digest != digest:
            raise VectorError(
                mismatch_words(name, used.model, used.digest, digest, model)
            ) from None


def _texts(opened: Session, number: int, keys: Sequence[str]) -> dict[str, StoredText]:
    same = StoredText.collection == number, StoredText.key.in_(keys)
    return {row.key: row for row in opened.scalars(select(StoredText).where(*same))}


def _text_of(row: StoredText | None) -> str | None:
    return None if row is None else row.text


def _write(
    opened: Session, name: str, generation: int, items: Sequence[Item], made: dict[str, bytes]
) -> bool:
    """Write the texts with their vectors; False, and nothing, when the ground has moved."""
    row = rows.locked(opened, name)
    there = _texts(opened, row.number, [key for key, _, _ in items])
    changed = [item for item in items if _text_of(there.get(item[0])) != item[1]]
    if row.generation != generation or any(key not in made for key, _, _ in changed):
        return False
    at = datetime.now(UTC)
    for key, text, about in items:
        old = there.get(key)
        if old is None:
            there[key] = StoredText(collection=row.number, key=key, text=text, about=about, at=at)
            opened.add(there[key])
        elif (old.text, old.about) != (text, about):
            old.text, old.about, old.at = text, dict(about), at
    opened.flush()
    ids = [there[key].id for key, _, _ in changed]
    opened.execute(delete(StoredVector).where(StoredVector.text.in_(ids)))
    opened.add_all(
        StoredVector(text=id, generation=generation, vector=made[key])
        for id, (key, _, _) in zip(ids, changed, strict=True)
    )
    return True

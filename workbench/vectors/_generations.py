"""Generations of vectors: another model's made beside the one in use, taken into use, forgotten.

`reembed` writes batch after batch, each in one transaction, and whoever begins again after a kill
goes on where it stopped: what is left is what has no vector. It never touches which generation is
in use; `switch` does, and only for one that lacks nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from workbench.errors import VectorError
from workbench.store import StoredCollection, StoredGeneration, StoredText, StoredVector, session
from workbench.vectors import _rows as rows
from workbench.vectors._embed import Embedder, embedder, engine_of, same_model
from workbench.vectors._records import Generation, Mismatch, bare

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.jobs import JobContext

BATCH = 32


def generations(name: str) -> list[Generation]:
    """The generations of a collection, the newest first. Raises VectorError without one."""
    with session(read_only=True) as opened:
        return rows.records(opened, rows.known(opened, name))


def reembed(
    job: JobContext | None,
    name: str,
    model: str,
    engine: Engine | None = None,
    *,
    batch: int = BATCH,
) -> int:
    """Make the vectors of all texts with `model`, beside those in use; returns the generation.

    A generation that this model has begun or made before is completed: so a killed one goes on,
    and an earlier one is brought up to date with the texts that came since. Texts that change
    meanwhile are embedded again. As a job: `submit("workbench.vectors:reembed", {"name": …})`.

    Raises VectorError (no such collection or model, the model changed meanwhile), EngineError,
    JobCancelled; what is made by then stays.
    """
    with engine_of(engine) as asked:
        using = embedder(asked, model, name)
        number = _begun(name, using, using.dimensions())
        while _pass(job, name, number, using, max(1, batch)):
            pass  # once more: texts may have come or changed behind it
        return number


def switch(name: str, generation: int, *, opened: Session | None = None) -> int:
    """Take a generation into use, in the open transaction or in one of its own; returns the one
    before, which is kept. Raises VectorError for one that lacks vectors or does not exist."""
    with rows.within(opened) as inner:
        row = rows.locked(inner, name)
        rows.generation_row(inner, row, generation)
        left = rows.missing(inner, row.number, generation)
        if left:
            raise VectorError(
                f"Generation {generation} of {name} lacks the vectors of {left} texts, so it is "
                f"not taken into use. Run `reembed` with its model again: it makes only those."
            )
        before, row.generation = row.generation, generation
        inner.flush()
        return before


def forget(name: str, generation: int) -> None:
    """Delete the vectors of a generation; its line stays, so that its number never means another
    model. Raises VectorError for the one in use."""
    with session() as opened:
        row = rows.locked(opened, name)
        rows.generation_row(opened, row, generation)
        if row.generation == generation:
            raise VectorError(
                f"Generation {generation} of {name} is in use. Switch to another one first, or "
                "drop the collection."
            )
        texts = select(StoredText.id).where(StoredText.collection == row.number)
        opened.execute(
            delete(StoredVector).where(
                StoredVector.generation == generation, StoredVector.text.in_(texts)
            )
        )


def dependents(digest: str) -> list[str]:
    """The collections whose vectors in use were made by the model with this digest."""
    query = _in_use().where(StoredGeneration.digest == bare(digest))
    with session(read_only=True) as opened:
        return sorted(name for name, _ in opened.execute(query))


def mismatches(engine: Engine) -> list[Mismatch]:
    """The collections that cannot be searched with the engine's models: the digest differs."""
    installed = engine.models()
    there = {bare(one.digest) for one in installed}
    found = []
    with session(read_only=True) as opened:
        for name, made in opened.execute(_in_use().order_by(StoredCollection.name)):
            if made.digest not in there:
                same = (one for one in installed if same_model(one.name, made.model))
                now = next((bare(one.digest) for one in same), "")
                found.append(Mismatch(name, made.model, made.digest, now, made.generation))
    return found


def _in_use() -> Select[str, StoredGeneration]:
    """Names of collections with their generations in use."""
    return select(StoredCollection.name, StoredGeneration).join(
        StoredGeneration,
        (StoredGeneration.collection == StoredCollection.number)
        & (StoredGeneration.generation == StoredCollection.generation),
    )


def _begun(name: str, using: Embedder, dimensions: int) -> int:
    """The number of the model's generation, a new one where it has none."""
    with session() as opened:
        row = rows.locked(opened, name)
        mine = StoredGeneration.collection == row.number
        same = select(StoredGeneration.generation).where(mine)
        known = opened.scalar(same.where(StoredGeneration.digest == using.digest).limit(1))
        if known is not None:
            return known
        number = (opened.scalar(select(func.max(StoredGeneration.generation)).where(mine)) or 0) + 1
        opened.add(
            StoredGeneration(
                collection=row.number, generation=number, model=using.model,
                digest=using.digest, dimensions=dimensions, created_at=datetime.now(UTC),
            )
        )  # fmt: skip
        return number


def _pass(job: JobContext | None, name: str, number: int, using: Embedder, batch: int) -> int:
    """Embed what the generation lacks, in the order of the texts; returns how many were tried."""
    with session(read_only=True) as opened:
        row = rows.known(opened, name)
        begun = rows.record(opened, row, rows.generation_row(opened, row, number))
        collection = row.number
    last, done = 0, 0
    while True:
        if job is not None:
            total = begun.vectors + max(begun.missing, done)
            have = begun.vectors + done
            job.progress(have / max(1, total), f"{have:,} of {total:,} texts", vectors=have)
            job.check_cancelled()
        query = rows.without_vector(collection, number).where(StoredText.id > last)
        with session(read_only=True) as opened:
            some = [(id, text) for id, text in opened.execute(query.limit(batch))]
        if not some:
            return done
        _write(name, number, some, using.vectors([text for _, text in some]))
        last, done = some[-1][0], done + len(some)


def _write(name: str, number: int, some: Sequence[tuple[int, str]], vectors: list[bytes]) -> None:
    """Write a batch, without the texts that changed, went or got a vector meanwhile."""
    made = {id: (text, vector) for (id, text), vector in zip(some, vectors, strict=True)}
    with session() as opened:
        row = rows.locked(opened, name)
        lacking = rows.without_vector(row.number, number).where(StoredText.id.in_(made))
        opened.add_all(
            StoredVector(text=id, generation=number, vector=made[id][1])
            for id, text in opened.execute(lacking).all()
            if text == made[id][0]
        )

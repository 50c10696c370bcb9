"""Going back: a release and the vectors of its embedding model are in use again, in one step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from workbench import releases, vectors
from workbench.errors import ReleaseError, StorageError
from workbench.store import StoredUpdate
from workbench.versions._back import embedding_digest, go_back
from workbench.versions._shelf import Shelf, bare, opened

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.engines import Engine
    from workbench.releases import Member, Release


def rollback(*, to: str = "", why: str = "", engine: Engine | str | None = None) -> Release:
    """Take an earlier release into use (`to` "" is the one before), with the vectors that belong to
    it; texts that came since are embedded by its model first. Returns it.

    Raises ReleaseError where there is none, it is in use already, or one of its models is not here
    with its digest; VectorError, EngineError. Then nothing was changed.
    """
    used = releases.current()
    if used is None:
        raise ReleaseError("No release is in use yet, so there is nothing to go back from.")
    target = releases.find(to or "previous")
    if target.version == used.version:
        raise ReleaseError(f"{target.version} is in use already: there is nothing to go back to.")

    def noted(s: Session) -> None:
        """The update that made the release in use is undone with it."""
        rows = select(StoredUpdate).where(
            StoredUpdate.version == used.version, StoredUpdate.state != "failed"
        )
        for row in s.scalars(rows.with_for_update()):
            if (row.steps.get("switch") or {}).get("state") == "done":
                row.state, row.ended_at = "undone", datetime.now(UTC)

    with opened(engine) as asked:
        lacking = Shelf(asked).lacking(target.members)
        if lacking:
            raise ReleaseError(_missing(target, lacking))
        go_back(asked, used, target, why or f"Back from {used.version}.", noted)
    return target


def use(version: str, why: str = "", *, engine: Engine | str | None = None) -> Release:
    """Take any release into use; where its embedding model is another one and vectors were made by
    the one in use, with its own vectors, as `rollback` does. Raises as that does."""
    used, target = releases.current(), releases.find(version)
    before, after = embedding_digest(used), embedding_digest(target)
    if before and after and before != after and vectors.dependents(before):
        return rollback(to=target.version, why=why, engine=engine)
    releases.switch(target.version, why or "It was asked for.")
    return target


def _missing(target: Release, lacking: list[Member]) -> str:
    """Which models are not here, and where they may come from."""
    names = ", ".join(dict.fromkeys(f"{one.model} ({one.digest[:12]})" for one in lacking))
    thrown = _in_trash({one.digest for one in lacking})
    ways = [f"`workbench storage undo {id}`" for id in thrown]
    ways.append(f"`workbench versions sync {target.version}`")
    return (
        f"{target.version} cannot be taken into use: {names} is not here with this digest. Bring "
        f"it back: {', or '.join(ways)}. Nothing was changed."
    )


def _in_trash(digests: set[str]) -> list[str]:
    """What in the trash, or deleted from an engine, has one of these models."""
    from workbench.storage import trash

    try:
        return [
            one.id
            for one in trash()
            if digests & {bare(str(row.get("digest") or "")) for row in (*one.items, *one.deleted)}
        ]
    except StorageError:
        return []

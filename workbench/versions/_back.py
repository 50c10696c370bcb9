"""Which generation of vectors belongs to a release, and both taken into use in one transaction.

The vectors in use that the old embedding model made go with it; collections of other models are
left alone. Texts may come at any moment, so what is not complete when it is to be taken into use
is completed and tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from workbench import releases, vectors
from workbench.errors import ReleaseError, VectorError
from workbench.store import session
from workbench.versions._shelf import Shelf

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.engines import Engine
    from workbench.jobs import JobContext
    from workbench.releases import Release, Switch

_TRIES = 40  # of a switch, while others write texts all the time
Numbers = Mapping[str, int]  # collection to generation


def embedding_digest(release: Release | None) -> str:
    """Of the model that makes vectors in this release; "" without one."""
    member = release.role("embedding") if release else None
    return member.digest if member else ""


def ready(engine: Engine, before: str, after: str, job: JobContext | None = None) -> dict[str, int]:
    """Generations of the embedding model `after` for all collections whose vectors in use were
    made by `before` (digests), completed where they lack texts. Raises VectorError, EngineError,
    JobCancelled."""
    if not before or not after or before == after:
        return {}
    names = vectors.dependents(before)
    return {name: _complete(engine, name, after, job) for name in names}


def _complete(engine: Engine, name: str, digest: str, job: JobContext | None) -> int:
    for one in vectors.generations(name):
        if one.digest == digest and one.complete:
            return one.number
    model = Shelf(engine).having(digest)
    if not model:
        raise VectorError(
            f"The vectors of {name} need the embedding model {digest[:12]}, which is not here. "
            "Bring it back: `workbench versions sync`, or `workbench storage undo`."
        )
    return vectors.reembed(job, name, model, engine)


def together(
    before: str,
    prepare: Callable[[], Numbers],
    take: Callable[[Session, Numbers], Switch],
) -> Switch:
    """What `take` does in one transaction, with what `prepare` has completed for it. `before` is
    the digest whose vectors are to be in use no more. Raises what both raise."""
    for left in reversed(range(_TRIES)):
        numbers = prepare()
        try:
            with session() as s:
                taken = take(s, numbers)
                late = set(vectors.dependents(before)) - numbers.keys() if before else set()
                if late:
                    raise VectorError(f"{', '.join(sorted(late))} came in the moment before.")
                return taken
        except VectorError:
            if not left:
                raise
    raise AssertionError  # pragma: no cover (the loop returns or raises)


def switch_both(
    s: Session, version: str, why: str, numbers: Numbers, make: Callable[[], object] = lambda: None
) -> Switch:
    """Take a release, which `make` makes first, and its generations into use, in this transaction.

    Who else locks these rows does it in this order: updates, collections, releases.
    """
    moved = {}
    for name, number in sorted(numbers.items()):
        earlier = vectors.switch(name, number, opened=s)
        if earlier != number:
            moved[name] = [earlier, number]
    make()
    return releases.switch(version, why, vectors=moved, opened=s)


def go_back(
    engine: Engine,
    used: Release,
    target: Release,
    why: str,
    also: Callable[[Session], None] = lambda s: None,
) -> Switch:
    """From the release in use to another one with its vectors; `also` is done in the same
    transaction. Raises ReleaseError where `used` is in use no more, VectorError, EngineError."""
    now, then = embedding_digest(used), embedding_digest(target)

    def take(s: Session, numbers: Numbers) -> Switch:
        also(s)
        moved = switch_both(s, target.version, why, numbers)
        if moved.before != used.version:
            raise ReleaseError(
                f"{moved.before or 'No release'} was taken into use meanwhile, so nothing was "
                "changed. Look again: `workbench versions list`."
            )
        return moved

    leaving = now if then and then != now else ""
    return together(leaving, lambda: ready(engine, now, then), take)

"""The texts of all collections that the old embedding model served, embedded by the new one.

Beside what is in use, batch by batch, so that a kill costs one batch; a backup comes first.
"""

from __future__ import annotations

from typing import Any

from workbench import vectors
from workbench.versions._records import Change, Outcome
from workbench.versions._words import listed
from workbench.versions._work import Work


def moving(work: Work) -> Change | None:
    """The change of the embedding model; None where its version stays."""
    return next(
        (one for one in work.changes
         if one.embedding and one.before_digest and one.before_digest != work.digest(one)),
        None,
    )  # fmt: skip


def reembed_step(work: Work) -> Outcome:
    """Make the next generation of each collection. Raises VectorError, EngineError, JobCancelled;
    what is made by then stays."""
    change = moving(work)
    names = vectors.dependents(change.before_digest) if change else []
    if change is None:
        return Outcome("The embedding model stays, so the vectors stay.", state="skipped")
    if not names:
        return Outcome("No collection has vectors of the old embedding model.", state="skipped")
    work.check_same()
    folder = work.whole.folder / "vectors"
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, Any] = {}
    for number, name in enumerate(names):
        part = work.context.inner(number, len(names), name)
        file = folder / f"{name}.jsonl"
        if not file.exists():  # it is written beside and renamed: one that is there is whole
            part.progress(0.0, "a backup is written")
            vectors.backup(name, file)
        generation = vectors.reembed(part, name, change.model, work.engine)
        texts = vectors.collection(name).stats().texts
        made[name] = {"generation": generation, "texts": texts, "backup": str(file)}
    count = sum(one["texts"] for one in made.values())
    words = f"{count:,} texts of {listed(names)} have vectors of {change.model} as well."
    return Outcome(words, {"collections": made})

"""Texts with vectors, and updates, for tests of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import words

from workbench import releases, vectors, versions
from workbench.engines import Engine
from workbench.jobs import JobContext, Report
from workbench.settings import home
from workbench.versions import Update
from workbench.versions._records import TITLES

COLLECTIONS = ("notes", "letters")


def write_suite(folder: Path, count: int = 10) -> str:
    """A suite of so many short questions; its path."""
    return words.write_suite(folder, count, predict=4)


def first_release(engine: Engine, **roles: str) -> releases.Release:
    """v0.1 of the models `one` and `embed`, in use."""
    members = releases.describe(engine, {"primary": "one", "embedding": "embed", **roles})
    return releases.make("", members, purpose="The first one.")


def fill(engine: Engine, count: int = 12) -> None:
    """Two collections with texts, whose vectors `embed` made."""
    for name in COLLECTIONS:
        made = vectors.collection(name, model="embed", engine=engine)
        made.add((f"n{n}", f"def {name}_{n}(x): return {n * n} + x * {n % 7}", {})
                 for n in range(count))  # fmt: skip


def prepared(roles: dict[str, str], **more: Any) -> Update:
    """An update that is begun in the store without a job."""
    from workbench.versions import _keep as keep

    return keep.begin(versions.plan(roles, **more))


def here(update: Update, report: Any = None) -> JobContext:
    """A context without a job, with a folder of its own."""
    folder = home() / "here" / update.id
    folder.mkdir(parents=True, exist_ok=True)

    def told(one: Report) -> None:
        if report is not None:
            report(one)

    return JobContext("", folder, report=told)


def run(update: Update, report: Any = None) -> Update:
    """Run an update in this process."""
    versions.run_update(here(update, report), update.id)
    return versions.find(update.id)


def in_use() -> dict[str, Any]:
    """The release in use, its embedding model, and what made the vectors in use."""
    used = releases.current()
    assert used is not None
    embedding = used.role("embedding")
    made = {
        name: next(one.digest for one in vectors.generations(name) if one.in_use)
        for name in vectors.collections()
    }
    return {"version": used.version, "embedding": embedding and embedding.digest, "vectors": made}


def told_at(step: str, do: Callable[[], None]) -> Callable[[Report], None]:
    """Does it once, when this step begins."""
    left = [do]

    def report(one: Report) -> None:
        if one.message == TITLES[step] and left:
            left.pop()()

    return report

"""Who needs what, and when it was used last: lineage, releases, aliases, studies, runs, jobs.

Things are known here by a word: `model:<digest>`, `dataset:<digest>`, `collection:<name>`,
`training:<id>`, `job:<id>`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select

from workbench import jobs, lineage
from workbench.data import datasets, history
from workbench.jobs import Job
from workbench.lineage import Training
from workbench.store import StoredRun, StoredStudy, StoredUpdate, session

_ALL = 100_000  # rows of a table


@dataclass(slots=True)
class Uses:
    """What was found out, by the words for things."""

    needs: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    told: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    guards: dict[str, str] = field(default_factory=dict)
    last: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    mentioned: dict[str, str] = field(default_factory=dict)  # names in work that is under way
    wanted: dict[str, str] = field(default_factory=dict)  # … and in work that can be resumed
    trainings: dict[str, Training] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)

    def need(self, word: str, who: str) -> None:
        if who not in self.needs[word]:
            self.needs[word].append(who)

    def tell(self, word: str, who: str) -> None:
        if who not in self.told[word]:
            self.told[word].append(who)

    def guard(self, word: str, why: str) -> None:
        self.guards.setdefault(word, why)

    def used(self, word: str, at: datetime | None, why: str) -> None:
        """Note a use; the latest one counts."""
        if at is None or at == datetime.min:
            return
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        if word not in self.last or self.last[word][0] < at:
            self.last[word] = (at, why)

    def guarded(self, words: Iterable[str], names: Iterable[str]) -> str:
        """Why none of these may go; "" where they may."""
        found = next((self.guards[word] for word in words if word in self.guards), "")
        return found or next((self.mentioned[n] for n in names if n in self.mentioned), "")


def bare(digest: str) -> str:
    """A digest without its kind."""
    return digest.removeprefix("sha256:")


def uses() -> Uses:
    """All that the store knows of uses."""
    found = Uses()
    found.jobs = {job.id: job for job in jobs.jobs(limit=_ALL)}
    found.trainings = {run.id: run for run in lineage.trainings(limit=_ALL)}
    _jobs(found)
    _trainings(found)
    _datasets(found)
    _studies(found)
    _runs(found)
    _releases(found)
    _vectors(found)
    return found


def _jobs(found: Uses) -> None:
    for job in found.jobs.values():
        if job.ended:
            found.used(f"job:{job.id}", job.ended_at or job.created_at, f"{job.title} ended")
            continue
        why = f"the job {job.id} ({job.title[:60]}) is under way"
        found.guard(f"job:{job.id}", why)
        found.mentioned |= dict.fromkeys(_names(job.arguments), why)
    columns = (StoredUpdate.id, StoredUpdate.job, StoredUpdate.plan)
    query = select(*columns).where(StoredUpdate.ended_at.is_(None))
    with session(read_only=True) as opened:
        for id, work, plan in opened.execute(query):
            if work in found.jobs and found.jobs[work].ended:
                found.wanted |= dict.fromkeys(_names(plan), f"update {id}, which can go on")
            else:
                found.mentioned |= dict.fromkeys(_names(plan), f"the update {id} is under way")


def _names(value: Any) -> Iterator[str]:
    """All texts in a value that can be names, as models' are listed too."""
    if isinstance(value, str):
        if len(value) <= 256:
            yield value.lower()
            yield f"{value.lower()}:latest"
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _names(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _names(one)


def _trainings(found: Uses) -> None:
    makers: dict[str, str] = {}
    for run in found.trainings.values():
        also = (run.export or {}).get("also") or {}
        makers |= {bare(str(digest)): run.id for digest in (run.digest, *also.values()) if digest}
    for run in found.trainings.values():
        who = f"training {run.id} ({run.name})"
        at = run.ended_at or run.created_at
        sources = [f"dataset:{run.dataset}"]
        if run.base_digest:
            sources.append(f"model:{bare(run.base_digest)}")
        if maker := makers.get(bare(run.base_digest)) if run.base_digest else None:
            sources.append(f"training:{maker}")
        job = found.jobs.get(run.job)
        for word in sources:
            found.need(word, who)
            found.used(word, at, f"used by {who}")
            if job is not None and not job.ended:
                found.guard(word, f"{who} is under way")
        found.used(f"training:{run.id}", at, "trained")
        if run.digest:
            found.tell(f"model:{bare(run.digest)}", f"made by {who}")
        if job is not None and not job.ended:
            found.guard(f"training:{run.id}", f"{who} is under way")
        elif run.ended_at is None and "train_loss" not in run.measured:
            found.need(f"checkpoints:{run.id}", "the training can be resumed from it")


def _datasets(found: Uses) -> None:
    for one in (version for newest in datasets() for version in history(newest.name)):
        word = f"dataset:{one.digest}"
        found.used(word, one.created_at, "made")
        if one.parent and one.parent != one.digest:
            found.need(f"dataset:{one.parent}", f"dataset {one.label}")
            found.used(f"dataset:{one.parent}", one.created_at, f"{one.label} was made of it")
        for each in one.recipe.get("collections") or ():
            name = each.get("name") if isinstance(each, Mapping) else each
            found.need(f"collection:{name}", f"dataset {one.label}")
            found.used(f"collection:{name}", one.created_at, f"{one.label} was made of it")


def _studies(found: Uses) -> None:
    table = StoredStudy
    query = select(table.id, table.name, table.model, table.digest, table.state, table.jobs,
                   func.coalesce(table.ended_at, table.created_at))  # fmt: skip
    with session(read_only=True) as opened:
        rows = opened.execute(query).all()
    for id, name, model, digest, state, works, at in rows:
        word, who = f"model:{bare(digest)}", f"study {id} ({name or model})"
        found.need(word, who)
        found.used(word, at, f"tuned by {who}")
        busy = [job for job in works if job in found.jobs and not found.jobs[job].ended]
        if state == "running" and busy:
            found.guard(word, f"{who} is under way")


def _runs(found: Uses) -> None:
    """Of finished runs the answers are kept, so that they need no model any more."""
    at = func.max(func.coalesce(StoredRun.ended_at, StoredRun.created_at))
    query = select(StoredRun.digest, at, func.count()).group_by(StoredRun.digest)
    with session(read_only=True) as opened:
        for digest, last, count in opened.execute(query):
            found.used(f"model:{bare(digest)}", last, "measured")
            found.tell(f"model:{bare(digest)}", f"{count} benchmark runs")


def _releases(found: Uses) -> None:
    from workbench import releases

    current = releases.current()
    for release in releases.history():
        for member in release.members:
            words = [f"model:{bare(member.digest)}"]
            dataset, training = member.how.get("dataset"), member.how.get("training")
            words += [f"dataset:{bare(str(dataset))}"] if dataset else []
            words += [f"training:{training}"] if training else []
            for word in words:
                found.need(word, f"release {release.version} ({member.role})")
            if current is not None and release.version == current.version:
                found.guard(words[0], f"the release {release.version} in use ({member.role})")
    for alias in releases.aliases():
        found.need(f"model:{bare(alias.digest)}", f"alias {alias.alias}")


def _vectors(found: Uses) -> None:
    from workbench import vectors

    for name in vectors.collections():
        for one in vectors.generations(name):
            found.need(f"model:{bare(one.digest)}", f"texts searched by meaning ({name})")

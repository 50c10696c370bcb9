"""Which model came from which: trainings, applied studies, models created from others.

Everything that is known is gathered once, by digest; shown is what hangs together with one model,
older and younger, each after all that it was made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import ReleaseError
from workbench.releases._keep import history
from workbench.releases._names import aliases, model
from workbench.releases._origin import Origins
from workbench.releases._past import applied
from workbench.texts import nearest

if TYPE_CHECKING:
    from workbench.engines import Engine

By = Literal["training", "study", "create"]
_MOST = 500  # versions that are shown


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a model. `releases` names those that it is a member of."""

    id: str  # digest
    names: tuple[str, ...]
    releases: tuple[str, ...] = ()
    at: str = ""  # when it was made, ISO 8601; "" where nobody knows
    installed: bool | None = None  # None: no engine was asked


@dataclass(frozen=True, slots=True)
class Descent:
    """`target` was made of `source` (ids) by a training, a study or a create."""

    source: str
    target: str
    by: By
    detail: str  # the training's or the study's id; "" for a create


@dataclass(frozen=True, slots=True)
class Ancestry:
    """The versions that hang together with `model` (an id), the oldest first."""

    model: str
    nodes: tuple[Version, ...]
    edges: tuple[Descent, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def ancestry(name: str, engine: Engine | None = None) -> Ancestry:
    """The family of a model: its name, digest, role or alias. With an engine, also what that tells
    of its models. Raises ReleaseError for a model that nobody knows, EngineError.
    """
    known = _Known(engine)
    start = known.digest(name)
    family = _family(start, known.edges)
    edges = tuple(one for one in known.edges if {one.source, one.target} <= family)
    order = _ordered(family, edges)
    return Ancestry(start, tuple(map(known.version, order)), edges)


class _Known:
    """All versions and descents that can be found out."""

    def __init__(self, engine: Engine | None) -> None:
        self._origins = None if engine is None else Origins(engine)
        self._names: dict[str, dict[str, None]] = {}
        self._at: dict[str, str] = {}
        self._releases: dict[str, dict[str, None]] = {}
        found: dict[tuple[str, str], Descent] = {}
        for edge in (*self._trainings(), *self._studies(), *self._members(), *self._engine()):
            if edge.source and edge.target and edge.source != edge.target:
                found.setdefault((edge.source, edge.target), edge)
        self.edges = tuple(found.values())

    def digest(self, name: str) -> str:
        """Which version is meant."""
        wanted = name.strip().removeprefix("sha256:")
        if wanted in self._names:
            return wanted
        for one in aliases():
            if one.alias == wanted:
                return self._meet(one.digest, one.model)
        with suppress(ReleaseError):  # it is no role
            wanted = model(wanted)
        installed = self._origins.find(wanted) if self._origins else None
        if installed is not None:
            return self._meet(installed.digest, installed.name)
        either = {wanted, f"{wanted}:latest"}
        newest = [digest for digest, names in self._names.items() if either & names.keys()]
        if newest:
            return max(newest, key=lambda one: self._at.get(one, ""))
        every = {one for names in self._names.values() for one in names}
        raise ReleaseError(f"Nobody knows a model {name!r:.80}.{nearest(wanted, every)}")

    def version(self, digest: str) -> Version:
        """What is known of one."""
        here = None
        if self._origins is not None:
            here = digest in self._origins.digests
        return Version(
            digest, tuple(self._names.get(digest, ())), tuple(self._releases.get(digest, ())),
            self._at.get(digest, ""), here,
        )  # fmt: skip

    def _meet(self, digest: str, name: str, at: str = "") -> str:
        bare = digest.removeprefix("sha256:")
        if bare:
            self._names.setdefault(bare, {})[name] = None
            if at:
                self._at.setdefault(bare, at)
        return bare

    def _trainings(self) -> Iterator[Descent]:
        from workbench.lineage import trainings

        for run in trainings(limit=10_000):
            base = self._meet(run.base_digest, run.base)
            at = (run.ended_at or run.created_at).isoformat(timespec="seconds")
            also = (run.export or {}).get("also") or {}
            for name, digest in ((run.name, run.digest), *also.items()):
                yield Descent(base, self._meet(digest, name, at), "training", run.id)

    def _studies(self) -> Iterator[Descent]:
        for one in applied():
            source = self._meet(one["digest"], one["model"])
            yield Descent(
                source, self._meet(one["made"], one["name"], one["at"]), "study", one["id"]
            )

    def _members(self) -> Iterator[Descent]:
        for release in reversed(history()):
            for one in release.members:
                target = self._meet(one.digest, one.model)
                self._releases.setdefault(target, {})[release.version] = None
                yield from self._told(target, one.source, one.how)

    def _told(
        self, target: str, source: str, how: Mapping[str, Any], deep: int = 0
    ) -> Iterator[Descent]:
        """What a member's `how` says of what it was made of."""
        keys = ("base", "base_digest") if source == "trained" else ("from", "from_digest")
        name, digest = (how.get(key) for key in keys)
        if source == "pulled" or not (isinstance(name, str) and isinstance(digest, str) and digest):
            return
        by: By = "training" if source == "trained" else "study" if source == "tuned" else "create"
        detail = how.get("training") or how.get("study") or ""
        base = self._meet(digest, name)
        yield Descent(base, target, by, str(detail))
        told = how.get("base_origin")
        inner = told.get("how") if isinstance(told, Mapping) else None
        if isinstance(told, Mapping) and isinstance(inner, Mapping) and deep < _MOST:
            yield from self._told(base, str(told.get("source")), inner, deep + 1)

    def _engine(self) -> Iterator[Descent]:
        for name in self._origins.names if self._origins else ():
            assert self._origins is not None
            found = self._origins.find(name)
            assert found is not None
            at = found.modified_at.isoformat(timespec="seconds") if found.modified_at else ""
            target = self._meet(found.digest, found.name, at)
            base, digest = self._origins.parent(name)
            if digest:
                yield Descent(self._meet(digest, base), target, "create", "")


def _family(start: str, edges: tuple[Descent, ...]) -> set[str]:
    """All that hangs together with one version."""
    near: dict[str, set[str]] = {}
    for one in edges:
        near.setdefault(one.source, set()).add(one.target)
        near.setdefault(one.target, set()).add(one.source)
    found, waiting = {start}, [start]
    while waiting and len(found) < _MOST:
        new = near.get(waiting.pop(), set()) - found
        found |= new
        waiting += sorted(new)
    return found


def _ordered(family: set[str], edges: tuple[Descent, ...]) -> list[str]:
    """Each after all that it was made of; a circle, which only a damaged store has, comes last."""
    waits = {one: {edge.source for edge in edges if edge.target == one} for one in family}
    order: list[str] = []
    while waits:
        ready = sorted(one for one, sources in waits.items() if not sources & waits.keys())
        order += ready or sorted(waits)
        for one in ready or list(waits):
            del waits[one]
    return order

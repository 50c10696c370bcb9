"""Is a release here as it was made: every byte of its models, the engine's list, the vectors?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench import integrity, releases, settings, vectors
from workbench.integrity import Fault, Report
from workbench.library import Library
from workbench.protocol import ModelName
from workbench.versions._shelf import key, opened

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.integrity import Pace
    from workbench.releases import Release
    from workbench.vectors import Mismatch


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check of a release found."""

    report: Report | None  # of the files; None where they are not ours to read
    differences: tuple[Fault, ...]  # of the engine's list against the release
    vectors: tuple[Mismatch, ...]  # collections whose embedding model the engine has not as it was
    version: str = ""  # of the release; "" without one
    limits: str = ""  # what could not be looked at

    @property
    def ok(self) -> bool:
        """Whether all that could be looked at is as it should be."""
        whole = self.report is None or self.report.ok
        return whole and not self.differences and not self.vectors

    @property
    def words(self) -> str:
        """All of it in sentences."""
        faults = self.report.faults if self.report else ()
        wrong = [f"{one.words}." for one in faults if one.harmful]
        wrong += [f"{one.words}." for one in self.differences]
        wrong += [one.words for one in self.vectors]
        what = self.version or "the models"
        parts = wrong or [f"All is as it should be with {what}{self._read}."]
        return " ".join([*parts, self.limits]).strip()

    @property
    def _read(self) -> str:
        if self.report is None:
            return ""
        how = "every byte was read" if self.report.thorough else "sizes were looked at"
        return f": {len(self.report.models)} models, {how}"


def verify(
    release: Release | str | None = None,
    *,
    engine: Engine | str | None = None,
    thorough: bool = True,
    progress: Callable[[Pace], None] | None = None,
    names: Iterable[str] | None = None,
) -> Verified:
    """Look at the models of a release (None: the one in use; without one, all models).

    `thorough` reads every byte, else sizes are looked at; `names` are the models whose files are
    looked at. `progress` is called some times a second, and what it raises ends the check.

    Raises ReleaseError for an unknown release, ModelNotFound for a name that is not there,
    EngineError.
    """
    found = releases.find(release) if isinstance(release, str) else release or releases.current()
    members = found.members if found else ()
    expected = {one.model: one.digest for one in members}
    with opened(engine) as asked:
        differences = integrity.engine_faults(asked, expected)
        report, limits = _files(asked, expected or None, names, thorough, progress)
        wrong = tuple(vectors.mismatches(asked)) if asked.kind != "openai" else ()
    return Verified(report, differences, wrong, found.version if found else "", limits)


def _files(
    engine: Engine,
    expected: Iterable[str] | None,
    names: Iterable[str] | None,
    thorough: bool,
    progress: Callable[[Pace], None] | None,
) -> tuple[Report | None, str]:
    """The files, where they are ours to read; and what could not be looked at."""
    if engine.kind != "embedded":
        return None, integrity.limits(engine.kind)
    library = Library(settings.models_folder())
    here = {name.key(): name.display() for name, _ in library.names()}
    wanted = None if names is None else [*names]
    if wanted is None and expected is not None:
        wanted = [here[key(name)] for name in expected if key(name) in here]
    if not _same_models(engine, here.keys()):
        return None, "The engine's files are not on this machine or in this home."
    if thorough:
        return integrity.verify(library, names=wanted, progress=progress), ""
    return integrity.look(library, names=wanted), ""


def _same_models(engine: Engine, here: Iterable[str]) -> bool:
    """Whether the library of this home is the engine's: what the engine lists is in it."""
    listed = {ModelName.parse(one.name).key() for one in engine.models()}
    return not listed or bool(listed & {*here})

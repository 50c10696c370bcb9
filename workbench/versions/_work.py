"""What each step works with: the update, the engine, its share of the job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import ReleaseError
from workbench.versions._part import Part
from workbench.versions._records import Change, Update
from workbench.versions._shelf import Shelf

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.jobs import JobContext


@dataclass(frozen=True, slots=True)
class Work:
    """One step of an update that is under way."""

    update: Update
    engine: Engine
    whole: JobContext
    step: str

    @property
    def context(self) -> Part:
        """The step's share of the job."""
        return Part(self.whole, self.step, self.update.id)

    @property
    def plan(self) -> Mapping[str, Any]:
        """What was planned."""
        return self.update.plan

    @property
    def changes(self) -> Sequence[Change]:
        """The roles that get another model."""
        return self.update.changes

    def evidence(self, step: str) -> Mapping[str, Any]:
        """What an earlier step has shown."""
        return self.update.step(step).evidence

    def digest(self, change: Change) -> str:
        """That the new model had when it was pulled, or when the update was planned."""
        return change.digest or str((self.evidence("pull").get("digests") or {})[change.model])

    def check_same(self) -> None:
        """Raise ReleaseError where a model is another one than it was, or gone."""
        shelf = Shelf(self.engine)
        for one in self.changes:
            now, wanted = shelf.digest(one.model), self.digest(one)
            if now != wanted:
                what = f"is another one now ({now[:12]}, not {wanted[:12]})" if now else "is gone"
                raise ReleaseError(
                    f"{one.model} {what} since this update began. Nothing was changed: begin "
                    "another update."
                )

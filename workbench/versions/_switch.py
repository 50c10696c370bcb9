"""The one step that changes something: release and vectors are taken into use together.

All of it is one transaction, with the step's own note, so a kill leaves what was or what is to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench import releases
from workbench.errors import ReleaseError
from workbench.jobs import JobCancelled
from workbench.versions import _keep as keep
from workbench.versions._back import Numbers, ready, switch_both, together
from workbench.versions._records import Outcome
from workbench.versions._reembed import moving
from workbench.versions._words import listed
from workbench.versions._work import Work

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.releases import Member, Switch


def switch_step(work: Work) -> None:
    """Make the release and take it into use. The step is noted here.

    Raises ReleaseError where a model or the release in use is another one than when the update
    began, VectorError, EngineError; JobCancelled where it was stopped in this moment.
    """
    work.check_same()
    members, change, plan = _members(work), moving(work), work.plan
    before = change.before_digest if change else ""
    after = work.digest(change) if change else ""

    def take(s: Session, numbers: Numbers) -> Switch:
        with keep.locked(work.update.id, s) as row:
            if row.state == "stopped":
                raise JobCancelled
            moved = switch_both(
                s, plan["version"], plan["reason"] or _why(work), numbers, lambda: make(s)
            )
            if moved.before != work.update.before:
                raise ReleaseError(_overtaken(work, moved.before))
            evidence = {"before": moved.before, "vectors": moved.vectors}
            keep.put_step(row, "switch", Outcome(_words(moved), evidence))
        return moved

    def make(s: Session) -> None:
        releases.make(
            plan["version"], members, purpose=plan["purpose"], reason=plan["reason"] or _why(work),
            notes=plan["notes"], evidence=_evidence(work), parent=work.update.before, switch=False,
            opened=s,
        )  # fmt: skip

    together(before, lambda: ready(work.engine, before, after, work.context), take)


def _members(work: Work) -> tuple[Member, ...]:
    """Those that stay, and the new ones as the engine, the lineage and the measurements tell."""
    update = work.update
    pulled = [one.model for one in work.changes if one.pull]
    roles = {one.role: one.model for one in work.changes}
    new = {
        one.role: one for one in releases.describe(work.engine, roles, pulled=pulled)
    }  # fmt: skip
    if any(new[one.role].digest != work.digest(one) for one in work.changes):
        raise ReleaseError("A model was replaced at this moment. Nothing was changed: try again.")
    old = releases.find(update.before).members if update.before else ()
    taken = [new.pop(one.role, one) for one in old]
    return (*taken, *new.values())


def _evidence(work: Work) -> dict[str, Any]:
    shown = {
        name: work.evidence(name) for name in ("smoke", "suite", "reembed") if work.evidence(name)
    }
    return {"update": work.update.id, "gate": work.plan["gate"], **_without_places(shown)}


def _without_places(shown: Mapping[str, Any]) -> dict[str, Any]:
    """A release goes to other machines: paths of this one are left out."""
    kept = dict(shown)
    if "reembed" in kept:
        collections = kept["reembed"].get("collections") or {}
        kept["reembed"] = {
            name: {key: value for key, value in one.items() if key != "backup"}
            for name, one in collections.items()
        }
    return kept


def _why(work: Work) -> str:
    return f"Update: {', '.join(f'{one.role} = {one.model}' for one in work.changes)}."


def _words(moved: Switch) -> str:
    instead = f" instead of {moved.before}" if moved.before else ""
    names = listed(sorted(moved.vectors))
    also = f", with the vectors of {names}" if names else ""
    return f"{moved.version} is in use{instead}{also}."


def _overtaken(work: Work, now: str) -> str:
    before = work.update.before or "no release"
    return (
        f"{now or 'No release'} is in use by now, and this update was planned on {before}. Nothing "
        "was changed: begin another update."
    )

"""What the store remembers of how models were made: trainings, and studies that were applied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.store import StoredStudy, session

if TYPE_CHECKING:
    from workbench.lineage import Training


def applied() -> list[dict[str, Any]]:
    """Models that were made with a trial's settings, the oldest study first.

    id, model, digest   of the study and the model that it tuned
    name, made, at      of the model that came of it: its name, its digest, when
    trial, space        whose settings it has; the space that was searched
    """
    columns = (StoredStudy.id, StoredStudy.model, StoredStudy.digest, StoredStudy.result,
               StoredStudy.space)  # fmt: skip
    with session(read_only=True) as s:
        rows = s.execute(select(*columns).order_by(StoredStudy.number)).all()
    return [
        {
            "id": id, "model": model, "digest": digest.removeprefix("sha256:"), "name": name,
            "made": str(note["digest"]).removeprefix("sha256:"), "at": str(note.get("at") or ""),
            "trial": note.get("trial"), "space": space,
        }
        for id, model, digest, result, space in rows
        for name, note in (result.get("applied") or {}).items()
        if isinstance(note, Mapping) and note.get("digest")
    ]  # fmt: skip


def quantised(study: Mapping[str, Any]) -> str:
    """The kind that the weights of an applied trial have; "" where that was not searched."""
    searched = {one.get("name") for one in study["space"].get("parameters") or ()}
    if "quantisation" not in searched:
        return ""
    from workbench.tune import find, trials

    points = (one.point for one in trials(find(study["id"])) if one.number == study["trial"])
    return str(next(points, {}).get("quantisation") or "")


def training_of(run: Training) -> dict[str, Any]:
    """A training as a release keeps it: all that is needed to do it again."""
    files = (run.export or {}).get("files") or {}
    folder = PurePath(run.base)
    return {
        "training": run.id, "recipe": run.recipe, "settings": dict(run.settings),
        "dataset": run.dataset, "dataset_name": run.dataset_name,
        "dataset_recipe": _recipe(run.dataset),
        "base": folder.name if folder.is_absolute() else run.base,
        "base_digest": run.base_digest.removeprefix("sha256:"),
        "export": {kind: one["sha256"] for kind, one in files.items()},
    }  # fmt: skip


def _recipe(digest: str) -> dict[str, Any]:
    """How a dataset was made, without the places of this machine's files; with that of the
    dataset before it as `parent_recipe`."""
    from workbench.data import datasets, history

    known = {one.digest: one for newest in datasets() for one in reversed(history(newest.name))}
    return _told(known, digest, set())


def _told(known: Mapping[str, Any], digest: str, seen: set[str]) -> dict[str, Any]:
    found = known.get(digest)
    if found is None or digest in seen:
        return {}
    recipe = _elsewhere(found.recipe)
    before = _told(known, found.parent, seen | {digest}) if found.parent else {}
    return {**recipe, **({"parent_recipe": before} if before else {})}


def _elsewhere(value: Any) -> Any:
    """The same without this machine's folders: of an absolute path its last part."""
    if isinstance(value, Mapping):
        return {name: _elsewhere(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_elsewhere(one) for one in value]
    if isinstance(value, str) and value[:2] != "//" and PurePath(value).is_absolute():
        return PurePath(value).name
    return value

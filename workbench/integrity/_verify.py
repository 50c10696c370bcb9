"""The check: manifests against blobs, and every blob's bytes against its digest.

Models come and go meanwhile, so what looked wrong is looked at once more at the end: only what is
wrong both times, in a file that has stayed the same, is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from workbench import settings
from workbench.errors import ModelNotFound
from workbench.integrity._known import Known
from workbench.integrity._reading import Pass
from workbench.integrity._records import Fault, Pace, Report
from workbench.integrity._survey import Survey, survey
from workbench.library import Library
from workbench.protocol import ModelName


def verify(
    library: Library | Path | None = None,
    *,
    names: Iterable[str] | None = None,
    progress: Callable[[Pace], None] | None = None,
    resume: bool = True,
    workers: int | None = None,
) -> Report:
    """Read every byte of the models (or of those with these names) and tell what is wrong.

    `progress` is called some times a second, here; what it raises ends the check, and the next one
    goes on where this was. With `resume` a file that was read in the last day and has not changed
    since is believed; without, all is read. `workers` are threads (default: one per core).

    Raises ModelNotFound for a name that is not there, InvalidRequest for what is no name.
    """
    began, root, keys = time.monotonic(), _root(library), _keys(names)
    found, known = _looked(root, keys), Known()
    there = [blob for blob in found.blobs.values() if blob.status is not None]
    unread = [
        blob for blob in there
        if not (resume and blob.status and known.fresh(blob.digest, blob.status))
    ]  # fmt: skip
    reading = Pass(known, progress or (lambda pace: None), workers or _cores())
    flipped = [
        blob.fault("flipped", what, blob.again(), root) for blob, what in reading.run(unread)
    ]
    faults = _confirmed([*found.faults, *flipped], root, keys)
    return _report(
        found, faults, began, read=reading.bytes, trusted=len(there) - len(unread), thorough=True
    )


def look(library: Library | Path | None = None, *, names: Iterable[str] | None = None) -> Report:
    """What can be told without reading the blobs: what is missing, cut, foreign, left over.
    Raises as `verify` does."""
    began, root, keys = time.monotonic(), _root(library), _keys(names)
    found = _looked(root, keys)
    return _report(found, _confirmed(found.faults, root, keys), began, thorough=False)


def checked_at(library: Library | Path | None = None) -> dict[str, datetime | None]:
    """By model, the time since which all of its bytes are known to be right; None for one that was
    never read to its end, or was changed since."""
    found, known = survey(_root(library)), Known()
    times: dict[str, list[float | None]] = {name: [] for name in found.models}
    for blob in found.blobs.values():
        at = known.at(blob.digest, blob.status) if blob.status is not None else None
        for name in blob.names:
            times[name].append(at)
    return {name: _oldest(one) for name, one in times.items()}


def _oldest(times: list[float | None]) -> datetime | None:
    sure = [at for at in times if at is not None]
    return datetime.fromtimestamp(min(sure), UTC) if sure and len(sure) == len(times) else None


def _root(library: Library | Path | None) -> Path:
    if library is None:
        return settings.models_folder()
    return library.root if isinstance(library, Library) else Path(library)


def _keys(names: Iterable[str] | None) -> frozenset[str] | None:
    if names is None:
        return None
    return frozenset(ModelName.parse(name).key() for name in names)


def _looked(root: Path, keys: frozenset[str] | None) -> Survey:
    found = survey(root, keys)
    missing = (keys or frozenset()) - {ModelName.parse(name).key() for name in found.models}
    if missing:
        names = ", ".join(sorted(missing))
        raise ModelNotFound(f"There is no model {names} in {root}. List them and ask again.")
    return found


def _cores() -> int:
    from workbench.hardware import usable_cores

    return usable_cores()[1]


def _confirmed(faults: list[Fault], root: Path, keys: frozenset[str] | None) -> list[Fault]:
    """Those that are there still. A model may have been deleted, replaced or repaired meanwhile."""
    if not faults:
        return []
    now = survey(root, keys)
    same = {(fault.kind, fault.path) for fault in faults}
    kept = [fault for fault in now.faults if (fault.kind, fault.path) in same]
    named = {blob.path for blob in now.blobs.values() if blob.status is not None}
    return kept + [one for one in faults if one.kind == "flipped" and one.path in named]


def _report(
    found: Survey,
    faults: list[Fault],
    began: float,
    *,
    thorough: bool,
    read: int = 0,
    trusted: int = 0,
) -> Report:
    """The worst first: what breaks models."""
    statuses = [blob.status for blob in found.blobs.values()]
    return Report(
        root=found.root,
        at=datetime.now(UTC),
        digests=dict(found.digests),
        models=tuple(found.models),
        files=len(found.blobs),
        bytes=sum(status.st_size for status in statuses if status is not None),
        read=read,
        trusted=trusted,
        seconds=time.monotonic() - began,
        thorough=thorough,
        faults=tuple(sorted(faults, key=lambda fault: not fault.harmful)),
    )

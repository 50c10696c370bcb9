"""Mending what a check found. Nothing is deleted, and nothing gets a blob's name but its bytes.

A blob is written beside, hashed on the way and renamed, so an engine that reads the old file goes
on reading it; what should not be there is moved to `quarantine`. A model that is pulled again and
turns out to be another one is not kept in the place of what was there.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from workbench import settings
from workbench.errors import EngineError, InvalidRequest, WorkbenchError
from workbench.integrity._engine import Mender, compare
from workbench.integrity._files import open_plain, ours, read_small
from workbench.integrity._records import Fault, Outcome
from workbench.library import Event, Library, Puller, PullLimits
from workbench.protocol import Layer, Manifest, ModelName, digest_of
from workbench.types import Progress

Told = Callable[[Progress], None]
_PIECE = 1 << 22
_LIMITS = PullLimits(tries=3)  # of several places, where one does not answer the next may


def repair(fault: Fault, engine: Mender | None = None, *, progress: Told | None = None) -> Outcome:
    """Do what `fault.repair` says, and tell what was done or why it could not be.

    `engine` unloads the models that were loaded from a broken file; an absent or moved model needs
    it. `progress` hears of downloads; what it raises ends the repair.
    """
    told = progress or (lambda step: None)
    if fault.repair is None:
        return Outcome(False, f"{fault.words}: this cannot be mended from here. {_advice(fault)}")
    if fault.repair.way == "pull":
        return _pull(fault, engine, told)
    if fault.path is None or fault.root is None or not _inside(fault.path, fault.root):
        return Outcome(False, "The fault names no file of a library. Run the check again.")
    ways = {"file": _again, "permissions": _permit, "aside": _aside, "copy": _in_place}
    try:
        found = ways[fault.repair.way](fault, told)
    except OSError as error:
        reason = error.strerror or error
        return Outcome(False, f"{fault.subject} cannot be mended ({reason}). {_advice(fault)}")
    if found.done and engine is not None:
        _unload(engine, fault.affects)
    return found


def _advice(fault: Fault) -> str:
    if fault.kind == "manifest":
        return (
            "A manifest cannot be made again from its blobs. Pull or create the model again; its "
            "blobs stay until then."
        )
    if fault.kind == "permissions":
        return "It may belong to another user: give it to yourself with chown, or ask them."
    if not fault.affects:
        return "No model needs it."
    return f"Get {', '.join(fault.affects)} again: pull, create or train."


def _inside(path: Path, root: Path) -> bool:
    places = (root / "blobs", root / "manifests")
    return ".." not in path.parts and any(path.is_relative_to(place) for place in places)


def _again(fault: Fault, told: Told) -> Outcome:
    """A blob anew: from a training's file with these bytes, else from where the model came."""
    assert fault.path is not None and fault.root is not None
    if _plain(fault.path) and digest_of(fault.path) == fault.digest:
        return Outcome(
            True, f"{fault.subject} is right. If its model does not load, pull or create it again."
        )
    library = Library(fault.root)
    for file in _candidates(fault.size):
        with suppress(InvalidRequest, OSError):  # other bytes, or gone
            _copy(file, library, fault.digest)
            return Outcome(True, f"{fault.subject} was copied from {file}.")
    reasons = []
    for name in fault.sources:
        try:
            host = _fetch(library, name, fault, told)
        except WorkbenchError as error:
            reasons.append(f"{name}: {error}")
        else:
            return Outcome(True, f"{fault.subject} was fetched from {host} by its digest.")
    why = " ".join(dict.fromkeys(f"{reason.rstrip('.')}." for reason in reasons))
    none = "No training has a file with these bytes"
    return Outcome(False, f"{none}, and it cannot be fetched. {why} {_advice(fault)}")


def _plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _candidates(size: int) -> Iterator[Path]:
    """GGUF files of trainings that have this size."""
    for place, _, files in os.walk(settings.home() / "trainings"):
        for name in sorted(files):
            path = Path(place, name)
            if name.endswith(".gguf") and _plain(path) and path.stat().st_size == size:
                yield path


def _copy(file: Path, library: Library, digest: str) -> None:
    """Raises InvalidRequest when the bytes are others."""
    with os.fdopen(open_plain(file), "rb") as source, library.blobs.writer() as writer:
        while piece := source.read(_PIECE):
            writer.write(piece)
        writer.commit(digest)


def _fetch(library: Library, name: str, fault: Fault, told: Told) -> str:
    """The host that gave the blob. Raises InvalidRequest, EngineError."""
    model = ModelName.parse(name)
    layer = Layer("blob", fault.digest, fault.size)

    def emit(event: Event) -> None:
        told(Progress(event["status"], event.get("total"), event.get("completed"), fault.digest))

    work = Puller(library, _LIMITS).fetch(model, layer, emit)
    with ThreadPoolExecutor(1) as pool:  # the caller may have a loop of its own
        pool.submit(asyncio.run, work).result()
    return model.host


def _permit(fault: Fault, told: Told) -> Outcome:
    assert fault.path is not None
    status = fault.path.lstat()
    if stat.S_ISLNK(status.st_mode) or not ours(status):
        return Outcome(False, f"{fault.subject} is not yours. {_advice(fault)}")
    need = 0o700 if stat.S_ISDIR(status.st_mode) else 0o600
    mode = (stat.S_IMODE(status.st_mode) | need) & ~0o002
    fault.path.chmod(mode)
    return Outcome(True, f"{fault.subject} is now of mode {mode:o}; check it again.")


def _aside(fault: Fault, told: Told) -> Outcome:
    assert fault.path is not None and fault.root is not None
    folder = fault.root / "quarantine"
    folder.mkdir(mode=0o700, exist_ok=True)
    when = time.strftime("%Y%m%dT%H%M%S")
    target = folder / f"{when}-{secrets.token_hex(3)}-{fault.path.name[:150]}"
    fault.path.rename(target)
    return Outcome(True, f"{fault.subject} was moved to {folder.name}/{target.name}.")


def _in_place(fault: Fault, told: Told) -> Outcome:
    """A copy in the place of a link, when what it leads to is right; else the link goes aside."""
    assert fault.path is not None and fault.root is not None
    if not fault.path.is_symlink():
        return Outcome(True, f"{fault.subject} is no link any more; check it again.")
    library = Library(fault.root)
    with suppress(OSError, RuntimeError, WorkbenchError):
        target = fault.path.resolve(strict=True)
        if fault.digest:
            _copy(target, library, fault.digest)
        else:
            raw = read_small(target)
            with library.blobs.workspace() as folder:
                _put(folder / "manifest", raw, fault.path)
        return Outcome(True, f"{fault.subject} is now a file of its own.")
    aside = _aside(fault, told)
    if not fault.digest:
        return aside
    again = _again(fault, told)
    return Outcome(again.done, f"{aside.words} {again.words}")


def _put(beside: Path, raw: bytes, path: Path) -> None:
    """Raises EngineError for what is no manifest."""
    Manifest.parse(raw)
    with beside.open("xb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _pull(fault: Fault, engine: Mender | None, told: Told) -> Outcome:
    """The model of the engine again; what was there comes back when another one comes."""
    (name,), wanted = fault.affects, fault.digest
    if engine is None:
        return Outcome(False, f"An engine is needed to pull {name}. Start one and try again.")
    kept = f"kept-by-workbench:{secrets.token_hex(4)}" if fault.kind == "moved" else ""
    right = False
    try:
        if kept:
            engine.copy(name, kept)
        try:
            for step in engine.pull(name):
                told(step)
            right = not compare(engine.models(), {name: wanted})
        finally:
            if kept:
                if not right:
                    engine.copy(kept, name)
                engine.delete(kept)
    except EngineError as error:
        return Outcome(False, f"{name} cannot be pulled: {error}")
    if right:
        return Outcome(True, f"{name} was pulled" + f" and is {wanted[:12]}." * bool(wanted))
    left = "What was here is here again." if kept else "It is installed, and not what was asked."
    return Outcome(
        False,
        f"The tag of {name} means another model now: {wanted[:12]} did not come. {left} Look for a "
        "tag that does not move, or make a release with the new one.",
    )


def _unload(engine: Mender, names: tuple[str, ...]) -> None:
    """Models that were loaded from what was broken are loaded anew when they are next asked."""
    keys = {ModelName.parse(name).key() for name in names}
    with suppress(EngineError):
        for model in engine.running():
            if ModelName.parse(model.name).key() in keys:
                engine.unload(model.name)

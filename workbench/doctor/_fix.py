"""Doing what a finding says: each action is one function, and none of them deletes anything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.doctor._check import Check
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.engines import Engine


@dataclass(frozen=True, slots=True)
class Fixed:
    """What was done about a finding, or why nothing could be."""

    done: bool
    words: str


async def fix(check: Check) -> Fixed:
    """Do the finding's `action`. What takes long is started as a job, and goes on by itself.

    Nothing is raised for what cannot be mended: the words say why, and what a person can do.
    """
    act = _ACTIONS.get(check.action)
    if act is None:
        advice = " ".join(part for part in (check.fix, check.command) if part)
        return Fixed(False, f"This has to be done by hand. {advice}".strip())
    try:
        return await act(check.about)
    except WorkbenchError as error:
        return Fixed(False, str(error))
    except OSError as error:
        return Fixed(False, f"It was refused ({error.strerror or error}).")


async def _close_home(about: str) -> Fixed:
    from workbench import settings

    folder = settings.home()
    if str(folder) != about:
        return Fixed(False, "The home is another one by now: look again.")
    await asyncio.to_thread(folder.chmod, 0o700)
    return Fixed(True, f"{Path(about).name} is closed to others.")


async def _start_engine(about: str) -> Fixed:
    from workbench.engines import start_engine

    return Fixed(True, f"The engine runs at {await asyncio.to_thread(start_engine)}.")


async def _restart_engine(about: str) -> Fixed:
    from workbench.engines import start_engine, stop_engine

    await asyncio.to_thread(stop_engine)
    return Fixed(True, f"The engine was started anew at {await asyncio.to_thread(start_engine)}.")


async def _unload(about: str) -> Fixed:
    from workbench.engines import aconnect

    async with await aconnect(start=False) as engine:
        names = [model.name for model in await engine.running()]
        for name in names:
            await engine.unload(name)
    if not names:
        return Fixed(True, "No model is loaded.")
    return Fixed(True, f"{', '.join(names)} left the memory, or will when its answer has ended.")


async def _repair(about: str) -> Fixed:
    return await asyncio.to_thread(_repaired, about)


def _repaired(name: str) -> Fixed:
    """All faults of one model; of "" the folders that cannot be read."""
    from workbench.engines import connect
    from workbench.errors import EngineError
    from workbench.integrity import look, repair, verify

    engine: Engine | None
    try:
        engine = connect(start=False)
        engine = engine if engine.kind == "embedded" else None  # the files are not another's
    except EngineError:
        engine = None
    report = verify(names=[name]) if name else look()
    outcomes = [
        repair(fault, engine) for fault in report.faults
        if fault.harmful and (name or fault.kind == "permissions")
    ]  # fmt: skip
    if not outcomes:
        return Fixed(True, f"{name or 'Everything'} is whole.")
    words = " ".join(dict.fromkeys(outcome.words for outcome in outcomes))
    return Fixed(all(outcome.done for outcome in outcomes), words)


async def _starter(about: str) -> Fixed:
    return await _submitted("workbench.starter:build_starter", {}, "Build the starter model")


async def _embedding(about: str) -> Fixed:
    return await _submitted("workbench.starter:install_minilm", {}, "Make the embedding model")


async def _submitted(target: str, arguments: dict[str, str], title: str) -> Fixed:
    """A job for it, unless one is at work already."""
    from workbench.jobs import jobs, submit

    def begin() -> Fixed:
        for job in jobs():
            if job.target == target and not job.ended and dict(job.arguments) == arguments:
                return Fixed(True, f"{job.title} is at work already: workbench jobs show {job.id}")
        job = submit(target, arguments, title=title, kind="doctor")
        return Fixed(True, f"{title} was started: workbench jobs show {job.id}")

    return await asyncio.to_thread(begin)


async def _sync(version: str) -> Fixed:
    return await asyncio.to_thread(_synced, version)


def _synced(version: str) -> Fixed:
    from workbench.engines import connect
    from workbench.releases import find
    from workbench.sync import Synced, sync

    with connect() as engine:
        ends = [one for one in sync(engine, find(version)) if isinstance(one, Synced)]
    words = [one.words for one in ends if one.outcome != "here"]
    done = all(one.outcome in {"here", "done"} for one in ends)
    return Fixed(done, " ".join(words) or f"All models of {version} are here.")


async def _embed_anew(name: str) -> Fixed:
    from workbench.vectors import generations

    made = await asyncio.to_thread(lambda: {one.in_use: one for one in generations(name)})
    arguments = {"name": name, "model": made[True].model}
    found = await _submitted("workbench.vectors:reembed", arguments, f"Embed {name} anew")
    words = f"{found.words} When it is done, take the new vectors into use (vectors.switch)."
    return Fixed(found.done, words)


async def _resume(id: str) -> Fixed:
    from workbench.jobs import resume

    job = await asyncio.to_thread(resume, id)
    return Fixed(True, f"{job.title} goes on.")


_ACTIONS: dict[str, Callable[[str], Awaitable[Fixed]]] = {
    "close home": _close_home,
    "start engine": _start_engine,
    "restart engine": _restart_engine,
    "unload models": _unload,
    "repair files": _repair,
    "build starter": _starter,
    "build embedding model": _embedding,
    "sync release": _sync,
    "embed anew": _embed_anew,
    "resume job": _resume,
}
ACTIONS = tuple(_ACTIONS)

"""What is wrong here, and what to do about it: the checks behind `workbench doctor` and the page.

Nothing is printed and nothing is repaired. A check is fine (True), failed (False) or a note
(None: worth knowing, no fault); the last two say what to do, with a command where there is one.
A check that fails in an unforeseen way is a failed check, never a traceback.

The fast round looks at sizes. The thorough one reads every byte of the stored models, which is
the only way to find one that was flipped, and lets the smallest model say a token. A live
Ollama's own files are left to Ollama.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import settings
from workbench.errors import EngineUnreachable, WorkbenchError

if TYPE_CHECKING:
    from workbench.engines import AsyncEngine
    from workbench.types import Model

GB = 1_000_000_000
POSITIVE = ("WORKBENCH_MAX_JOBS", "MAX_OPTIMIZATION_ITERATIONS", "OPTIMIZATION_TIMEOUT_MINUTES")
# an Ollama before 0.30 tells the family and not the capabilities
EMBEDDING_FAMILIES = ("bert", "nomic-bert", "xlm-roberta")


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `ok` is None for a note; `fix` says what to do and `command` does it."""

    name: str
    ok: bool | None
    message: str
    fix: str | None = None
    command: str | None = None


Look = Callable[[], Iterator[Check]]


async def check(*, thorough: bool = False) -> list[Check]:
    """All findings, in the order in which a person would repair them."""
    found = await _each("home", _home) + await _each("settings", _settings)
    looks: list[tuple[str, Look]] = []
    if found[0].ok is not False:  # all the others need a home
        found += await _engine(thorough)
        looks = [("model files", partial(_model_files, thorough)), ("store", _store)]
        looks += [("jobs", _jobs), ("disk", _disk), ("memory", _memory), ("speed", _speed)]
    for name, look in [*looks, ("packages", _packages)]:
        found += await _each(name, look)
    return [Check(item.name, True, item.message) if item.ok else item for item in found]


async def _each(name: str, look: Look) -> list[Check]:
    try:
        return await asyncio.to_thread(lambda: list(look()))
    except Exception as error:
        return [_failed(name, error)]


def _failed(name: str, error: Exception) -> Check:
    unforeseen = f"The check itself failed ({type(error).__name__}: {error})."
    return Check(name, False, str(error) if isinstance(error, WorkbenchError) else unforeseen)


def _home() -> Iterator[Check]:
    folder = settings.home()
    yours = os.access(folder, os.W_OK | os.X_OK)
    yours = yours and (os.name != "posix" or not folder.stat().st_mode & 0o077)
    message = f"{folder} {'is' if yours else 'must be'} writable by you, and closed to others"
    yield Check("home", yours, message, "Chats and keys lie in it.", f"chmod 700 '{folder}'")


def _settings() -> Iterator[Check]:
    from workbench.protocol import parse_duration, parse_keep_alive

    idle = settings.env("WORKBENCH_ENGINE_IDLE", "0")
    alive = settings.env("OLLAMA_KEEP_ALIVE", "0")
    tests: list[Callable[[], object]] = [
        settings.engine_choice,
        settings.configured_engine_url,
        settings.log_level,
        lambda: settings.env_flag("DEBUG"),
        lambda: idle.lstrip("-").isdecimal() or parse_duration(idle),
        lambda: alive.lstrip("-").isdecimal() or parse_keep_alive(alive),
    ]
    tests += [partial(settings.env_int, name, 1, minimum=1) for name in POSITIVE]
    wrong = []
    for test in tests:
        try:
            test()
        except WorkbenchError as error:
            wrong.append(str(error))
    own = settings.env("OLLAMA_MODELS", "~/.ollama/models")
    if settings.models_folder() == Path(own).expanduser():
        wrong.append("WORKBENCH_MODELS is Ollama's own folder, which Ollama tidies up by itself.")
    message = " ".join(wrong) or "the environment makes sense"
    yield Check("settings", not wrong, message, "Set them right, or unset them.")
    sources = (file.read_text("utf-8") for file in Path(__file__).parent.rglob("*.py"))
    known = {name for text in sources for name in re.findall(r"WORKBENCH_[A-Z_]+\b", text)}
    for name in sorted(name for name in os.environ if name.startswith("WORKBENCH_")):
        if name not in known:
            near = " or ".join(get_close_matches(name, known, n=2)) or "one of the documented"
            yield Check("settings", None, f"{name} means nothing.", f"Did you mean {near}?")


def _store() -> Iterator[Check]:
    from sqlalchemy import text

    from workbench.store import SCHEMA, engine

    with engine().connect() as connection:  # opening brings it up to date, or says why not
        kind = connection.dialect.name
        question = "PRAGMA quick_check(1)" if kind == "sqlite" else "SELECT 'ok'"
        state = connection.execute(text(question)).scalar()
    message = f"{kind}, tables of version {SCHEMA}" if state == "ok" else f"{kind}: {state}"
    yield Check("store", state == "ok", message, "Restore a backup, or move it away.")


def _disk() -> Iterator[Check]:
    from workbench.hardware import disk_free

    fix = "Free some space: unused models are the quickest to go."
    home, models = settings.home(), settings.models_folder()
    for folder in [home] if models.is_relative_to(home) else [home, models]:
        free = disk_free(folder)
        ok = False if free < GB else None if free < 5 * GB else True
        message = f"{free / GB:.1f} GB free at {folder}"
        yield Check("disk", ok, message, fix, "workbench models list")


def _memory() -> Iterator[Check]:
    from workbench.hardware import memory

    total, free = memory()
    ok = False if free < 0.3 * GB else None if free < GB else True
    message = f"{free / GB:.1f} of {total / GB:.1f} GB available"
    yield Check("memory", ok, message, "Unload what you do not use.", "workbench models ps")


async def _engine(thorough: bool) -> list[Check]:
    from workbench.engines import aconnect

    found = await _each("engine process", _engine_process)
    try:
        async with await aconnect(start=False) as engine:
            message = f"{engine.kind} {await engine.version()} at {engine.url}"
            found.append(Check("engine", True, message))
            return found + await _models(engine, thorough)
    except EngineUnreachable as error:
        return [*found, Check("engine", False, str(error), "Start it.", "workbench engine start")]
    except Exception as error:
        return [*found, _failed("engine", error)]


async def _models(engine: AsyncEngine, thorough: bool) -> list[Check]:
    models = await engine.models()
    if not models:
        fix = "Train the starter model here (no network needed), or pull one."
        return [Check("models", False, "No model is installed.", fix, "workbench starter")]
    found = [Check("models", True, f"{len(models)} installed")]
    embed = [model for model in models if "embedding" in model.capabilities]
    embed = embed or [model for model in models if model.family in EMBEDDING_FAMILIES]
    speakers = [model for model in models if model not in embed]
    names = ", ".join(model.name for model in embed)
    fix, command = "Searching by meaning needs one.", "workbench starter --embedding"
    found.append(Check("embedding model", bool(names) or None, names or "None.", fix, command))
    if thorough and speakers:
        found.append(await _answers(engine, min(speakers, key=lambda model: model.size)))
    return found


async def _answers(engine: AsyncEngine, model: Model) -> Check:
    try:
        reply = await engine.generate(model.name, "Hello", options={"num_predict": 1})
    except WorkbenchError as error:
        return Check("answer", False, f"{model.name}: {error}", "engine/engine.log may say why.")
    return Check("answer", True, f"{model.name} said {reply.metrics.eval_count} token")


def _engine_process() -> Iterator[Check]:
    import psutil

    from workbench.engines import engine_status

    file = settings.home() / "engine" / "engine.json"
    status = engine_status()
    if status is not None:
        yield Check("engine process", True, f"process {status.pid} at {status.url}")
    elif file.exists():
        pid = json.loads(file.read_bytes())["pid"]
        hangs = psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        message = "It does not answer." if hangs else "The last engine was killed."
        fix = "Models stay, and the next use starts a new one; engine/engine.log may say why."
        command = f"workbench engine {'stop' if hangs else 'start'}"
        yield Check("engine process", False if hangs else None, message, fix, command)


def _model_files(thorough: bool) -> Iterator[Check]:
    from workbench.protocol import ModelName, parse_digest

    root = settings.models_folder()
    faults: dict[str, str] = {}  # by blob: it is looked at once, however many models share it
    manifests, sound = sorted(root.glob("manifests/*/*/*/*")), True
    for file in manifests:
        name = ModelName(*file.relative_to(root / "manifests").parts).display()
        wrong = []
        try:
            record = json.loads(file.read_bytes())
            for layer in (record["config"], *record["layers"]):
                blob = f"sha256-{parse_digest(layer['digest'])}"
                if blob not in faults:
                    faults[blob] = _fault(root / "blobs" / blob, layer["size"], thorough)
                wrong += [f"{blob[:19]} {faults[blob]}"] if faults[blob] else []
        except (ValueError, KeyError, TypeError, OSError, RecursionError, WorkbenchError):
            wrong = ["its manifest is damaged"]
        if wrong:
            fix = "Remove it, then pull or create it again (the starter: workbench starter)."
            command = f"workbench models rm --yes {name}"
            yield Check("model files", False, f"{name}: {', '.join(wrong)}.", fix, command)
        sound = sound and not wrong
    if sound:
        done = "every byte is right" if thorough else "all there, of the right size"
        yield Check("model files", True, f"{len(manifests)} models, {len(faults)} files: {done}")


def _fault(blob: Path, size: int, thorough: bool) -> str:
    from workbench.protocol import digest_of

    if not blob.is_file():
        return "is missing"
    if blob.stat().st_size != size:
        return f"has {blob.stat().st_size} of {size} bytes"
    changed = thorough and digest_of(blob) != blob.name.replace("-", ":")
    return "was changed on the disk" if changed else ""


def _jobs() -> Iterator[Check]:
    from workbench.jobs import jobs

    found = jobs("interrupted")
    for job in found[:5]:
        fix, command = "Go on from its last checkpoint.", f"workbench jobs resume {job.id}"
        yield Check("jobs", None, f"{job.title} was interrupted.", fix, command)
    if not found:
        yield Check("jobs", True, "none is interrupted")


def _speed() -> Iterator[Check]:
    import psutil

    from workbench.hardware import usable_cores

    (_, cores), load, swap = usable_cores(), psutil.getloadavg()[0], psutil.swap_memory()
    said = settings.env("OMP_NUM_THREADS")
    threads = int(said) if said.isdecimal() else cores
    slow = {
        f"{swap.used / GB:.1f} GB are swapped out": swap.percent > 25,
        f"the load is {load:.1f} on {cores} cores": load > 1.5 * cores,
        f"OMP_NUM_THREADS is {threads} of {cores} cores": threads < cores / 2,
    }
    fix = "Let other work end, use a smaller model or context, leave threads to the engine."
    for message in (message for message, is_so in slow.items() if is_so):
        yield Check("speed", None, f"Answers may be slow: {message}.", fix)
    if not any(slow.values()):
        yield Check("speed", True, f"{cores} cores, load {load:.1f}, little swapped out")


def _packages() -> Iterator[Check]:
    from importlib.metadata import distributions, requires

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    there = {canonicalize_name(found.name): found.version for found in distributions()}
    wrong = False
    for wanted in map(Requirement, requires("workbench") or ()):
        ours = not wanted.marker or wanted.marker.evaluate({"extra": ""})
        version = there.get(canonicalize_name(wanted.name))
        if ours and (version is None or not wanted.specifier.contains(version, prereleases=True)):
            wrong = True
            needed = f"{wanted.name}{wanted.specifier}"
            command = f"{sys.executable} -m pip install '{needed}'"
            message = f"{needed} is needed, {version or 'none'} is installed."
            yield Check("packages", False, message, "Install it.", command)
    if not wrong:
        python = ".".join(map(str, sys.version_info[:3]))
        yield Check("packages", True, f"as needed, on Python {python}")

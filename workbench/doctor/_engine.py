"""The engine: its process, its version, its models, and what hangs on those."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from workbench import settings
from workbench.doctor._check import Check, each, failed, guarded
from workbench.doctor._releases import release_models, vectors
from workbench.doctor._slow import slow
from workbench.doctor._templates import templates
from workbench.errors import EngineUnreachable, WorkbenchError

if TYPE_CHECKING:
    from workbench.engines import AsyncEngine
    from workbench.types import Model

# an Ollama before 0.30 tells the family and not the capabilities
_EMBEDDING_FAMILIES = ("bert", "nomic-bert", "xlm-roberta")
_OLDEST = (0, 12, 6)  # knows what a model reads, tokens' chances, `shift`


async def engine_checks(thorough: bool) -> list[Check]:
    """What can be told of the engine in use; none is started."""
    from workbench.engines import aconnect

    found = await each("engine process", _process)
    try:
        async with await aconnect(start=False) as engine:
            version = await engine.version()
            found.append(Check("engine", True, f"{engine.kind} {version} at {engine.url}"))
            found += _old(engine, version)
            models = await engine.models()
            found += await _models(engine, models, thorough)
            for name, finding in (
                ("release", release_models(engine)),
                ("vectors", vectors(engine)),
                ("template", templates(engine, models, thorough)),
                ("speed", slow(engine, models)),
            ):
                found += await guarded(name, finding)
            return found
    except EngineUnreachable as error:
        fix, command = "Start it.", "workbench engine start"
        return [
            *found,
            Check("engine", False, str(error), fix, command, *_start(found), safe=True),
            *await guarded("speed", slow(None, ())),
        ]
    except Exception as error:
        return [*found, failed("engine", error)]


def _start(found: list[Check]) -> tuple[str]:
    """One that hangs has to be ended first."""
    hangs = any(item.name == "engine process" and item.ok is False for item in found)
    return ("restart engine" if hangs else "start engine",)


def _old(engine: AsyncEngine, version: str) -> Iterator[Check]:
    numbers = tuple(map(int, re.findall(r"\d+", version)[:3]))
    if engine.kind == "ollama" and numbers and numbers < _OLDEST and any(numbers):
        least = ".".join(map(str, _OLDEST))
        message = f"Ollama {version} is old: it cannot show what a model reads, nor how sure it is."
        fix = f"Update it to {least} or newer (https://ollama.com/download), and start it again."
        yield Check("engine version", None, message, fix)


async def _models(engine: AsyncEngine, models: list[Model], thorough: bool) -> list[Check]:
    if not models:
        fix = "Train the starter model here (no network needed), or pull one."
        return [
            Check("models", False, "No model is installed.", fix, "workbench starter",
                  "build starter")
        ]  # fmt: skip
    found = [Check("models", True, f"{len(models)} installed")]
    embed = [model for model in models if "embedding" in model.capabilities]
    embed = embed or [model for model in models if model.family in _EMBEDDING_FAMILIES]
    speakers = [model for model in models if model not in embed]
    names = ", ".join(model.name for model in embed)
    fix, command = "Searching by meaning needs one.", "workbench starter --embedding"
    ok = bool(names) or None
    action = "build embedding model"
    found.append(Check("embedding model", ok, names or "None.", fix, command, action, safe=True))
    if thorough and speakers:
        found.append(await _answers(engine, min(speakers, key=lambda model: model.size)))
    return found


async def _answers(engine: AsyncEngine, model: Model) -> Check:
    try:
        reply = await engine.generate(model.name, "Hello", options={"num_predict": 1})
    except WorkbenchError as error:
        fix = "engine/engine.log may say why; the other findings too."
        return Check("answer", False, f"{model.name}: {error}", fix)
    return Check("answer", True, f"{model.name} said {reply.metrics.eval_count} token")


def _process() -> Iterator[Check]:
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
        action = "restart engine" if hangs else "start engine"
        ok = False if hangs else None
        yield Check("engine process", ok, message, fix, command, action, safe=True)

"""Under what something was measured: engine, model, options, machine, and what else ran on it.

What others take from the processors is what those were busy with, less what the engine's
processes and this one used. It is told for an engine on this machine only, as a share of all
processors; time that a virtual machine's host took counts as taken by others.
"""

from __future__ import annotations

import asyncio
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import __version__, hardware
from workbench.engines import AsyncEngine
from workbench.meter._asking import loaded, local, processes, same_name
from workbench.types import ModelDetails

if TYPE_CHECKING:
    import psutil

NOISY = 0.1  # share of the processors that others may take
_SMI = "nvidia-smi --query-compute-apps=pid,used_memory --format=csv,noheader,nounits"


@dataclass(frozen=True, slots=True)
class Setting:
    """All that a figure depends on and that can be told."""

    model: str
    digest: str
    quantisation: str
    parameter_size: str
    engine: str  # kind
    engine_version: str
    context: int | None  # tokens per slot
    slots: int | None  # requests that are answered at once
    options: Mapping[str, Any]  # that were sent
    parameters: str  # that the model was installed with
    machine: Mapping[str, Any] | None  # None: the engine is elsewhere
    libraries: Mapping[str, str]
    measured_at: str  # ISO 8601, UTC


@dataclass(frozen=True, slots=True)
class Noise:
    """What else the machine did. Shares of all its processors; None where it cannot be told."""

    load_average: float | None  # of the last minute, before
    before: float | None
    during: float | None
    noisy: bool | None
    words: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What the loaded model holds, in bytes. None where nobody tells."""

    held: int | None  # as the engine tells it, in main memory and on cards
    gpu: int | None
    peak: int | None  # of its process in main memory, the most since it was loaded
    source: str


async def setting(
    engine: AsyncEngine, model: str, details: ModelDetails, options: Mapping[str, Any]
) -> Setting:
    """The setting of a model that is loaded. Raises EngineError."""
    row, here = await loaded(engine, model), local(engine.url)
    listed = [one for one in await engine.models() if same_name(one.name, model)]
    libraries = {"workbench": __version__, "python": platform.python_version()}
    with suppress(PackageNotFoundError):
        if here and engine.kind == "embedded":
            libraries["xllamacpp"] = version("xllamacpp")
    slots = row.raw.get("slots") if row else None
    return Setting(
        model=model,
        digest=listed[0].digest if listed else "",
        quantisation=details.quantization,
        parameter_size=details.parameter_size,
        engine=engine.kind,
        engine_version=await engine.version(),
        context=row.context_length if row else None,
        slots=slots if isinstance(slots, int) else None,
        options=dict(options),
        parameters=details.parameters,
        machine=asdict(await asyncio.to_thread(hardware.machine)) if here else None,
        libraries=libraries,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds of all processors: that passed, that were used, and that each of ours used."""

    passed: float
    busy: float
    ours: Mapping[int, float]


def clocks(url: str) -> Clocks | None:
    """The clocks of the engine's machine; None when that is not this one."""
    import psutil

    ours = processes(url)
    if not ours:
        return None
    times, used = psutil.cpu_times(), {}
    for process in [*ours, psutil.Process()]:
        with suppress(psutil.Error):
            used[process.pid] = sum(process.cpu_times()[:2])
    busy = sum(times[:8]) - times.idle - getattr(times, "iowait", 0.0)
    return Clocks(time.monotonic() * (psutil.cpu_count() or 1), busy, used)


def noise(load_average: float | None, *readings: Clocks | None) -> Noise:
    """What others did, from three readings: before, at the beginning, at the end."""
    first, begin, end = readings
    if first is None or begin is None or end is None:
        words = "What else the engine's machine did cannot be told from here."
        return Noise(load_average, None, None, None, words)
    before, during = _others(first, begin), _others(begin, end)
    words = f"Other programs took {during:.0%} of the processors, and {before:.0%} just before."
    noisy = max(before, during) > NOISY
    if noisy:
        words += " The machine can do better than these figures: measure again when it is quiet."
    return Noise(load_average, before, during, noisy, words)


def load_average() -> float | None:
    """Of the last minute; None on systems that have none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _others(then: Clocks, now: Clocks) -> float:
    ours = sum(used - then.ours.get(pid, 0.0) for pid, used in now.ours.items())
    share = (now.busy - then.busy - ours) / max(now.passed - then.passed, 1e-9)
    return min(1.0, max(0.0, share))


async def memory(engine: AsyncEngine, model: str) -> Memory:
    """What the loaded model holds now, and the peak of its process where that is here."""
    row = await loaded(engine, model)
    if row is None:
        return Memory(None, None, None, "the engine does not list it as loaded")
    child = await asyncio.to_thread(_child, engine, row.size)
    if child is None:
        return Memory(row.size or None, row.size_vram or None, None, "as the engine tells")
    gpu = row.size_vram or await asyncio.to_thread(_card_bytes, child.pid)
    return Memory(row.size or None, gpu or None, _peak(child), "the model's own process")


def _child(engine: AsyncEngine, held: int) -> psutil.Process | None:
    """The embedded engine's process of the model: the one that holds what the engine tells."""
    import psutil

    sizes = {}
    for process in processes(engine.url)[1:] if engine.kind == "embedded" else ():
        with suppress(psutil.Error):
            sizes[process] = abs(process.memory_info().rss - held)
    best = min(sizes, key=lambda process: sizes[process], default=None)
    return best if best is not None and sizes[best] <= max(0.05 * held, 2**20) else None


def _peak(process: psutil.Process) -> int | None:
    """The most that a process has had in main memory; None when nobody tells."""
    with suppress(OSError, ValueError, IndexError):
        told = Path(f"/proc/{process.pid}/status").read_text().partition("VmHWM:")[2]
        return int(told.split()[0]) * 1024
    return getattr(process.memory_info(), "peak_wset", None)  # Windows


def _card_bytes(pid: int) -> int:
    """Memory that a process holds on NVIDIA cards; 0 when nobody tells. Not tried on a card."""
    try:
        told = subprocess.run(_SMI.split(), capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    rows = [row.replace(",", " ").split() for row in told.splitlines()]
    return sum(int(row[1]) for row in rows if row[:1] == [str(pid)] and row[1].isdigit()) * 2**20

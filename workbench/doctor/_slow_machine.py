"""Reasons for slow answers that lie in the machine: swap, other programs, threads."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench import settings
from workbench.doctor._check import GB

if TYPE_CHECKING:
    import psutil

_LOOK = 0.3  # seconds for which other programs are watched
_MUCH = 0.2  # processors that one program takes
_TAKEN = 0.25  # share of the processors that others may take


class Reason(NamedTuple):
    """Why answers may be slow, as the rest of a sentence, and what to do."""

    what: str
    fix: str
    command: str | None = None
    action: str = ""


def machine_reasons(url: str) -> tuple[list[Reason], str]:
    """The reasons, and what to say when there are none. `url` is the engine's, "" without one."""
    import psutil

    from workbench.hardware import usable_cores
    from workbench.meter import load_average, processes

    _, cores = usable_cores()
    ours = processes(url) if url else []
    reasons = [*_swap(ours), *_others(ours, cores), *_threads(cores)]
    load = load_average()
    words = f"{cores} cores" + (f", load {load:.1f}" if load is not None else "")
    return reasons, f"{words}, {psutil.swap_memory().percent:.0f} % of the swap is used"


def _swap(ours: Collection[psutil.Process]) -> list[Reason]:
    """Memory that is on the disk: the engine's own is what hurts."""
    import psutil

    fix = "Unload models, use a smaller one or a smaller context, or end other programs."
    own = sum(_swapped(process.pid) for process in ours)
    if own > 0.05 * GB:
        what = f"{own / GB:.1f} GB of the engine's memory are swapped out"
        return [Reason(what, fix, "workbench models ps", "unload models")]
    swap = psutil.swap_memory()
    if swap.percent > 25 and swap.used > 0.2 * GB:
        what = f"{swap.used / GB:.1f} GB are swapped out"
        return [Reason(what, fix, "workbench models ps", "unload models")]
    return []


def _swapped(pid: int) -> int:
    """Bytes of a process that are swapped out; 0 where nobody tells."""
    with suppress(OSError, ValueError, IndexError):
        told = Path(f"/proc/{pid}/status").read_text("utf-8").partition("VmSwap:")[2]
        return int(told.split()[0]) * 1024
    return 0


def _others(ours: Collection[psutil.Process], cores: int) -> list[Reason]:
    """Other programs by the processors that they take now."""
    import psutil

    known = {process.pid for process in ours} | {os.getpid()}
    every = [one for one in psutil.process_iter(["name"]) if one.pid not in known]
    before = {one: _seconds(one) for one in every}
    began = time.monotonic()
    time.sleep(_LOOK)
    passed = time.monotonic() - began
    taken = {one: (_seconds(one) - then) / passed for one, then in before.items()}
    if sum(share for share in taken.values() if share > 0) < _TAKEN * cores:
        return []
    most = sorted((one for one in taken if taken[one] > _MUCH), key=lambda one: -taken[one])[:3]
    words = ", ".join(
        f"{one.info['name']} (process {one.pid}) takes {taken[one]:.1f}" for one in most
    )
    rest = words or "many small ones take them together"
    what = f"other programs keep the {cores} cores busy: {rest}"
    return [Reason(what, "Let them end, or ask again when they rest.")]


def _seconds(process: psutil.Process) -> float:
    import psutil

    try:
        times = process.cpu_times()
    except psutil.Error:  # ended, or another user's
        return 0.0
    return float(times.user + times.system)


def _threads(cores: int) -> list[Reason]:
    """Variables that keep llama.cpp from the cores."""
    said = settings.env("OMP_NUM_THREADS")
    if said.isdecimal() and int(said) < cores / 2:
        what = f"OMP_NUM_THREADS allows {said} of {cores} cores"
        return [Reason(what, "Unset it and start the engine again: it counts the cores itself.")]
    return []

"""Tell the ledger what was seen of the children (`_measure`), beside what the formulas say.

Nothing here may delay or break an answer: a thread of its own predicts and writes, when the
engine rests or after some seconds. A store that cannot be used is said once and tried again a
minute later; what came meanwhile is lost.

Memory of NVIDIA cards is what nvidia-smi tells of the child's process; not tried on a machine
with a card.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from queue import SimpleQueue
from typing import Any

from workbench import fit, machines
from workbench.errors import FitError
from workbench.library import Installed

_REST = 10.0  # seconds that lines wait for the engine to rest, at most
_PAUSE = 60.0  # seconds until a store that failed is tried again
_FAREWELL = 10.0  # seconds that the engine's end waits for the last lines: tables may be to make
Details = dict[str, Any]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Subject:
    """A child that something is told of."""

    key: str
    model: Installed
    pid: int
    gpu: bool  # whether it computes on a card
    load: fit.Load


@dataclass(frozen=True, slots=True)
class Report:
    """What was seen of a child; the thread makes a line of it."""

    subject: Subject
    quantity: str
    measured: float | None  # None: the thread is to ask
    details: Details
    counts: bool


class Account:
    """The engine's side of the ledger. All but the thread runs on the engine's loop."""

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._queue: SimpleQueue[Report | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closing = False
        self.told: dict[tuple[str, str], float] = {}  # digest, quantity: when last told

    def put(self, report: Report) -> None:
        """Leave a report to the thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="ledger", daemon=True)
            self._thread.start()
        self._queue.put(report)

    async def close(self) -> None:
        """Write what is left, for a short time."""
        if self._thread is not None:
            self._closing = True
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join, _FAREWELL)

    def _write(self) -> None:
        pause, said = 0.0, set[str]()
        while (report := self._queue.get()) is not None:
            self._wait_for_rest()
            reports: list[Report | None] = [report]
            while not self._queue.empty():
                reports.append(self._queue.get())
            if time.monotonic() >= pause:
                try:
                    _record([one for one in reports if one is not None])
                except Exception as error:  # whatever it is: answers do not hang on it
                    pause = time.monotonic() + _PAUSE
                    if str(error) not in said:
                        said.add(str(error))
                        _log.warning("the ledger cannot be written: %s", error)
            if None in reports:
                return

    def _wait_for_rest(self) -> None:
        end = time.monotonic() + _REST
        while self._busy() and not self._closing and time.monotonic() < end:
            time.sleep(0.05)


def _record(reports: list[Report]) -> None:
    lines = [line for report in reports if (line := _line(report)) is not None]
    try:
        fit.record(*lines)
    except FitError:  # one of them cannot be true: the others can
        for line in lines:
            with suppress(FitError):
                fit.record(line)


def _line(report: Report) -> fit.Measurement | None:
    """A line of the ledger, with what the formulas say today."""
    subject, model = report.subject, report.subject.model
    is_memory = report.quantity.startswith("memory")
    measured = report.measured
    if measured is None:
        measured = gpu_bytes(subject.pid)
    if not measured:
        return None
    backend = "embedded-gpu" if subject.gpu else "embedded-cpu"
    architecture = model.header.architecture or "unknown"
    formula = _formula(report)
    return fit.Measurement(
        quantity=report.quantity,
        measured=measured,
        backend=backend,
        architecture=architecture,
        model=model.name.display(),
        digest=model.digest,
        quantisation=str(model.details.get("quantization_level") or ""),
        version=_version(),
        load=subject.load,
        formula=formula,
        corrected=formula
        and fit.corrected(
            formula, quantity=report.quantity, backend=backend, architecture=architecture
        ),
        counts=report.counts,
        details=report.details,
        key=f"{subject.key}-{report.quantity}" if is_memory else "",
    )


def _formula(report: Report) -> fit.Estimate | None:
    """What the formula says; None when it cannot say anything."""
    load = report.subject.load
    try:
        network = fit.network_of(report.subject.model.header)
        if not report.quantity.startswith("memory"):
            tokens = report.details  # the same work as was done
            read = tokens["prompt_tokens"]
            if report.quantity == "prompt_speed":
                read -= tokens["cached_tokens"]
            speed = machines.speed(network, load, prompt=read, written=tokens["written_tokens"])
            if speed is None:
                return None
            return speed.prompt if report.quantity == "prompt_speed" else speed.generation
        memory = fit.memory(network, load)
    except FitError:
        return None
    return memory.gpu if report.quantity == "memory_gpu" else memory.ram


@cache
def _version() -> str:
    return f"xllamacpp {version('xllamacpp')}"


def gpu_bytes(pid: int) -> int | None:
    """Memory that the process holds on NVIDIA cards; None when nobody tells."""
    command = ["nvidia-smi", "--query-compute-apps=pid,used_memory"]
    command.append("--format=csv,noheader,nounits")
    try:
        told = subprocess.run(command, capture_output=True, timeout=5).stdout.decode("latin-1")
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [row.split(",") for row in told.splitlines()]
    mine = [row[1].strip() for row in rows if len(row) == 2 and row[0].strip() == str(pid)]
    return sum(int(size) for size in mine if size.isdigit()) * 2**20 or None

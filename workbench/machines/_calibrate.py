"""What this machine was measured to do: a probe of about 40 seconds that the user starts.

`_probe` measures small networks through llama.cpp, `_derive` solves the costs of `_speed`'s
formula from them. How far the repeats lie apart is the calibration's `spread`;
when other programs took more than a tenth of the processors meanwhile it is `busy`. Both widen
intervals. Where they made all threads slower than one it is refused: that is off by 10 times.

Limits: processors only (the engine's llama.cpp is built without a GPU); a weight type that was
not measured takes the costs of its nearest kin.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from statistics import median
from typing import IO, Any

import psutil

from workbench.errors import FitError
from workbench.fit import fingerprint, latest_calibration, save_calibration
from workbench.machines._derive import derive
from workbench.machines._probe import probes

_BUSY = 0.1
_SILENCE = 90.0  # seconds for one model
_KIN = {
    "F32": "F16", "F64": "F16", "BF16": "F16", "F16": "Q8_0", "Q8_1": "Q8_0", "Q5_1": "Q5_0",
    "Q5_0": "Q8_0", "Q4_1": "Q4_0", "compute:Q4_1": "Q5_0", "Q4_0": "Q4_K", "Q4_K": "Q8_0",
    "Q6_K": "Q4_K", "Q5_K": "Q6_K", "Q3_K": "Q5_K", "Q2_K": "Q3_K", "IQ4_NL": "Q4_0",
    "IQ4_XS": "IQ4_NL", "MXFP4": "Q5_0", "NVFP4": "MXFP4", "IQ3_S": "Q3_K", "IQ3_XXS": "Q3_K",
    "IQ2_S": "Q2_K", "IQ2_XS": "Q2_K", "IQ2_XXS": "Q2_K", "IQ1_S": "Q2_K", "IQ1_M": "Q2_K",
    "TQ1_0": "Q2_K", "TQ2_0": "Q2_K", "q4_0": "q8_0", "q8_0": "f16",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a machine was measured to do.

    `costs` are seconds per byte ("read:Q4_K"), operation ("compute:Q4_K"), layer, token, entry of
    the vocabulary; `single` says by how much each kind of cost grows with one thread alone.
    """

    at: str  # ISO, UTC
    machine: str  # fingerprint
    version: str  # "xllamacpp 2026.10"
    threads: int
    best_threads: int  # that wrote quickest
    bandwidth: float  # bytes per second of main memory
    costs: Mapping[str, float]
    single: Mapping[str, float]
    spread: float = 0.0  # of repeated measurements, as a share
    busy: bool = False  # other programs worked meanwhile
    seconds: float = 0.0  # that it took

    @property
    def summary(self) -> str:
        """What a person wants to know of it, in one line."""
        busy = ", while other programs ran" * self.busy
        return (
            f"{self.at[:10]}, {self.threads} threads of {self.version}, "
            f"{self.bandwidth / 1e9:.3g} GB/s, repeats {self.spread:.0%} apart{busy}"
        )

    def knows(self, key: str) -> bool:
        """Whether this cost was measured itself."""
        return key in self.costs or key.removeprefix("experts-") in self.costs or key == "state"

    def cost(self, key: str, threads: int = 0) -> float:
        """Seconds per unit with so many threads (0: all)."""
        what, _, kind = key.partition(":")
        if what == "state":
            return 1 / self.bandwidth
        if what.startswith("experts-") and key not in self.costs:
            return self.costs[what] * self.cost(key.removeprefix("experts-"), threads)
        while f"{what}:{kind}" not in self.costs and kind:
            kind = _KIN.get(f"{what}:{kind}") or _KIN.get(kind, "Q8_0" if kind != "Q8_0" else "")
        found = self.costs.get(f"{what}:{kind}" if kind else what, 0.0)
        return found * self._slower(what, threads)

    def _slower(self, what: str, threads: int) -> float:
        """Speed grows evenly from one thread to all."""
        factor = self.single.get(what.removeprefix("experts-"), 1.0)
        if not 0 < threads < self.threads:
            return 1.0
        share = (threads - 1) / (self.threads - 1)
        return 1 / (share + (1 - share) / factor)


def newest_calibration() -> Calibration | None:
    """The calibration of this machine that was kept last; None when there is none to use."""
    return of_facts(latest_calibration())


def of_facts(facts: Mapping[str, Any] | None) -> Calibration | None:
    """A calibration from stored facts; None when they are of another form or cannot be true."""
    known = {field.name for field in fields(Calibration)}
    try:
        found = Calibration(**{k: v for k, v in (facts or {}).items() if k in known})
        numbers = [found.threads, found.best_threads, found.bandwidth, *found.single.values()]
        numbers += [found.costs[key] for key in ("layer", "token", "read:Q8_0", "compute:Q8_0")]
        sane = all(0 < number < math.inf for number in (*numbers, *found.costs.values()))
        sane = sane and 0 <= found.spread < math.inf and isinstance(found.at, str)
    except (TypeError, AttributeError, KeyError):
        return None
    return found if sane else None


def calibrate(job: Any) -> dict[str, Any]:
    """The target of the job `workbench.machines:calibrate`; it returns the calibration's facts."""
    return asdict(run_calibration(job.progress, job.check_cancelled))


def run_calibration(
    progress: Callable[[float, str], None] | None = None,
    check: Callable[[], None] | None = None,
    *,
    scale: float = 1.0,
    threads: int = 0,
) -> Calibration:
    """Measure this machine and keep the result. Raises FitError when llama.cpp cannot be run.

    `check` is called every tenth of a second and may raise, to cancel. A `scale` below 1
    measures less and worse, for tests.
    """
    threads = threads or engine_threads()
    watch = _Watch()
    bandwidth = measure_bandwidth(threads, scale)
    wanted = list(probes(scale, threads))
    rows: dict[str, Mapping[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="workbench-calibration-") as folder:
        request = {"folder": folder, "threads": threads, "scale": scale}
        for number, row in enumerate(_answers(request, check or (lambda: None), watch), 1):
            if "error" not in row:
                rows[row["name"]] = row
            if progress:
                left = watch.seconds / number * (len(wanted) - number)
                progress(number / len(wanted), f"{row['name']} measured, {left:.0f} s left")
    costs, single, best = derive(wanted, rows, threads)
    _refuse_held_up(single, watch)
    found = Calibration(
        datetime.now(UTC).isoformat(timespec="seconds"), fingerprint(), _version(), threads, best,
        bandwidth, costs, single, _spread(rows), watch.others > _BUSY, watch.seconds,
    )  # fmt: skip
    facts = {key: value for key, value in asdict(found).items() if key != "at"}
    save_calibration(facts | {"summary": found.summary})
    return newest_calibration() or found


def _refuse_held_up(single: Mapping[str, float], watch: _Watch) -> None:
    """All threads together are never slower than one, unless others take their processors."""
    if watch.others > _BUSY and single.get("read", 1.0) < 1:
        raise FitError(
            f"Other programs took {watch.others:.0%} of the processors and held llama.cpp's "
            "threads up, so that nothing true could be measured. Calibrate when they rest."
        )


def engine_threads() -> int:
    """Threads that the engine computes with on an idle machine."""
    from workbench.hardware import usable_cores

    physical, logical = usable_cores()
    return max(1, physical if physical >= 4 else logical)


def measure_bandwidth(threads: int, scale: float = 1.0) -> float:
    """Bytes per second that so many threads read from main memory, the best of 5 passes."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    parts = [np.ones(max(1, int(16e6 * scale)), np.int64) for _ in range(threads)]
    best = math.inf
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            start = time.perf_counter()
            list(pool.map(np.bitwise_or.reduce, parts))
            best = min(best, time.perf_counter() - start)
    return sum(part.nbytes for part in parts) / best


class _Watch:
    """How long it has taken, and how busy others kept the processors meanwhile."""

    def __init__(self) -> None:
        self.start, self.work, self.own = time.monotonic(), _work(), 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    @property
    def others(self) -> float:
        """Share of all processors' time that went to other programs."""
        own = self.own + sum(os.times()[:2])
        passed = self.seconds * (os.cpu_count() or 1)
        return max(0.0, _work() - self.work - own) / max(passed, 1e-9)


def _work() -> float:
    """Seconds that all processors have worked since the machine began."""
    times = psutil.cpu_times()
    return float(sum(times[:8])) - float(times.idle) - float(getattr(times, "iowait", 0))


def _answers(
    request: Mapping[str, Any], check: Callable[[], None], watch: _Watch
) -> Iterator[dict[str, Any]]:
    """The probe's lines. The program is ended when the caller stops, whatever the reason."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.machines._probe"], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    lines: SimpleQueue[str] = SimpleQueue()
    output = process.stdout
    listen = threading.Thread(target=lambda: _listen(output, lines), daemon=True)
    try:
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        listen.start()
        while line := _next_line(lines, check):
            with suppress(psutil.Error):
                watch.own = sum(psutil.Process(process.pid).cpu_times()[:2])
            yield json.loads(line)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()


def _listen(output: IO[str], lines: SimpleQueue[str]) -> None:
    with output:
        for line in output:
            lines.put(line)
    lines.put("")


def _next_line(lines: SimpleQueue[str], check: Callable[[], None]) -> str:
    end = time.monotonic() + _SILENCE
    while time.monotonic() < end:
        check()
        with suppress(Empty):
            return lines.get(timeout=0.1)
    raise FitError("llama.cpp took too long to be measured. Calibrate when the machine rests.")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # 20 ms

    with suppress(PackageNotFoundError):
        return f"xllamacpp {version('xllamacpp')}"
    return "xllamacpp"


def _spread(rows: Mapping[str, Mapping[str, Any]]) -> float:
    """How much slower than the quickest the middle of the repeats is, in the middle."""
    found: list[float] = []
    for row in (row for one in rows.values() for row in one["rows"]):
        found += (median(row[which]) / min(row[which]) - 1 for which in ("read", "write"))
    return median(found)

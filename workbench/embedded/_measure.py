"""What the engine sees of its children: their memory's peak and the speed of their answers.

- Memory: the child's resident peak (VmHWM on Linux; elsewhere what the system offers), one line
  of the ledger per load. It is written as "idle" after the load and replaced when the child has
  read a prompt of a batch (or all its context), and when it ends. Only such lines count, with
  the peak before llama.cpp began to save old prompts: its prompt cache is not the formula's
  business. The peak of all is among the details.
- Speed: at most one line a minute of each model, from llama.cpp's own clock: reading from
  64 prompt tokens that were not cached, writing from 32 tokens. A line counts when the answer was
  alone, plain (no grammar, no log-probabilities), not the child's first (which warms up), and
  when the rest of the machine left its threads their cores. Below 0.3 s that cannot be told.

All of this runs on the engine's loop: a few system calls per load, and per answer of which a
line is due; nothing per token. What was seen goes to `_account`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psutil

from workbench.embedded._account import Account, Details, Report, Subject
from workbench.embedded._limits import load_of
from workbench.library import Installed

if TYPE_CHECKING:
    from workbench.embedded._runner import Runner

_PROMPT_TOKENS = 64
_WRITTEN_TOKENS = 32
_EVERY = 60.0  # seconds between two lines of speed of one model
_SPARE = 0.15  # processors that other work may take from the child unnoticed
_SHORTEST = 0.3  # seconds of an answer in which the machine's other work can be seen


@dataclass(eq=False, slots=True)
class Answer:
    """One answer on its way. `timings` are llama.cpp's, set at its end."""

    plain: bool
    shared: bool = False
    clocks: tuple[float, float, float] | None = None  # None: no line of speed is due
    timings: dict[str, Any] = field(default_factory=dict)


class Watch:
    """One child: what it was loaded with, and what has been seen of it."""

    def __init__(self, account: Account, model: Installed, runner: Runner, threads: int) -> None:
        settings = runner.settings
        gpu = runner.gpu and settings.num_gpu != 0
        self.load = load_of(settings, threads, settings.num_gpu if gpu else 0)
        self._subject = Subject(uuid4().hex, model, runner.pid, gpu, self.load)
        self._account = account
        self._answers: set[Answer] = set()
        self._finished = 0
        self._tokens = 0  # that were computed
        self._recent: deque[int] = deque(maxlen=settings.parallel)  # tokens that slots still hold
        self._prompts = 0
        self._longest = 0  # prompt, in tokens
        self._peak: int | None = None  # with a long prompt, and without saved ones
        self.tell_memory("idle")

    @contextmanager
    def answer(self, *, plain: bool) -> Iterator[Answer]:
        """See `watched`."""
        one = Answer(plain, shared=bool(self._answers))
        if any(map(self._due, _SPEEDS)):
            one.clocks = _clocks(self._subject.pid)
        for other in self._answers:
            other.shared = True
        self._answers.add(one)
        try:
            yield one
        finally:
            self._answers.discard(one)
        if one.timings:
            self._tell_speed(one)
            self._finished += 1
            cached, read, written = (_count(one.timings, f"{n}_n") for n in _PARTS)
            self.computed(read, cached, written)

    def computed(self, read: int, cached: int = 0, written: int = 0) -> None:
        """The child has read so many tokens of a prompt and written an answer."""
        before, self._longest = self._longest, max(self._longest, read)
        self._tokens += read + written
        self._recent.append(cached + read + written)
        self._prompts += 1
        long = min(self.load.batch, self.load.context - 8)
        if before < self._longest >= long and not self._saved:
            self._peak = peak_bytes(self._subject.pid)
            if before < long:
                self.tell_memory("worked")

    @property
    def _saved(self) -> int:
        """Tokens of prompts that no slot holds any more, which the prompt cache may hold."""
        return max(0, self._tokens - sum(self._recent)) if self.load.prompt_cache else 0

    def ended(self) -> None:
        """The child is about to be ended."""
        if self._prompts:
            self.tell_memory("ended")

    def tell_memory(self, when: str) -> None:
        """Report the child's peak."""
        peak = peak_bytes(self._subject.pid)
        if not peak:
            return
        details = {
            "when": when, "prompts": self._prompts, "longest_prompt": self._longest, "peak": peak,
        }  # fmt: skip
        self._report("memory_ram", self._peak or peak, details, self._peak is not None)
        if self._subject.gpu and when == "worked":
            self._report("memory_gpu", None, {"when": when}, True)

    def _due(self, quantity: str) -> bool:
        told = self._account.told.get((self._subject.model.digest, quantity), -_EVERY)
        return time.monotonic() - told >= _EVERY

    def _tell_speed(self, one: Answer) -> None:
        if one.clocks is None:
            return
        cached, read, written = (_count(one.timings, f"{name}_n") for name in _PARTS)
        found = {  # the first token comes out of the prompt's reading: its time is not told here
            "prompt_speed": (read, _PROMPT_TOKENS, "prompt_ms"),
            "generation_speed": (written - 1, _WRITTEN_TOKENS - 1, "predicted_ms"),
        }
        speeds = {
            quantity: tokens * 1000 / float(one.timings[clock])
            for quantity, (tokens, least, clock) in found.items()
            if tokens >= least and one.timings.get(clock) and self._due(quantity)
        }
        if not speeds:
            return
        busy = one.shared or self._crowded(one)
        details = {
            "prompt_tokens": cached + read, "cached_tokens": cached, "written_tokens": written,
            "busy": busy, "plain": one.plain, "first": self._finished == 0,
        }  # fmt: skip
        for quantity, speed in speeds.items():
            self._account.told[self._subject.model.digest, quantity] = time.monotonic()
            usual = quantity == "generation_speed" or (self._finished > 0 and cached <= read)
            self._report(quantity, speed, details, busy is False and one.plain and usual)

    def _crowded(self, one: Answer) -> bool | None:
        """Whether other work took cores that the child needed; None when it cannot be told."""
        then, now = one.clocks, _clocks(self._subject.pid)
        if then is None or now is None or now[0] - then[0] < _SHORTEST:
            return None
        others = ((now[1] - then[1]) - (now[2] - then[2])) / (now[0] - then[0])
        return others + self.load.threads > (psutil.cpu_count() or 1) + _SPARE

    def _report(self, quantity: str, value: float | None, details: Details, counts: bool) -> None:
        counts = counts and not self._subject.model.adapter_paths  # the formula knows no adapters
        self._account.put(Report(self._subject, quantity, value, details, counts))


_PARTS = ("cache", "prompt", "predicted")
_SPEEDS = ("prompt_speed", "generation_speed")


def watched(runner: Runner, *, plain: bool) -> AbstractContextManager[Answer]:
    """Watch an answer of the runner; set its `timings` before the end, or nothing is told."""
    if runner.watch is None:
        return nullcontext(Answer(plain))
    return runner.watch.answer(plain=plain)


def peak_bytes(pid: int) -> int | None:
    """The most that the process has had in memory; None when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        found = psutil.Process(pid).memory_info()
    except psutil.Error:
        return None
    return int(getattr(found, "peak_wset", found.rss)) or None  # Windows knows a peak


def _clocks(pid: int) -> tuple[float, float, float] | None:
    """Seconds: now, of work of all processors, of work of the child and of this process."""
    try:
        child = psutil.Process(pid).cpu_times()
        times = psutil.cpu_times()
    except (psutil.Error, OSError):
        return None
    idle = times.idle + getattr(times, "iowait", 0.0)
    own = child.user + child.system + time.process_time()
    return time.monotonic(), sum(times[:8]) - idle, own


def _count(timings: dict[str, Any], name: str) -> int:
    return int(timings.get(name) or 0)

"""Requests whose parts are timed: to the first token, between tokens, to the end.

Two clocks stand beside each other. The engine's own: tokens and durations of its last line. The
client's: from sending to the first piece of text, and to the last. A server that answers from a
cache tells durations that are longer than the client waited; its figures are then left out.

An engine's clock of writing starts when the first token is there, and its count has that token
too: n tokens in the time of n - 1. So both speeds of writing divide n - 1, as llama.cpp's own does.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from workbench.engines import AsyncEngine
from workbench.errors import BenchError
from workbench.meter._asking import filler
from workbench.types import Metrics

_SHORTEST = 0.1  # seconds of writing that the client's clock can tell: pieces come in batches
_ENDLESS = "\n1, 2, 3, 4, 5, 6,"  # which few models stop to go on from


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured n times."""

    median: float
    low: float
    high: float
    p95: float
    n: int


def figure(values: Iterable[float | None]) -> Figure | None:
    """The figure of the values that are there; None when none is."""
    found = sorted(value for value in values if value)
    if not found:
        return None
    p95 = found[min(len(found) - 1, int(0.95 * len(found)))]
    return Figure(statistics.median(found), found[0], found[-1], p95, len(found))


@dataclass(frozen=True, slots=True)
class Timed:
    """One answer: seconds by the client's clock, and what the engine tells itself."""

    told: Metrics
    first: float
    last: float
    whole: float

    @property
    def true(self) -> bool:
        """Whether the engine's durations fit into the time that the client waited."""
        told = self.told.prompt_eval_duration + self.told.eval_duration
        return told / 1e9 <= 1.02 * self.whole + 0.005

    @property
    def prompt_speed(self) -> float | None:
        """Tokens of the prompt per second, by the engine."""
        return self.told.prompt_tokens_per_second if self.true else None

    @property
    def generation_speed(self) -> float | None:
        """Tokens written per second after the first one, by the engine."""
        known = self.true and self.told.eval_duration and self.told.eval_count > 1
        return (self.told.eval_count - 1) / self.told.eval_duration * 1e9 if known else None

    @property
    def generation_clock(self) -> float | None:
        """The same by the client."""
        span = self.last - self.first
        known = span >= _SHORTEST and self.told.eval_count > 1
        return (self.told.eval_count - 1) / span if known else None


class Asker:
    """Asks one model with prompts that nobody has asked before."""

    def __init__(
        self, engine: AsyncEngine, model: str, options: Mapping[str, Any], patience: float
    ) -> None:
        self.engine, self.model = engine, model
        self._options, self._patience = options, patience
        self._asked = time.time_ns() // 1000 % 10**9  # no two runs ask the same
        self._rest, self._each = 0.0, 24.0  # tokens of no words, and of a round of words

    def prompt(self, tokens: int) -> str:
        """A prompt of about so many tokens."""
        return self._filled(round((tokens - self._rest) / self._each))

    def _filled(self, rounds: int) -> str:
        self._asked += 1
        return filler(max(1, rounds), self._asked) + _ENDLESS

    async def warm_up(self, encoder: bool) -> bool:
        """Ask twice unmeasured, and learn how long prompts become. False: that is not told."""
        counts = []
        for prompt in (self._filled(1), self._filled(5)):
            if encoder:
                counts.append((await self.engine.embed(self.model, prompt)).prompt_eval_count)
            else:
                counts.append((await self.ask(prompt, 8)).told.prompt_eval_count)
        few, many = counts
        if 0 < few < many:
            self._each = (many - few) / 4
            self._rest = few - self._each
        return 0 < few < many

    async def ask(self, prompt: str, written: int) -> Timed:
        """One request, timed. Raises EngineError, and BenchError when it takes too long."""
        options = {"temperature": 0.8, **self._options, "num_predict": written, "stop": []}
        options["seed"] = self._asked % 2**31
        stream = self.engine.stream_generate(self.model, prompt, raw=True, options=options)
        told, first, last, begun = Metrics(), 0.0, 0.0, time.perf_counter()
        try:
            async with asyncio.timeout(self._patience), aclosing(stream) as chunks:
                async for chunk in chunks:
                    if chunk.text or chunk.thinking:
                        last = time.perf_counter() - begun
                        first = first or last
                    told = chunk.metrics or told
        except TimeoutError:
            raise BenchError(
                f"{self.model} did not answer within {self._patience:g} s. Measure with fewer "
                "tokens, or look at the engine's log."
            ) from None
        whole = time.perf_counter() - begun
        return Timed(told, first or whole, last or whole, whole)

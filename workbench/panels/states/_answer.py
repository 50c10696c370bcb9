"""One question or answer, and how an answer grows out of a stream's chunks."""

from __future__ import annotations

import time
from dataclasses import dataclass

from workbench.types import Chunk, Metrics


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said, by whom, and for an answer what it cost. The one being written has id 0."""

    id: int
    role: str
    text: str
    thinking: str = ""
    model: str = ""
    outcome: str = ""  # "", "stopped", "cut off", "interrupted"
    metrics: Metrics | None = None
    first_token: float | None = None  # seconds from the request


class Growing:
    """Collects the chunks of one answer. Until the engine sends its figures, a chunk counts as
    a token and time as this process sees it."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.tokens = 0
        self._began = time.perf_counter()
        self._first: float | None = None
        self._last: Chunk | None = None
        self._text: list[str] = []
        self._thinking: list[str] = []

    def add(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        if chunk.text or chunk.thinking:
            self._first = self._first or time.perf_counter()
            self.tokens += 1
            self._text.append(chunk.text)
            self._thinking.append(chunk.thinking)
        if chunk.done:
            self._last = chunk

    def turn(self, id: int = 0, outcome: str = "") -> Turn:
        """The answer so far."""
        text, thinking = "".join(self._text), "".join(self._thinking)
        self._text, self._thinking = [text], [thinking]
        first = self._first - self._began if self._first else None
        spent = time.perf_counter() - self._first if self._first and self.tokens > 1 else 0.0
        metrics = Metrics(eval_count=self.tokens, eval_duration=int(spent * 1e9))
        if self._last is not None:
            metrics = self._last.metrics or metrics
            outcome = outcome or ("cut off" if self._last.done_reason == "length" else "")
        return Turn(id, "assistant", text, thinking, self.model, outcome, metrics, first)

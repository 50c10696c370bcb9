"""Counting and rendering by a model's own tokenizer and template, where one is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workbench.engines import connect
from workbench.examples import (
    Example,
    Rendered,
    Template,
    Tokens,
    render,
    template_of,
    token_counter,
)


@dataclass(frozen=True, slots=True)
class Reader:
    """How a model reads examples. `context_length` is None where nobody says it."""

    tokens: Tokens
    template: Template
    context_length: int | None = None

    @property
    def count(self) -> Callable[[Sequence[str]], Sequence[int]] | None:
        """Counts the tokens of texts; None where they could only be estimated."""
        return self.tokens.counts if self.tokens.exact else None

    def render(self, example: Example) -> Rendered:
        """The example as the model reads it. Raises DataError, EngineError."""
        return render(example, self.template)


@contextmanager
def reader(model: str = "", engine: str | None = None) -> Iterator[Reader]:
    """The reader of a model of the engine or of a Hugging Face folder; without one, estimates and
    ChatML. Raises DataError, EngineError."""
    if not model or Path(model).expanduser().is_dir():
        path = Path(model).expanduser() if model else ""
        yield Reader(token_counter(path), template_of(path))
        return
    with connect(engine) as opened:
        length = opened.show(model).context_length
        yield Reader(token_counter(model, opened), template_of(model, opened), length)

"""What scorers see and say: a sample, an answer's verdict, and what helps them to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Mode = Literal["chat", "complete", "insert", "choice", "perplexity"]
# chat        the prompt is a user's message, the answer is what the model writes
# complete    the prompt stands as it is, without a template; the answer goes on from it
# insert      the answer belongs between the prompt and the suffix
# choice      the model chooses by log-likelihood among the sample's choices
# perplexity  how likely the model finds the target, after the prompt


@dataclass(frozen=True, slots=True)
class Sample:
    """One question and what is known of its answer."""

    id: str  # unique in its task
    prompt: str
    target: Any = None  # a text, a number, an object; of "choice" the index of the right one
    choices: tuple[str, ...] = ()
    suffix: str = ""  # of "insert": what stands behind the gap
    group: str = ""  # samples of one group are related (one document, one function)
    more: Mapping[str, Any] = field(default_factory=dict)  # what scorers need: tests, a schema, …


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a scorer says of one answer: 0 (wrong) to 1 (right), None when it could not tell."""

    value: float | None
    detail: str = ""  # why, in words, for who looks at the answer
    parts: Mapping[str, float] = field(
        default_factory=dict
    )  # further figures, such as bits_per_byte


@dataclass(frozen=True, slots=True)
class Tools:
    """What some scorers need besides the answer; None where it is not to be had."""

    embed: Callable[[Sequence[str]], Sequence[Sequence[float]]] | None = None
    judge: Callable[[str], str] | None = None  # a prompt for the judging model → its answer
    judge_name: str = ""


Scorer = Callable[..., Verdict]  # scorer(answer, sample, tools, **options)


@dataclass(frozen=True, slots=True)
class ScorerUse:
    """A scorer by its name, with its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


class Scored(Protocol):
    """What a scorer needs to know of a task."""

    @property
    def mode(self) -> Mode: ...

    @property
    def scorers(self) -> tuple[ScorerUse, ...]: ...

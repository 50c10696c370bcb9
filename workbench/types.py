"""Frozen records that every room shares: what an engine tells us and what we ask of it.

Names follow Ollama's protocol where it has one. Durations are nanoseconds as on the wire;
properties give seconds. `raw` keeps the engine's own words, for what has no field here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Json = Mapping[str, Any]
EngineKind = Literal["embedded", "ollama", "openai"]


@dataclass(frozen=True, slots=True)
class Model:
    """One installed model, as a line of a list."""

    name: str
    size: int = 0  # bytes on disk
    digest: str = ""  # SHA-256 of the manifest, bare hex
    modified_at: datetime | None = None
    family: str = ""
    parameter_size: str = ""  # "8B", as the engine writes it
    quantization: str = ""
    capabilities: tuple[str, ...] = ()
    raw: Json = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class RunningModel:
    """One loaded model. `size` is what it holds in memory, `size_vram` the part on a GPU."""

    name: str
    size: int = 0
    size_vram: int = 0
    context_length: int | None = None  # tokens per slot
    expires_at: datetime | None = None
    slots: int | None = None  # requests that it computes at once; the embedded engine tells
    raw: Json = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """All that an engine's `show` tells of one model."""

    name: str
    modelfile: str = ""
    template: str = ""
    system: str = ""
    parameters: str = ""
    license: str = ""
    family: str = ""
    parameter_size: str = ""
    quantization: str = ""
    capabilities: tuple[str, ...] = ()
    model_info: Json = field(default_factory=dict, repr=False)
    raw: Json = field(default_factory=dict, repr=False)

    @property
    def context_length(self) -> int | None:
        """Tokens that the model was trained for, None when the engine does not say."""
        architecture = self.model_info.get("general.architecture", "")
        value = self.model_info.get(f"{architecture}.context_length")
        return int(value) if isinstance(value, int | float) else None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for. `arguments` is an object, not a string."""

    name: str
    arguments: Json
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat. `images` are base64 without a data prefix."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    thinking: str = ""
    images: Sequence[str] = ()
    tool_calls: Sequence[ToolCall] = ()
    tool_name: str | None = None
    tool_call_id: str | None = None  # which call a tool's answer belongs to


@dataclass(frozen=True, slots=True)
class Metrics:
    """What one answer cost, in nanoseconds and tokens, as the engine measured it."""

    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0

    @property
    def tokens_per_second(self) -> float | None:
        """Generated tokens per second of generation; None when nothing was generated."""
        return self.eval_count / self.eval_duration * 1e9 if self.eval_duration else None

    @property
    def prompt_tokens_per_second(self) -> float | None:
        """Prompt tokens per second of prompt processing; None when it was all cached."""
        if not self.prompt_eval_duration:
            return None
        return self.prompt_eval_count / self.prompt_eval_duration * 1e9


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a streamed answer. The last one has `done`, a reason and metrics."""

    text: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[Json, ...] = ()
    done: bool = False
    done_reason: str | None = None
    metrics: Metrics | None = None
    raw: Json = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer: the concatenation of its chunks."""

    text: str
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[Json, ...] = ()
    done_reason: str | None = None
    metrics: Metrics = field(default_factory=Metrics)
    raw: Json = field(default_factory=dict, repr=False)  # the last chunk's


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors in the order of the inputs, each of the same length and of norm 1."""

    vectors: tuple[tuple[float, ...], ...]
    prompt_eval_count: int = 0
    total_duration: int = 0


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely a model finds a text after a prompt. Log-probabilities are in nats."""

    text: str
    logprob: float  # of the whole text: the sum over its tokens
    tokens: int
    greedy: bool  # whether each token was the likeliest one at its place
    token_logprobs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of long work (pull, create). `total` and `completed` are bytes, None if unknown."""

    status: str
    total: int | None = None
    completed: int | None = None
    digest: str | None = None

    @property
    def fraction(self) -> float | None:
        """Share that is done, 0 to 1; None when unknown."""
        if not self.total or self.completed is None:
            return None
        return min(1.0, self.completed / self.total)

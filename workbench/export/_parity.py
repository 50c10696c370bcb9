"""The parity gate: a file is as good as its model only where both say the same.

The same texts go through the model in Transformers (32 bits) and through each GGUF file in the
embedded engine. Compared are the rendered conversations, the tokens, the likeliest next token,
the divergence of the distributions and the perplexity. What a mistake in a conversion does is
far beyond the limits; what a quantisation costs is within those of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import EngineError, EngineUnreachable
from workbench.export._deploy import create
from workbench.export._files import sha256
from workbench.export._look import Look, Parting, look
from workbench.export._names import checked_kind
from workbench.export._reference import read_reference
from workbench.export._words import Turns
from workbench.work import Part, attached

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.jobs import JobContext


@dataclass(frozen=True, slots=True)
class Limits:
    """What a kind may lose."""

    top1: float  # least share of places with the same likeliest token
    kl: float  # most nats per token, the mean
    perplexity: float  # most times that of the model, or as many times less


LIMITS: Mapping[str, Limits] = {
    "F32": Limits(0.97, 0.002, 1.01),
    "F16": Limits(0.97, 0.002, 1.01),
    "BF16": Limits(0.94, 0.01, 1.02),
    "Q8_0": Limits(0.94, 0.02, 1.03),
    "Q6_K": Limits(0.88, 0.06, 1.05),
    "Q5_K_M": Limits(0.80, 0.15, 1.10),
    "Q5_K_S": Limits(0.80, 0.15, 1.10),
    "Q5_1": Limits(0.78, 0.20, 1.12),
    "Q5_0": Limits(0.78, 0.20, 1.12),
    "Q4_K_M": Limits(0.70, 0.30, 1.20),
    "Q4_K_S": Limits(0.70, 0.30, 1.20),
    "Q4_1": Limits(0.60, 0.45, 1.30),
    "Q4_0": Limits(0.60, 0.45, 1.30),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One file beside its reference. `why` says what is wrong, "" where nothing is."""

    kind: str
    top1: float | None  # share of places; None where the engine could not read the file
    kl: float | None  # nats per token
    perplexity: float | None
    reference_perplexity: float | None
    template_equal: bool | None  # None for a model without a template
    tokens_equal: bool | None
    ok: bool
    why: str = ""
    worst: Parting | None = None


@dataclass(frozen=True, slots=True)
class Parity:
    """The report on all files."""

    rows: tuple[Row, ...]
    texts: int
    places: int

    @property
    def ok(self) -> bool:
        """Whether every file may be deployed."""
        return all(row.ok for row in self.rows)

    @property
    def worst(self) -> Parting | None:
        """Where the first file that fails parts from its model; else where any parts the most."""
        failed = next((row.worst for row in self.rows if not row.ok), None)
        partings = [row.worst for row in self.rows if row.worst]
        return failed or max(partings, key=lambda one: one.gap, default=None)

    @property
    def why(self) -> str:
        """What is wrong, in sentences."""
        return " ".join(f"{row.kind}: {row.why}" for row in self.rows if not row.ok)

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok, "texts": self.texts, "places": self.places, "why": self.why,
            "rows": [asdict(row) for row in self.rows],
            "worst": asdict(self.worst) if self.worst else None,
            "limits": {row.kind: asdict(LIMITS[row.kind]) for row in self.rows},
        }  # fmt: skip


def parity(
    folder: Path,
    files: Mapping[str, Path],
    texts: Sequence[str],
    *,
    conversations: Sequence[Turns] = (),
    adapter: Path | None = None,
    context: int | None = None,
    job: JobContext | None = None,
) -> Parity:
    """Compare GGUF `files` (by kind) with the Hugging Face model in `folder`.

    `texts` are best held out from training; without any, some of ours are read. With `adapter`
    (GGUF) the files are the base model's. `context` is that of both, in tokens.

    Raises TrainingError for a folder that Transformers cannot read, EngineUnreachable;
    a file that the engine cannot read is a row that fails.
    """
    kinds = {checked_kind(kind): path for kind, path in files.items()}
    with attached(job) as job, embedded() as engine:
        first = Part(job, 0.0, 0.4)
        reference = read_reference(
            folder, texts, conversations, context, _tick(first, "Asking the model in Transformers")
        )
        rows = []
        for number, (kind, path) in enumerate(kinds.items()):
            low, high = ((0.4 + 0.6 * (number + part) / len(kinds)) for part in (0, 1))
            tick = _tick(Part(job, low, high), f"Comparing {kind} in the engine")
            try:
                with installed(engine, path, adapter) as name:
                    row = _row(kind, look(engine, name, reference, tick))
            except EngineUnreachable:
                raise
            except EngineError as error:
                why = f"The engine cannot use the file: {error}"
                row = Row(kind, None, None, None, None, None, None, False, why)
            rows.append(row)
    return Parity(tuple(rows), len(reference.likelihoods), len(reference.places))


@contextmanager
def embedded() -> Iterator[Engine]:
    """The embedded engine, also where another one is in use: only it tells likelihoods."""
    from workbench.engines import Engine, connect, start_engine

    with connect() as engine:
        if engine.kind == "embedded":
            yield engine
            return
    with Engine(start_engine(), kind="embedded") as engine:
        yield engine


@contextmanager
def installed(engine: Engine, path: Path, adapter: Path | None) -> Iterator[str]:
    """The file as a model of the engine, for as long as the block takes.

    Named by its content: what a kill left behind is found again and removed.
    """
    more = {"adapters": {adapter.name: adapter}} if adapter else {}
    name = f"parity-check:{sha256(path)[:12]}"
    try:
        create(engine, name, path, **more)
        yield name
    finally:
        with suppress(EngineError):
            engine.delete(name)


def _tick(job: JobContext, message: str) -> Callable[[float], None]:
    def tick(share: float) -> None:
        job.check_cancelled()
        job.progress(share, message)

    return tick


def _row(kind: str, seen: Look) -> Row:
    """The figures beside the limits."""
    limits, times = LIMITS[kind], exp(seen.reference_logprob - seen.logprob)
    allowed = max(1, int((1 - limits.top1) * seen.places))
    reasons = {
        "the rendered conversation is another one": seen.template_equal is False,
        "texts become other tokens": not seen.tokens_equal,
        f"the likeliest token is another one at {seen.misses} of {seen.places} places "
        f"(at most {allowed})": seen.misses > allowed,
        f"its distributions are {seen.kl:.3g} nats per token away (at most {limits.kl:g})":
        not seen.kl <= limits.kl,
        f"its perplexity is {times:.3g} times the model's (at most {limits.perplexity:g})":
        not 1 / limits.perplexity <= times <= limits.perplexity,
    }  # fmt: skip
    why = ", ".join(reason for reason, wrong in reasons.items() if wrong)
    if why and seen.worst:
        why = f"{why}. {_where(seen.worst)}"
    return Row(
        kind, seen.top1, seen.kl, exp(-seen.logprob), exp(-seen.reference_logprob),
        seen.template_equal, seen.tokens_equal, not why, why[:1].upper() + why[1:], seen.worst,
    )  # fmt: skip


def _where(parting: Parting) -> str:
    unit = "character" if parting.what == "template" else "token"
    return (
        f"They part at {unit} {parting.position} of {parting.text[:80]!r}: {parting.expected!r} "
        f"was expected, and {parting.found!r} came."
    )

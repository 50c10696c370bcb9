"""Training from scratch within a budget, from a checkpoint if there is one.

The budget is seconds or steps; the schedule and the mix of texts follow the share of it that is
spent. With steps and fp32, everything that decides the result is in the checkpoint or follows
from the seed, so a run that was killed and resumed ends with the same weights, bit for bit.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import TrainingError
from workbench.train._checkpoint import save_checkpoint
from workbench.train._model import next_token_loss
from workbench.train._optimizer import MATRIX_RATE, Optimizers, learning_rate
from workbench.train._rows import Stream, tensor

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

    from workbench.jobs import JobContext

_STEP_TOKENS = 4096
_TURNS_FIRST, _TURNS_LAST = 0.25, 0.75  # share of turns in a step, at the beginning and the end
_SHORT_ROWS = 0.75  # of the budget: rows are cut in half, the rest learns to look far back
_CHECKPOINT_SECONDS, _REPORT_SECONDS = 20.0, 1.0
_LEAST_STEPS, _PATIENCE = 200, 4.0  # steps that a budget of time is stretched for, and how far
_PLAIN = ("precision", "step", "tokens", "elapsed", "drawn", "recent")  # what a Run counts
_RECENT = 20  # steps that the reported loss is the mean of
_QUICK_TOKENS, _FINAL_TOKENS = 12_000, 100_000  # of the held-out text, per validation


@dataclass(frozen=True, slots=True)
class Budget:
    """When training ends: after `steps`, or without those after `seconds`.

    A machine that is so slow or so busy that the seconds hold only a few steps gets more of
    them, up to four times: a model of a handful of steps would only write noise.
    """

    seconds: float
    steps: int | None = None

    def share(self, step: int, elapsed: float) -> float:
        """How much is spent, 0 to 1."""
        if self.steps:
            return min(1.0, step / self.steps)
        spent = elapsed / self.seconds
        return min(1.0, max(min(spent, step / _LEAST_STEPS), spent / _PATIENCE))


@dataclass(frozen=True, slots=True)
class Texts:
    """What a run reads: sources and turns to learn from, and sources to be examined on."""

    sources: Stream
    turns: Stream
    held_out: Stream


@dataclass
class Run:
    """A training run in progress: all that a checkpoint keeps, in one place."""

    model: LlamaForCausalLM
    tokenizer: str  # its JSON
    fingerprint: dict[str, Any]  # what must be the same for a checkpoint to be ours
    precision: str
    optimizers: Optimizers = field(init=False)
    step: int = 0
    tokens: int = 0
    elapsed: float = 0.0  # seconds of training, over all attempts
    drawn: list[int] = field(default_factory=lambda: [0, 0])  # rows of sources, of turns
    recent: list[float] = field(default_factory=list)  # losses of the last steps
    validation_loss: float = math.nan

    @property
    def train_loss(self) -> float:
        """Mean loss of the last steps, in nats per token."""
        return sum(self.recent) / len(self.recent) if self.recent else math.nan

    def __post_init__(self) -> None:
        self.optimizers = Optimizers(self.model)

    def save(self, path: Path) -> None:
        """Write a checkpoint, all or nothing."""
        import torch

        state = {name: getattr(self, name) for name in ("tokenizer", "fingerprint", *_PLAIN)}
        state["model"] = self.model.state_dict()
        state["optimizers"] = self.optimizers.state_dict()
        state["random"] = torch.get_rng_state()
        save_checkpoint(path, state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        import torch

        self.model.load_state_dict(state["model"])
        self.optimizers.load_state_dict(state["optimizers"])
        torch.set_rng_state(state["random"])
        for name in _PLAIN:
            setattr(self, name, state[name])


def train(job: JobContext, run: Run, texts: Texts, budget: Budget, checkpoint: Path) -> None:
    """Train until the budget is spent; leaves a checkpoint of the end."""
    base = run.elapsed - time.perf_counter()
    saved, reported = -math.inf, run.elapsed
    run.model.train()
    while (share := budget.share(run.step, run.elapsed)) < 1:
        if job.cancelled:
            run.save(checkpoint)
        job.check_cancelled()
        _step(run, texts, share)
        run.elapsed = base + time.perf_counter()
        if run.elapsed - reported >= _REPORT_SECONDS or run.step == 1:
            due = run.elapsed - saved >= _CHECKPOINT_SECONDS
            if due:
                saved = run.elapsed
                run.save(checkpoint)
                run.validation_loss = validation_loss(run, texts.held_out, _QUICK_TOKENS)
            _report(job, run, budget, validated=due)
            reported = run.elapsed
    run.save(checkpoint)
    run.validation_loss = validation_loss(run, texts.held_out, _FINAL_TOKENS)
    _report(job, run, budget, validated=True)


def _step(run: Run, texts: Texts, share: float) -> None:
    """One update of the weights."""
    import torch

    context = texts.sources.rows.shape[1] - 1
    count = max(2, _STEP_TOKENS // context)
    of_turns = round(count * (_TURNS_FIRST + (_TURNS_LAST - _TURNS_FIRST) * share))
    of_sources = count - of_turns
    rows = texts.sources.draw(run.drawn[0], of_sources) + texts.turns.draw(run.drawn[1], of_turns)
    batch = tensor(rows)
    if share < _SHORT_ROWS:  # as many tokens, and attention costs less
        batch = torch.cat([batch[:, : context // 2 + 1], batch[:, -(context // 2) - 1 :]])
    loss = next_token_loss(run.model, batch, run.precision)
    loss.backward()
    run.optimizers.step(learning_rate(share), run.precision)
    run.drawn = [run.drawn[0] + of_sources, run.drawn[1] + of_turns]
    run.step, run.tokens = run.step + 1, run.tokens + count * context
    run.recent = [*run.recent[1 - _RECENT :], _finite(float(loss.detach()))]


def validation_loss(run: Run, held_out: Stream, tokens: int) -> float:
    """Mean loss in nats per token on the first `tokens` of the held-out text."""
    import torch

    run.model.eval()
    context = held_out.rows.shape[1] - 1
    rows = held_out.rows[: max(1, tokens // context)]
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(rows), 8):
            batch = tensor(list(rows[start : start + 8]))
            total += float(next_token_loss(run.model, batch, run.precision)) * len(batch)
    run.model.train()
    return total / len(rows)


def fastest_precision(model: LlamaForCausalLM, rows: Stream) -> str:
    """ "bf16" or "fp32", whichever does a step sooner here: some processors only emulate bf16."""
    batch = tensor(rows.draw(0, 4))
    best: dict[str, float] = {}
    for precision in ("fp32", "bf16"):
        for _ in range(3):  # the first one warms up, the quickest one counts
            began = time.perf_counter()
            next_token_loss(model, batch, precision).backward()
            spent = time.perf_counter() - began
            best[precision] = min(spent, best.get(precision, spent))
    model.zero_grad()
    return min(best, key=lambda precision: best[precision])


def _finite(loss: float) -> float:
    if not math.isfinite(loss):
        raise TrainingError(
            "The loss is no number any more: training ran away. Try another seed; if that "
            "happens again, please report it with the job's log."
        )
    return loss


def _report(job: JobContext, run: Run, budget: Budget, *, validated: bool) -> None:
    share = budget.share(run.step, run.elapsed)
    metrics = {
        "step": float(run.step),
        "train_loss": run.train_loss,
        "learning_rate": learning_rate(share) * MATRIX_RATE,
        "tokens_per_second": run.tokens / run.elapsed,
    }
    if validated:
        metrics["validation_loss"] = run.validation_loss
    job.progress(share, f"Training: loss {run.train_loss:.2f} after step {run.step}", **metrics)

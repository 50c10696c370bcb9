"""Training from scratch within a budget, from a checkpoint if there is one.

The budget is seconds or steps; the schedule and the mix of texts follow the share of it that is
spent. With steps and fp32, everything that decides the result is in the checkpoint or follows
from the seed, so a run that was killed and resumed ends with the same weights, bit for bit. Where
there is patience, the weights that were best on held-out text are kept beside and taken in the end.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import TrainingError
from workbench.precision import quicker_precision
from workbench.pretrain._checkpoint import save_checkpoint
from workbench.pretrain._model import examined, next_token_loss
from workbench.pretrain._optimizer import Optimizers, Updates, learning_rate
from workbench.pretrain._rows import Stream, tensor
from workbench.pretrain._watch import Watch

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import LlamaForCausalLM

    from workbench.jobs import JobContext
    from workbench.pretrain._step import Step

_log = logging.getLogger(__name__)
_STEP_TOKENS = 4096
_TURNS_FIRST, _TURNS_LAST = 0.25, 0.75  # share of turns in a step, at the beginning and the end
SHORT_ROWS = 0.75  # of the budget: rows are cut in half, the rest learns to look far back
_SHORTEST = 64  # tokens of a row that is cut
CHECKPOINT_SECONDS, _REPORT_SECONDS = 20.0, 1.0
WRITING_SHARE = 0.1  # of the time, at most, goes to checkpoints
_LEAST_STEPS, _PATIENCE = 200, 4.0  # steps that a budget of time is stretched for, and how far
_PLAIN = (  # what a Run counts
    "precision", "step", "tokens", "elapsed", "drawn", "recent", "validation_loss", "accuracy",
    "best", "best_step", "looked", "stale",
)  # fmt: skip
_RECENT = 20  # steps that the reported loss is the mean of
QUICK_TOKENS, FINAL_TOKENS = 12_000, 100_000  # of the held-out text, per validation


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
    """What a run reads: sources and perhaps turns to learn from, and texts to be examined on."""

    sources: Stream
    turns: Stream | None
    held_out: Stream
    batch: int = _STEP_TOKENS  # tokens of an update


@dataclass
class Run:
    """A training run in progress: all that a checkpoint keeps, in one place."""

    model: LlamaForCausalLM
    tokenizer: str  # its JSON
    fingerprint: dict[str, Any]  # what must be the same for a checkpoint to be ours
    precision: str
    updates: Updates = field(default_factory=Updates)
    optimizers: Optimizers = field(init=False)
    quick: Step | None = None  # a quicker way to the gradients than the model's own
    step: int = 0
    tokens: int = 0
    elapsed: float = 0.0  # seconds of training, over all attempts
    drawn: list[int] = field(default_factory=lambda: [0, 0])  # rows of sources, of turns
    recent: list[float] = field(default_factory=list)  # losses of the last steps
    validation_loss: float = math.nan
    accuracy: float = math.nan  # of the held-out tokens, how many were the likeliest
    best: float = math.inf  # validation loss so far
    best_step: int = 0
    looked: int = 0  # step of the last validation
    stale: int = 0  # validations since the best one
    kept: dict[str, Tensor] = field(default_factory=dict)  # the best weights, where wanted

    @property
    def train_loss(self) -> float:
        """Mean loss of the last steps, in nats per token."""
        return sum(self.recent) / len(self.recent) if self.recent else math.nan

    def __post_init__(self) -> None:
        self.optimizers = Optimizers(self.model, self.updates)

    def learn(self, batch: Tensor) -> float:
        """The mean loss of rows (count, context + 1); leaves its gradients in the weights."""
        if self.quick is not None:
            return self.quick.learn(batch)
        loss = next_token_loss(self.model, batch, self.precision)
        loss.backward()
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write a checkpoint, all or nothing."""
        import torch

        state = {name: getattr(self, name) for name in ("tokenizer", "fingerprint", *_PLAIN)}
        state["model"] = self.model.state_dict()
        state["kept"] = self.kept
        state["optimizers"] = self.optimizers.state_dict()
        state["random"] = torch.get_rng_state()
        save_checkpoint(path, state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        import torch

        self.model.load_state_dict(state["model"])
        self.kept = state.get("kept", {})  # which checkpoints of old do not have
        self.optimizers.load_state_dict(state["optimizers"])
        torch.set_rng_state(state["random"])
        for name in _PLAIN:
            setattr(self, name, state.get(name, getattr(self, name)))

    def keep(self) -> None:
        """Copy the weights: they are the best so far."""
        for name, weight in self.model.named_parameters():
            if name in self.kept:
                self.kept[name].copy_(weight.detach())
            else:
                self.kept[name] = weight.detach().clone()

    def take_best(self) -> None:
        """Put the best weights into the model, where the last ones are others."""
        import torch

        if not self.kept or self.best_step == self.step:
            return
        _log.info("The weights of step %d are taken: they were the best.", self.best_step)
        with torch.no_grad():
            for name, weight in self.model.named_parameters():
                weight.copy_(self.kept[name])


def train(
    job: JobContext,
    run: Run,
    texts: Texts,
    budget: Budget,
    checkpoint: Path,
    watch: Watch | None = None,
) -> None:
    """Train until the budget is spent or `watch` ends it; leaves a checkpoint of the end, and the
    model with the last weights, or where there is patience with the best ones."""
    watch = watch or Watch()
    base = run.elapsed - time.perf_counter()
    due, reported = -math.inf, run.elapsed  # when the next checkpoint is
    run.model.train()
    share = budget.share(run.step, run.elapsed)
    while share < 1 and not (run.step and watch.ends(run)):
        if job.cancelled:
            run.save(checkpoint)
        job.check_cancelled()
        update(run, texts, share)
        run.elapsed = base + time.perf_counter()
        before, share = share, budget.share(run.step, run.elapsed)
        telling = run.elapsed - reported >= _REPORT_SECONDS or run.step == 1
        saving = telling and run.elapsed >= due
        looking = watch.looks_now(before, share, run.step) if watch.looks else saving
        if looking:
            _look(run, texts.held_out, watch)
        if saving:
            due = _save(run, checkpoint) + base + time.perf_counter()
        if telling or looking:
            _report(job, run, share, watch, validated=looking)
            reported = run.elapsed
    if watch.patience is not None and run.looked < run.step:
        _look(run, texts.held_out, watch)
    run.save(checkpoint)
    run.take_best()
    examine(run, texts.held_out, FINAL_TOKENS)
    _report(job, run, share, watch, validated=True)


def _save(run: Run, checkpoint: Path) -> float:
    """Write a checkpoint; returns the seconds until the next one is worth its time."""
    began = time.perf_counter()
    run.save(checkpoint)
    return max(CHECKPOINT_SECONDS, (time.perf_counter() - began) / WRITING_SHARE)


def update(run: Run, texts: Texts, share: float) -> None:
    """One update of the weights."""
    import torch

    context = texts.sources.rows.shape[1] - 1
    count = max(2, texts.batch // context)
    of_turns = 0
    if texts.turns is not None:
        of_turns = round(count * (_TURNS_FIRST + (_TURNS_LAST - _TURNS_FIRST) * share))
    of_sources = count - of_turns
    rows = texts.sources.draw(run.drawn[0], of_sources)
    if texts.turns is not None:
        rows += texts.turns.draw(run.drawn[1], of_turns)
    batch = tensor(rows)
    if share < SHORT_ROWS and context >= _SHORTEST:  # as many tokens, and attention costs less
        batch = torch.cat([batch[:, : context // 2 + 1], batch[:, -(context // 2) - 1 :]])
    loss = _finite(run.learn(batch))
    run.optimizers.step(learning_rate(share), run.precision)
    run.drawn = [run.drawn[0] + of_sources, run.drawn[1] + of_turns]
    run.step, run.tokens = run.step + 1, run.tokens + count * context
    run.recent = [*run.recent[1 - _RECENT :], loss]


def _look(run: Run, held_out: Stream, watch: Watch) -> None:
    """A validation: note whether the weights are better than before, and keep them if wanted."""
    examine(run, held_out, QUICK_TOKENS)
    run.looked = run.step
    if run.validation_loss < run.best:
        run.best, run.best_step, run.stale = run.validation_loss, run.step, 0
        if watch.patience is not None:
            run.keep()
    else:
        run.stale += 1


def examine(run: Run, held_out: Stream, tokens: int) -> None:
    """Note loss and accuracy on the first `tokens` of the held-out text."""
    run.model.eval()
    context = held_out.rows.shape[1] - 1
    rows = held_out.rows[: max(1, tokens // context)]
    total, right = 0.0, 0
    for start in range(0, len(rows), 8):
        batch = tensor(list(rows[start : start + 8]))
        loss, correct = examined(run.model, batch, run.precision)
        total, right = total + loss * len(batch), right + correct
    run.model.train()
    run.validation_loss, run.accuracy = total / len(rows), right / (len(rows) * context)


def fastest_precision(model: LlamaForCausalLM, rows: Stream) -> str:
    """ "bf16" or "fp32", whichever does a step sooner here."""
    batch = tensor(rows.draw(0, 4))
    quicker = quicker_precision(lambda it: next_token_loss(model, batch, it).backward())
    model.zero_grad()
    return quicker


def _finite(loss: float) -> float:
    if not math.isfinite(loss):
        raise TrainingError(
            "The loss is no number any more: training ran away. Try another seed or a lower "
            "learning_rate; if that happens again, please report it with the job's log."
        )
    return loss


def _report(job: JobContext, run: Run, share: float, watch: Watch, *, validated: bool) -> None:
    metrics = {
        "step": float(run.step),
        "train_loss": run.train_loss,
        "learning_rate": learning_rate(share) * run.updates.rate,
        "tokens_per_second": run.tokens / run.elapsed,
        **watch.figures(run),
    }
    if validated:
        metrics["validation_loss"] = run.validation_loss
        metrics["accuracy"] = run.accuracy
        metrics["perplexity"] = math.exp(min(run.validation_loss, 700.0))
    told = f"Training: loss {run.train_loss:.2f} after step {run.step}{watch.said(run)}"
    job.progress(share, told, **metrics)

"""Watching a training: its progress told, validated, checkpointed, and ended when it is time.

`Watch` has the rules; `watched` joins them to a Trainer of Transformers or TRL:

    trainer = watched(Trainer)(model=…, args=…)
    watch.attach(trainer)
    trainer.train(…)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from workbench.errors import TrainingError
from workbench.hardware import usable_cores
from workbench.jobs import JobContext
from workbench.learn._curve import Curve
from workbench.learn._keep import place, prune, seal
from workbench.work import peak_memory, writing

_REPORT_SECONDS, _CHECKPOINT_SECONDS = 1.0, 30.0
_CHECKPOINT_SHARE = 30  # a checkpoint costs at most a 30th of the time
Validate = Callable[[], Mapping[str, float]]


class Watch:
    """The rules. `validate` answers `validation_loss`, `accuracy` and what else is worth a curve;
    `stop` is the file whose being there ends the training well."""

    def __init__(
        self,
        job: JobContext,
        folder: Path,
        curve: Curve,
        *,
        steps: int,
        stop: Path,
        validate: Validate | None = None,
        validate_every: int = 0,
        checkpoint_every: int | None = None,
        patience: int | None = None,
        operations: float = 0.0,
        peak: float = 0.0,
        device: str = "cpu",
    ) -> None:
        self.job, self.folder, self.curve, self.steps = job, folder, curve, steps
        self.stop, self.validate, self.validate_every = stop, validate, validate_every
        self.checkpoint_every, self.patience = checkpoint_every, patience
        self.operations, self.peak, self.device = operations, peak, device
        self._losses: list[float] = []  # of the batches of this update
        self._tokens = 0
        self._clock = self._saved = self._told = 0.0
        self._kept, self._save_seconds = curve.step, 0.0
        self._process, self._cores = psutil.Process(), usable_cores()[1]

    def attach(self, trainer: Any) -> None:
        """Have the trainer ask this watch."""
        from transformers import PrinterCallback

        trainer.watch = self
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(_callback(self))

    def begin(self) -> None:
        """Before the first update of this attempt."""
        self._process.cpu_percent()
        self._saved = time.perf_counter()
        if self._due(self.curve.step):
            self._validated()
        self._clock = time.perf_counter()

    def before(self) -> None:
        """Before each update."""

    def batch(self, loss: float, tokens: int) -> None:
        """A batch was learnt from; its loss is its share of the update's. Raises TrainingError."""
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss is no number any more in step {self.curve.step + 1}: training ran away. "
                "Begin another one with a lower learning rate or more warm-up, or with precision "
                "fp32. The weights from before are in its last checkpoint."
            )
        self._losses.append(loss)
        self._tokens += tokens

    def step(self, rate: float) -> tuple[bool, bool]:
        """An update was made with this learning rate. Whether to save now, and whether to end."""
        curve, now = self.curve, time.perf_counter()
        curve.add(sum(self._losses), self._tokens, now - self._clock)
        self._losses, self._tokens = [], 0
        metrics = self._validated() if self._due(curve.step) else {}
        if curve.step >= self.steps:
            curve.ended = "done"
        elif self.stop.exists():
            curve.ended = "stopped"
        elif self.patience and curve.since_best >= self.patience:
            curve.ended = "early"
        if metrics or curve.ended or curve.step == 1 or now - self._told >= _REPORT_SECONDS:
            self._told = now
            self._report(rate, metrics)
        self._clock = time.perf_counter()
        ends = bool(curve.ended) or self.job.cancelled
        return ends or self._save_due(), ends

    def saved(self) -> None:
        """A checkpoint was written: mark it as whole, remove older ones."""
        curve, path = self.curve, place(self.folder, self.curve.step)
        seal(path, curve.to_json())
        prune(self.folder, self.kept())
        self._kept = curve.step
        self._saved = time.perf_counter()
        self._save_seconds = self._saved - self._clock
        self._clock = self._saved

    def kept(self) -> set[int]:
        """Steps whose checkpoints stay, once the newest one is whole: with it the best one, or the
        one before."""
        best = self.curve.best if self.patience else None
        return {self.curve.step, best[0] if best else self._kept}

    def _save_due(self) -> bool:
        """By steps where that was asked for, else by time. The first step shows that it works;
        where the best weights are wanted in the end, each best one is kept."""
        curve = self.curve
        best = self.patience is not None and curve.best is not None and curve.best[0] == curve.step
        if curve.step == 1 or best:
            return True
        if self.checkpoint_every:
            return curve.step % self.checkpoint_every == 0
        pause = max(_CHECKPOINT_SECONDS, _CHECKPOINT_SHARE * self._save_seconds)
        return time.perf_counter() - self._saved >= pause

    def _due(self, step: int) -> bool:
        """Whether this step is to be validated and was not yet."""
        if self.validate is None or any(step == done for done, _ in self.curve.validations):
            return False
        return step % self.validate_every == 0 or step >= self.steps

    def _validated(self) -> Mapping[str, float]:
        assert self.validate is not None
        found = dict(self.validate())
        if self.job.cancelled:  # it may be of a part only; when resumed, it is done again
            return {}
        self.curve.validations.append((self.curve.step, found["validation_loss"]))
        self.curve.accuracy = found.get("accuracy")
        return found

    def _report(self, rate: float, validated: Mapping[str, float]) -> None:
        curve = self.curve
        taken = self._memory()
        speed = curve.tokens_per_second
        metrics = {
            "step": float(curve.step),
            "share": curve.step / self.steps,  # of all updates
            "train_loss": curve.train_loss,
            "learning_rate": rate,
            "tokens_per_second": speed,
            "memory_gb": taken / 1e9,
            "cpu": self._process.cpu_percent() / self._cores,
            **validated,
        }
        if self.peak:
            metrics["mfu"] = speed * self.operations / self.peak
        words = f"Loss {curve.train_loss:.2f} after step {curve.step} of {self.steps}"
        if curve.validations:
            words += f", validation {curve.validation_loss:.2f}"
        message = f"{words}. {curve.remark()}".strip()
        self.job.progress(curve.step / self.steps, message, **metrics)

    def _memory(self) -> int:
        """Bytes that are taken now, of the graphics card where there is one."""
        if self.device == "cuda":
            import torch

            self.curve.peak_memory = int(torch.cuda.max_memory_allocated())
            return int(torch.cuda.memory_allocated())
        self.curve.peak_memory = max(self.curve.peak_memory, peak_memory())
        return int(self._process.memory_info().rss)


class _Watched:
    """Stands before a Trainer's class: its losses go to the watch, a full disk says so."""

    watch: Watch

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        tokens = int(inputs["tokens"]) if "tokens" in inputs else _read_tokens(inputs)
        step = super().training_step  # type: ignore[misc]
        loss = step(model, inputs, num_items_in_batch)
        self.watch.batch(float(loss), tokens)
        return loss

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        from safetensors import SafetensorError

        save = super()._save_checkpoint  # type: ignore[misc]
        with writing(self.watch.folder):
            try:
                save(model, trial)
            except SafetensorError as error:
                raise OSError(str(error)) from error

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted here: the watch knows."""
        return 0


def watched(trainer: type) -> Any:
    """The Trainer's class with the watch before it."""
    return type(f"Watched{trainer.__name__}", (_Watched, trainer), {})


def _read_tokens(inputs: Mapping[str, Any]) -> int:
    """Tokens of a batch of somebody else's: those that its masks let through."""
    masks = [value for name, value in inputs.items() if name.endswith("attention_mask")]
    return int(sum(mask.sum() for mask in masks))


def _callback(watch: Watch) -> Any:
    from transformers import TrainerCallback

    class Watching(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            watch.begin()

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            watch.before()

        def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            save, end = watch.step(given["lr_scheduler"].get_last_lr()[0])
            control.should_save |= save
            control.should_training_stop |= end

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            watch.saved()

    return Watching()

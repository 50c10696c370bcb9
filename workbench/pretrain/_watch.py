"""What is looked at beside the loss while a model trains, and what ends it before its budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

    from workbench.pretrain._loop import Run

_RISE = 0.5  # nats above its lowest at which the training loss is said to run away
_STALE = 3  # validations without a gain before that is said


@dataclass
class Watch:
    """`looks` validations are spread evenly over the budget; 0: one with each checkpoint."""

    looks: int = 0
    patience: int | None = None  # validations without a gain that end it
    stop: Path | None = None  # the file that ends it: what is learnt so far is kept
    flops: float = 0.0  # a token's floating-point operations, to say how well the machine is used
    peak: float = 0.0  # operations a second that this machine was measured to do
    _lowest: float = field(default=float("inf"), init=False)
    _process: psutil.Process | None = field(default=None, init=False)

    def looks_now(self, before: float, after: float, step: int) -> bool:
        """Whether a validation is due when `before` to `after` of the budget was just spent."""
        return step == 1 or int(after * self.looks) > int(before * self.looks)

    def ends(self, run: Run) -> bool:
        """Whether somebody asked to stop and save, or nothing was gained for long."""
        return self.stopped or self.idle(run)

    @property
    def stopped(self) -> bool:
        """Whether somebody asked to stop and save."""
        return self.stop is not None and self.stop.exists()

    def idle(self, run: Run) -> bool:
        """Whether the held-out loss has not fallen for as long as there is patience."""
        return self.patience is not None and run.stale >= self.patience

    def said(self, run: Run) -> str:
        """What the curve shows, in words; "" for nothing strange."""
        self._lowest = min(self._lowest, run.train_loss)
        if run.train_loss > self._lowest + _RISE:
            return "; the loss is rising: a lower learning_rate may help"
        if run.stale < _STALE:
            return ""
        if run.validation_loss > run.best + _RISE / 10 and run.train_loss < run.best:
            return "; it learns by heart: held-out text gets worse"
        return f"; no gain on held-out text for {run.stale} validations"

    def figures(self, run: Run) -> dict[str, float]:
        """How well the machine is used: `mfu` as a share of its peak, `cpu` in per cent."""
        import psutil
        import torch

        if self._process is None:
            self._process = psutil.Process()
        cpu = self._process.cpu_percent() / torch.get_num_threads()
        found = {"memory_gb": self._process.memory_info().rss / 1e9, "cpu": cpu}
        if self.peak:
            found["mfu"] = self.flops * run.tokens / run.elapsed / self.peak
        return found

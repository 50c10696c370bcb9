"""The job's side of a training on several workers: it sends, waits, and keeps what comes back.

Checkpoints are written into the training's own folder and sealed there, as those of a training in
this process are, so either kind of training goes on from them. When the workers are done, the
newest one is the result.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.cluster._connect import connected
from workbench.cluster._divide import Executor, Group, grouped, share
from workbench.cluster._mail import MODEL_FILES, Mailbox, Message, append, sent
from workbench.cluster._train import train
from workbench.errors import TrainingError, WorkbenchError
from workbench.jobs import JobContext
from workbench.learn import Curve, Rows, Settings, newest, place, prune, resumed, seal

_log = logging.getLogger(__name__)
_PAUSE = 0.25  # seconds between two looks into the mailbox


@dataclass(frozen=True, slots=True)
class Learnt:
    """What came of it: the curve of the newest checkpoint, and where it was learnt."""

    curve: Curve
    device: str = ""
    notes: tuple[str, ...] = ()


def learn_together(
    job: JobContext,
    folder: Path,
    base: Path,
    rows: Rows,
    held_out: Rows | None,
    settings: Settings,
    executor: Executor,
) -> Learnt:
    """Learn on the workers until the end of the steps, or until the file `stop` is in `folder`;
    from the newest checkpoint there, if there is one. The newest one then has the final weights.

    Raises TrainingError, MissingExtra, JobCancelled (after a checkpoint).
    """
    curve = resumed(folder, "")
    if curve.ended:  # all but the rest of the job was done
        return Learnt(curve)
    job.progress(0.0, f"Connecting to {executor.name}")
    with connected(executor) as nodes:
        group = grouped(executor, settings, nodes)
        share(settings, group.workers)
        run = _Run(job, folder, executor, group)
        run.begin(base, rows, held_out, settings)
        run.follow()
    job.check_cancelled()
    curve = resumed(folder, "")
    if not curve.ended:
        raise TrainingError(f"{executor.name} ended without a last checkpoint. {run.left()}")
    return Learnt(curve, run.device, (run.note(),))


class _Run:
    """One training on the cluster, while this process is connected to it."""

    def __init__(self, job: JobContext, folder: Path, executor: Executor, group: Group) -> None:
        self.job, self.folder, self.executor, self.group = job, folder, executor, group
        self.checkpoints = folder / "checkpoints"
        self.device = self.failure = ""
        self.had = self.coming = 0  # messages; the step of the checkpoint that comes

    def note(self) -> str:
        """Where it was learnt, for the record."""
        group = self.group
        each = "a graphics card" if group.gpu else "a processor"
        if not group.gpu and group.cores > 1:
            each = f"{group.cores} processors"
        workers = "1 worker" if group.workers == 1 else f"{group.workers} workers"
        return f"Learnt on {workers} of {self.executor.name}, {each} each."

    def left(self) -> str:
        """What a person can do after a failure."""
        found = newest(self.checkpoints)
        step = f"step {found[1]['step']}" if found else "its beginning"
        return f"Resume the training, and it goes on from {step}."

    def begin(self, base: Path, rows: Rows, held_out: Rows | None, settings: Settings) -> None:
        """Send all that the workers need, and start them."""
        import ray

        self.job.progress(0.0, f"Sending the base model to {self.executor.name}")
        found = newest(self.checkpoints)
        parcel = {
            "settings": settings,
            "base": sent(base, MODEL_FILES),
            "rows": ray.put((rows, held_out)),
            "checkpoint": (found[1]["step"], sent(found[0])) if found else None,
        }
        self.mailbox = ray.remote(num_cpus=0)(Mailbox).remote(parcel)
        driven = ray.remote(num_cpus=0, max_retries=0)(train)
        self.driver = driven.remote(self.mailbox, self.group, self.executor.address == "ray")
        workers = f"{self.group.workers} workers of {self.executor.name}"
        self.job.progress(0.0, f"Waiting for {workers}")
        _log.info("Learning on %s.", workers)

    def follow(self) -> None:
        """Take what comes until the workers are done."""
        import ray

        ended: list[Any] = []
        try:
            while not ended or self._take():
                ended, _ = ray.wait([self.driver], timeout=0 if self._take() else _PAUSE)
                if not self.device:  # nobody has begun to whom a cancel could be told
                    self.job.check_cancelled()
            ray.get(self.driver)
        except WorkbenchError:
            raise
        except Exception as error:
            if self.failure:
                raise TrainingError(self.failure) from None
            _log.warning("Ray says: %s", error)
            what = "The connection to" if isinstance(error, ConnectionError) else "A worker of"
            raise TrainingError(
                f"{what} {self.executor.name} ended in the middle; the log has what Ray says. "
                f"{self.left()}"
            ) from error

    def _take(self) -> int:
        """Deal with the messages that are there; how many there were."""
        import ray

        wishes = {"cancelled": self.job.cancelled, "stop": (self.folder / "stop").exists()}
        had, messages = ray.get(self.mailbox.take.remote(self.had, wishes))
        for message in messages:
            self._deal(message)
        self.had = had
        return len(messages)

    def _deal(self, message: Message) -> None:
        import ray

        kind, what = message
        if kind == "report":
            self.job.progress(what.fraction, what.message, **what.metrics)
        elif kind == "began":
            self.device = what
            self.mailbox.unpacked.remote()
        elif kind == "piece":
            step, name, (reference,) = what
            path = place(self.checkpoints, step)
            if step != self.coming:
                self.coming = step
                shutil.rmtree(path, ignore_errors=True)
                path.mkdir(parents=True)
            append(path, name, ray.get(reference))
        elif kind == "whole":
            kept, facts = what
            seal(place(self.checkpoints, self.coming), facts)
            prune(self.checkpoints, kept)
        elif kind == "error":
            self.failure = what

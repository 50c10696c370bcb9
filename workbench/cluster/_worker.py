"""What each of Ray's workers does: it learns from its share of every update's rows.

All ranks hold the network and step together; the gradients are averaged by DDP, and the loss is
the mean over the learnt tokens of all. Only rank 0 reports, validates and saves. Whether a step
was the last one is rank 0's decision, which the others are told.
"""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from workbench.cluster._divide import share
from workbench.cluster._mail import Message, own_folder, pieces, received
from workbench.errors import WorkbenchError
from workbench.jobs import JobCancelled, JobContext, Report
from workbench.learn import Settings, Watch, chosen_precision, learn, load_network, place, resumed

_PAUSE = 0.25  # seconds between two looks at what is wished
_WINDOW = 4  # messages that may wait while a checkpoint is sent


class Desk(JobContext):
    """Rank 0's job: reports go to the mailbox, wishes come from there, in a thread of its own."""

    def __init__(self, mailbox: Any, folder: Path) -> None:
        super().__init__("worker", folder, report=self._hear)
        self.mailbox, self._outbox = mailbox, list[Message]()
        self._lock, self._done = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Desk:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        while self.exchange():  # what was put into the store lives as long as this process
            time.sleep(_PAUSE / 5)

    def exchange(self, *messages: Message) -> int:
        """Send what there is, and these messages; how many wait for the job."""
        import ray

        with self._lock:
            leaving, self._outbox = [*self._outbox, *messages], []
            wishes, waiting = ray.get(self.mailbox.exchange.remote(leaving))
        if wishes.get("cancelled"):
            self._stop.set()
        if wishes.get("stop"):
            (self.folder / "stop").touch()
        return int(waiting)

    def send(self, step: int, checkpoint: Path) -> None:
        """Send the files of a checkpoint piece by piece, few of them at once."""
        import ray

        for name, piece in pieces(checkpoint):
            while self.exchange() > _WINDOW:
                time.sleep(_PAUSE / 5)
            self.exchange(("piece", (step, name, [ray.put(piece)])))

    def _hear(self, report: Report) -> None:
        with self._lock:
            self._outbox.append(("report", report))

    def _look(self) -> None:
        while not self._done.wait(_PAUSE):
            self.exchange()


class Together(Watch):
    """The watch of one rank among several. `desk` is rank 0's, through which checkpoints leave."""

    def __init__(
        self, *given: Any, rank: int, size: int, seed: int, desk: Desk | None, **more: Any
    ):
        super().__init__(*given, **more)
        self.rank, self.size, self.seed, self.desk = rank, size, seed, desk
        self.peak *= size
        self._mine: list[float] = []  # losses and tokens of this rank in this update
        self._read = 0

    def begin(self) -> None:
        """Before the first update: only rank 0 validates."""
        if self.rank == 0:
            super().begin()

    def before(self) -> None:
        """What is drawn (dropout) follows from the seed, the step and the rank, so it is the same
        when the step is done again. One rank alone draws as it does without Ray."""
        import torch

        if self.size > 1:
            drawn = random.Random(f"{self.seed} {self.curve.step} {self.rank}")  # noqa: S311
            torch.manual_seed(drawn.getrandbits(63))

    def batch(self, loss: float, tokens: int) -> None:
        """A batch of this rank's; its loss counts `size` times, as its gradients do."""
        self._mine.append(loss / self.size)
        self._read += tokens

    def step(self, rate: float) -> tuple[bool, bool]:
        """An update of all ranks. Whether to save now, and whether to end: the same for all."""
        loss, tokens = self._all([sum(self._mine), float(self._read)])
        self._mine, self._read = [], 0
        if self.rank == 0:
            super().batch(loss, int(tokens))
            decided = super().step(rate)
        else:
            self.curve.step += 1
            decided = (False, False)
        save, end = self._all([float(one) for one in decided])
        return bool(save), bool(end)

    def saved(self) -> None:
        """Rank 0 sends the checkpoint to the job, where it stays."""
        curve, kept = self.curve, sorted(self.kept())
        path = place(self.folder, curve.step)
        if self.desk is None:
            shutil.rmtree(path, ignore_errors=True)  # the state of random numbers, see `before`
            return
        self.desk.send(curve.step, path)
        self.desk.exchange(("whole", (kept, curve.to_json())))
        super().saved()

    def _all(self, mine: list[float]) -> list[float]:
        """The sums over all ranks."""
        import torch
        from torch import distributed

        numbers = torch.tensor(mine, dtype=torch.float64, device=self.device)
        if self.size > 1:
            distributed.all_reduce(numbers)
        return [float(one) for one in numbers]


def work(config: Mapping[str, Any]) -> None:
    """Ray Train's function of one worker."""
    import ray
    import torch
    from ray.train import get_context

    mailbox, context = config["mailbox"], get_context()
    torch.set_num_threads(config["cores"])
    try:
        with own_folder("workbench-worker-") as folder:
            _learn(mailbox, ray.get(mailbox.parcel.remote()), folder, context)
    except JobCancelled:
        pass  # the job knows, and has the checkpoint
    except WorkbenchError as error:
        ray.get(mailbox.exchange.remote([("error", str(error))]))
        raise


def _learn(mailbox: Any, parcel: dict[str, Any], folder: Path, context: Any) -> None:
    import ray
    from torch import distributed

    rank, size = context.get_world_rank(), context.get_world_size()
    settings: Settings = parcel["settings"]
    base = received(parcel["base"], folder / "base")
    if parcel["checkpoint"]:
        step, files = parcel["checkpoint"]
        received(files, place(folder / "checkpoints", step))
    rows, held_out = ray.get(parcel["rows"])
    if size > 1:
        distributed.barrier()  # all have all: "began" lets its memory go
    curve = resumed(folder, "")
    curve.precision = curve.precision or _agreed(base, settings, rank, size)
    network = load_network(base, settings, curve.precision)
    with Desk(mailbox, folder) if rank == 0 else nullcontext() as desk:
        if desk:
            desk.exchange(("began", network.device))
        learn(
            desk or JobContext("worker", folder), folder, network, rows,
            held_out if desk else None, settings, curve, share=share(settings, size),
            watching=partial(Together, rank=rank, size=size, seed=settings.seed, desk=desk),
        )  # fmt: skip


def _agreed(base: Path, settings: Settings, rank: int, size: int) -> str:
    """The precision that rank 0 chooses, for all."""
    from torch import distributed

    chosen = [chosen_precision(base, settings) if rank == 0 else ""]
    if size > 1:
        distributed.broadcast_object_list(chosen)
    return chosen[0]

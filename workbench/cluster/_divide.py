"""How many workers learn, and what each gets: the rows of an update stay the same.

An update has `batch * accumulation` rows however many workers there are. The accumulation is
divided first, because that costs nothing, then the batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench import settings as environment
from workbench.errors import TrainingError
from workbench.learn import Settings


@dataclass(frozen=True, slots=True)
class Executor:
    """Where a fine-tuning is to learn. `workers` is 0 where nobody said how many."""

    address: str  # "ray" for a cluster of our own, or ray://host:port
    workers: int = 0

    @property
    def name(self) -> str:
        """For sentences."""
        return "Ray on this machine" if self.address == "ray" else f"Ray at {self.address}"

    def check(self, settings: Settings) -> None:
        """Raise TrainingError when the rows of an update cannot be divided among the workers."""
        if self.workers:
            share(settings, self.workers)


@dataclass(frozen=True, slots=True)
class Group:
    """The workers of one training."""

    workers: int
    cores: int  # of each
    gpu: bool  # whether each has a graphics card


def executor() -> Executor | None:
    """What WORKBENCH_EXECUTOR and WORKBENCH_WORKERS say; None where learning stays in the job.

    Raises SettingsError.
    """
    address = environment.executor()
    workers = environment.env_int("WORKBENCH_WORKERS", 0, minimum=1)
    return Executor(address, workers) if address else None


def share(settings: Settings, workers: int) -> Settings:
    """The settings with what each worker does of an update. Raises TrainingError."""
    rows = settings.batch * settings.accumulation
    if rows % workers:
        good = ", ".join(str(one) for one in range(1, rows + 1) if rows % one == 0)
        more = -(-rows // workers) * workers
        raise TrainingError(
            f"An update has {rows} rows (batch {settings.batch}, accumulation "
            f"{settings.accumulation}), which cannot be divided among {workers} workers. Let "
            f"WORKBENCH_WORKERS be one of {good}, or choose {more} rows (batch × accumulation)."
        )
    common = math.gcd(settings.accumulation, workers)
    batch = settings.batch * common // workers
    return replace(settings, accumulation=settings.accumulation // common, batch=batch)


def grouped(executor: Executor, settings: Settings, nodes: Sequence[Mapping[str, Any]]) -> Group:
    """The workers for a training on these nodes (`ray.nodes()`): as many as were asked for, else
    one for each graphics card, or without any one for each node, and fewer where an update's rows
    cannot be divided among so many. Raises TrainingError where there is no room."""
    has = [node["Resources"] for node in nodes if node["Alive"]]
    cards = sum(int(one.get("GPU", 0)) for one in has)
    gpu, rows = cards > 0, settings.batch * settings.accumulation
    most = cards or max(1, len([one for one in has if one.get("CPU", 0) >= 1]))
    workers = executor.workers or max(n for n in range(1, most + 1) if rows % n == 0)
    cores = int(max((one.get("CPU", 0) for one in has), default=0))
    while cores and sum(_places(one, cores, gpu) for one in has) < workers:
        cores -= 1
    if not cores:
        processors = sum(int(one.get("CPU", 0)) for one in has)
        raise TrainingError(
            f"{executor.name} has {processors} processors and {cards} graphics cards on "
            f"{len(has)} nodes: too few for {workers} workers, each of which needs a processor"
            f"{' and a card' if gpu else ''}. Set WORKBENCH_WORKERS lower, or add nodes."
        )
    return Group(workers, cores, gpu)


def _places(resources: Mapping[str, float], cores: int, gpu: bool) -> int:
    """Workers with so many processors that a node has room for."""
    places = int(resources.get("CPU", 0)) // cores
    return min(places, int(resources.get("GPU", 0))) if gpu else places

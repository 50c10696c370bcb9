"""What long computing needs: a job's context for its parts, cores, memory, the disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from workbench.errors import TrainingError
from workbench.jobs import JobContext, Report

_NICE = 5
# programs for products of one shape that oneDNN keeps, a thousand by itself, at 1 MB each: batches
# of ever new lengths in bf16 took 1.5 GB where 0.8 were needed
_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


class Part(JobContext):
    """The context of a part of a job: its progress fills `low` to `high` of the whole."""

    def __init__(self, job: JobContext, low: float, high: float, folder: Path | None = None):
        def report(step: Report) -> None:
            share = None if step.fraction is None else low + (high - low) * step.fraction
            job.progress(share, step.message, **step.metrics)

        super().__init__(job.id, folder or job.folder, job.attempt, report=report)
        self._whole = job

    @property
    def cancelled(self) -> bool:
        """Whether the whole job is to stop."""
        return self._whole.cancelled

    def check_cancelled(self) -> None:
        """Raise JobCancelled when the whole job is to stop."""
        self._whole.check_cancelled()


@contextmanager
def attached(job: JobContext | None) -> Iterator[JobContext]:
    """`job`, or for a plain call one that reports to nobody, in a folder that goes away."""
    if job is not None:
        yield job
        return
    with TemporaryDirectory(prefix="workbench-") as folder:
        yield JobContext("plain", Path(folder))


def subfolder(job: JobContext, name: str) -> Path:
    """A folder of the job's, made. Raises TrainingError when the disk refuses."""
    path = job.folder / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(
            f"The folder {path} cannot be made ({error.strerror}). Set WORKBENCH_HOME to a "
            "folder that you may write to."
        ) from error
    return path


def check_room(folder: Path, needed: int) -> None:
    """Raise TrainingError when the disk has less than `needed` bytes free."""
    from workbench.hardware import disk_free

    free = disk_free(folder)
    if 0 < free < needed:  # 0: cannot be told
        raise TrainingError(
            f"{folder} has {free >> 20} MB free, and {needed >> 20} MB are needed. Make room, or "
            "set WORKBENCH_HOME to a folder on a larger disk."
        )


def use_cores() -> int:
    """Let PyTorch use the cores that this process has; returns their number.

    Threads that have nothing to do sleep instead of spinning (for whoever calls this before
    PyTorch is loaded): on two busy cores a step took 7 s with spinning and 1.5 s without. A job's
    process also becomes a little nicer, so that the page which shows it stays quick.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for name in _CACHES:
        os.environ.setdefault(name, "64")
    import torch

    from workbench.hardware import usable_cores

    cores = usable_cores()[0]
    torch.set_num_threads(cores)
    main = getattr(sys.modules["__main__"], "__spec__", None)
    ours = main is not None and main.name == "workbench.jobs._worker"
    if ours and hasattr(os, "nice") and os.nice(0) < _NICE:
        with suppress(OSError):
            os.nice(_NICE)
    return cores


def peak_memory() -> int:
    """The most main memory that this process has taken so far, in bytes; 0 where it is not told."""
    with suppress(OSError, ValueError, IndexError):  # Linux; unlike getrusage's, not a parent's
        status = Path("/proc/self/status").read_text("utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) << 10
    import psutil

    told = psutil.Process().memory_info()
    return int(getattr(told, "peak_wset", told.rss))  # Windows knows a peak


@contextmanager
def steady_heap() -> Iterator[None]:
    """Keep freed memory in the process while a model trains (glibc only).

    A step frees and takes the same 50 MB of logits; given back to the system each time, they
    cost a page fault per 4 kB: a third of the step at 4,096 tokens.
    """
    import ctypes

    try:
        libc = ctypes.CDLL(None)
        tune, trim = libc.mallopt, libc.malloc_trim
    except (AttributeError, OSError, TypeError):  # no glibc: macOS, Windows, musl
        yield
        return
    mmap_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h
    tune(mmap_threshold, 1 << 30)
    tune(trim_threshold, (1 << 31) - 1)
    try:
        yield
    finally:
        tune(mmap_threshold, 128 << 10)
        tune(trim_threshold, 128 << 10)
        trim(0)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a disk's refusal into a sentence that says what to do."""
    try:
        yield
    except Exception as error:  # a full disk is a RuntimeError of torch, and one of safetensors'
        known = isinstance(error, OSError | RuntimeError)
        if not known and type(error).__name__ != "SafetensorError":
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise TrainingError(
            f"{path} cannot be written ({reason}). Make room there, or set WORKBENCH_HOME to a "
            "folder with space that you may write to; the job then goes on from its checkpoint."
        ) from error

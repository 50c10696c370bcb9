"""What a base model takes: time, memory and disk, by a few of its own steps in a process of theirs.

The process is that of the training in small: it learns a vocabulary of the dataset's beginning,
makes the network, takes steps of both lengths of row, examines it, writes a checkpoint and the
model, and tells what each took and how much memory it had at most. No interval is given here:
`price` adds what it knows of past errors.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from workbench.data import Dataset, find
from workbench.data import examples as examples_of
from workbench.errors import TrainingError
from workbench.hardware import memory
from workbench.pretrain._base_texts import (
    HELD_OUT,
    check_dataset,
    encode,
    parts,
    vocabulary_size,
)
from workbench.pretrain._dial import BaseSettings
from workbench.pretrain._loop import (
    CHECKPOINT_SECONDS,
    FINAL_TOKENS,
    QUICK_TOKENS,
    WRITING_SHARE,
)
from workbench.settings import home

if TYPE_CHECKING:
    from workbench.pretrain._loop import Run, Texts

_SAMPLE = 1_000_000  # characters that are read
_LEAST, _MOST, _SECONDS = 3, 12, 3.0  # steps of each length; the first warms up
_ENCODED = 4  # bytes of a token
_PATIENCE = 300.0  # seconds
_PER_PARAMETER = 22  # bytes: weight, its half, gradient, what the optimizer keeps, the best one
_GUESSED_SPEED = 1e11  # operations a second of a machine where nothing could be tried


def base_price(settings: BaseSettings, dataset: Dataset) -> dict[str, float]:
    """seconds, memory, disk (bytes), steps, tokens (to learn from in all), parameters.

    `probed` is 1.0 where steps were taken; 0.0 where the weights alone would not fit into the
    memory that is free, and all is computed. Raises TrainingError for a dataset that is too small,
    or where not one step could be taken.
    """
    from workbench.pretrain._base import disk_needed

    check_dataset(dataset)
    needed = _PER_PARAMETER * settings.parameters
    told = _tried(settings, dataset) if needed < memory()[1] else _guessed(settings, dataset)
    disk = disk_needed(settings.parameters, dataset.characters)
    return {"parameters": settings.parameters, "disk": disk, **told}


def _tried(settings: BaseSettings, dataset: Dataset) -> dict[str, float]:
    asked = json.dumps(
        {"settings": asdict(settings), "dataset": dataset.digest, "since": time.time()}
    )
    try:
        done = subprocess.run(
            [sys.executable, "-m", "workbench.pretrain._base_price"],
            input=asked, capture_output=True, text=True, timeout=_PATIENCE, check=False,
        )  # fmt: skip
        told: dict[str, float] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        raise TrainingError(
            "Not one step of this training could be tried: it took too long or more memory than "
            "there is. Take a lower depth, a shorter context or a smaller batch."
        ) from None
    return told


def _guessed(settings: BaseSettings, dataset: Dataset) -> dict[str, float]:
    from workbench.pretrain._base import steps_of

    steps = steps_of(settings, dataset.characters // 4)
    seconds = 60 * (settings.minutes or 0)
    step = 6 * settings.parameters * settings.batch / _GUESSED_SPEED
    steps = steps or max(1, int(seconds / step))
    return {
        "probed": 0.0,
        "steps": steps,
        "tokens": steps * settings.batch,
        "seconds": seconds or steps * step,
        "memory": _PER_PARAMETER * settings.parameters + (1 << 30),
    }


def _probe(settings: BaseSettings, dataset: Dataset, since: float) -> dict[str, float]:
    """Do each part of the training here, and tell what the whole of it takes. `since` is when the
    process was started, in seconds since the epoch."""
    from workbench.precision import matmul_peak
    from workbench.pretrain._base import LOOKS, new_run, steps_of
    from workbench.pretrain._base_texts import Reading
    from workbench.pretrain._loop import Texts
    from workbench.pretrain._rows import tensor
    from workbench.pretrain._step import Step, step_precision
    from workbench.pretrain._tokenizer import train_tokenizer
    from workbench.work import peak_memory, steady_heap, use_cores

    use_cores()
    words = list(_beginning(dataset))
    share = min(1.0, sum(map(len, words)) / dataset.characters)
    began = time.perf_counter()
    tokenizer = train_tokenizer(words, vocabulary_size(dataset, settings))
    flat = encode(tokenizer, [list(words)])
    reading = Reading(tokenizer, flat, flat)
    read = time.perf_counter() - began
    steps = steps_of(settings, int(len(flat) / share))
    with steady_heap():
        run = new_run(settings, tokenizer.get_vocab_size(), {})
        learnt, held_out = reading.streams(settings)
        if run.precision == "auto":
            run.precision = step_precision(run.model, tensor(learnt.draw(0, 2)))
        run.quick = Step(run.model, run.precision)
        matmul_peak(run.precision)
        outside = time.time() - since - read + read / share
        took = _timed(run, Texts(learnt, None, held_out, settings.batch), settings)
    look = took["look"] * min(QUICK_TOKENS, kept := len(flat) / share * _held_out(dataset))
    last = took["look"] * min(FINAL_TOKENS, kept) + took["saving"] + took["writing"]
    step = took["step"]
    learning = 60.0 * (settings.minutes or 0)  # with all that is done beside
    if steps:
        learning = steps * step + min(steps, LOOKS) * look + took["warm"]
        saves = 1 + int(learning / max(CHECKPOINT_SECONDS, took["saving"] / WRITING_SHARE))
        learning += saves * took["saving"]
    steps = steps or max(1, int(learning / step))
    return {
        "probed": 1.0,
        "steps": steps,
        "tokens": steps * settings.batch,
        "seconds": outside + learning + last,
        "memory": peak_memory() + _ENCODED * (len(flat) / share - len(flat)),
    }


def _held_out(dataset: Dataset) -> float:
    """The share of the text that it is examined on, of all that is learnt."""
    kept = dataset.splits.get("validation", 0)
    return kept / dataset.splits["train"] if kept else HELD_OUT


def _timed(run: Run, texts: Texts, settings: BaseSettings) -> dict[str, float]:
    """Seconds of a mean `step`, `warm` of what the first ones take more, of a token that is looked
    at (`look`), of `saving` a checkpoint and of `writing` the model."""
    from workbench.pretrain._loop import SHORT_ROWS, examine, update
    from workbench.pretrain._model import save_model

    usual, warm = {0.0: 0.0, SHORT_ROWS: 0.0}, 0.0  # by the share of the budget that is spent
    for spent in usual:
        took: list[float] = []
        until = time.perf_counter() + _SECONDS
        while len(took) < _LEAST or (time.perf_counter() < until and len(took) < _MOST):
            took.append(_seconds(partial(update, run, texts, spent)))
        usual[spent] = median(took[1:])
        warm += max(0.0, took[0] - usual[spent])
    step = SHORT_ROWS * usual[0.0] + (1 - SHORT_ROWS) * usual[SHORT_ROWS]
    context = texts.held_out.rows.shape[1] - 1
    size = context * min(len(texts.held_out.rows), max(1, QUICK_TOKENS // context))
    looking = partial(examine, run, texts.held_out, QUICK_TOKENS)
    warm += _seconds(looking)
    look = _seconds(looking) / size
    if settings.patience:
        run.keep()
    with TemporaryDirectory(prefix="probe-", dir=home(), ignore_cleanup_errors=True) as folder:
        saving = _seconds(partial(run.save, Path(folder) / "checkpoint.pt"))
        writing = _seconds(partial(save_model, run.model, Path(folder)))
    return {"step": step, "warm": warm, "look": look, "saving": saving, "writing": writing}


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _beginning(dataset: Dataset) -> Iterator[str]:
    """The first texts of the dataset, together as long as the sample."""
    left = _SAMPLE
    for example in examples_of(dataset, "train"):
        for part in parts(example):
            if isinstance(part, str) and left > 0:
                yield part[:left]
                left -= len(part)
        if left <= 0:
            return


def _main() -> None:
    asked = json.loads(sys.stdin.read())
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print belongs in the log
    told = _probe(BaseSettings(**asked["settings"]), find(asked["dataset"]), asked["since"])
    print(json.dumps(told), file=answers, flush=True)


if __name__ == "__main__":
    _main()

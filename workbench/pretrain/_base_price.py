"""What a base model takes: time, memory and disk, by a few of its own steps in a process of theirs.

The process is that of the training in small: it learns a vocabulary of the dataset's beginning,
makes the network, takes steps of both lengths of row, examines it, and tells what each took and how
much memory it had at most. No interval is given here: `train` adds what it knows of past errors.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from workbench.data import Dataset, find
from workbench.data import examples as examples_of
from workbench.errors import TrainingError
from workbench.hardware import memory
from workbench.pretrain._base_texts import check_dataset, encode, parts, vocabulary_size
from workbench.pretrain._dial import BaseSettings

if TYPE_CHECKING:
    from workbench.pretrain._loop import Run, Texts

_BEGAN = time.perf_counter()
_SAMPLE = 1_000_000  # characters that are read
_STEPS = 3  # of each length; the first warms up
_PATIENCE = 300.0  # seconds
_PER_PARAMETER = 18  # bytes: weight, its half, gradient, what the optimizer keeps
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
    asked = json.dumps({"settings": asdict(settings), "dataset": dataset.digest})
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


def _probe(settings: BaseSettings, dataset: Dataset) -> dict[str, float]:
    """Take steps here, and tell what the whole training takes."""
    from workbench.pretrain._base import LOOKS, new_run, steps_of
    from workbench.pretrain._base_texts import Reading
    from workbench.pretrain._loop import Texts
    from workbench.pretrain._rows import tensor
    from workbench.pretrain._step import Step, quicker_precision
    from workbench.pretrain._tokenizer import train_tokenizer
    from workbench.work import peak_memory, steady_heap, use_cores

    use_cores()
    words = list(_beginning(dataset))
    share = min(1.0, sum(map(len, words)) / dataset.characters)
    began = time.perf_counter()
    tokenizer = train_tokenizer(words, vocabulary_size(dataset, settings))
    flat = encode(tokenizer, [list(words)])
    reading = Reading(tokenizer, flat, flat)
    outside = (time.perf_counter() - began) / share
    steps = steps_of(settings, int(len(flat) / share))
    with steady_heap():
        run = new_run(settings, tokenizer.get_vocab_size(), {})
        learnt, held_out = reading.streams(settings)
        if run.precision == "auto":
            run.precision = quicker_precision(run.model, tensor(learnt.draw(0, 2)))
        run.quick = Step(run.model, run.precision)
        outside += time.perf_counter() - _BEGAN
        took = _timed(run, Texts(learnt, None, held_out, settings.batch))
    looking = min(LOOKS, steps or 0) * took["look"]  # within the minutes, where they decide
    steps = steps or max(1, int(60 * (settings.minutes or 0) / took["step"]))
    return {
        "probed": 1.0,
        "steps": steps,
        "tokens": steps * settings.batch,
        "seconds": outside + steps * took["step"] + looking + took["last"],
        "memory": peak_memory(),
    }


def _timed(run: Run, texts: Texts) -> dict[str, float]:
    """Seconds of a mean `step`, of a `look` at held-out text, of the `last` one and the writing."""
    from workbench.pretrain._loop import FINAL_TOKENS, QUICK_TOKENS, SHORT_ROWS, examine, update

    quickest = {0.0: math.inf, SHORT_ROWS: math.inf}  # by the share of the budget that is spent
    for spent in quickest:
        for _ in range(_STEPS):
            began = time.perf_counter()
            update(run, texts, spent)
            quickest[spent] = min(quickest[spent], time.perf_counter() - began)
    began = time.perf_counter()
    examine(run, texts.held_out, QUICK_TOKENS)
    look = time.perf_counter() - began
    step = SHORT_ROWS * quickest[0.0] + (1 - SHORT_ROWS) * quickest[SHORT_ROWS]
    return {"step": step, "look": look, "last": look * FINAL_TOKENS / QUICK_TOKENS}


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
    told = _probe(BaseSettings(**asked["settings"]), find(asked["dataset"]))
    print(json.dumps(told), file=answers, flush=True)


if __name__ == "__main__":
    _main()

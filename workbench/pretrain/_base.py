"""The base recipe: a dataset becomes a small Llama, from nothing. Read it from top to bottom.

    dataset → tokenizer → tokens → training → Hugging Face folder

All files are in the training's folder: `tokenizer.json`, `learnt.bin` and `held_out.bin` (tokens),
`checkpoint.pt`, and at the end `model`, which is there whole or not at all. A run that is killed
goes on where it was; one that is done returns what it measured.
"""

from __future__ import annotations

import logging
import math
import shutil
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench import data, lineage
from workbench.precision import matmul_peak
from workbench.pretrain._base_texts import Reading, read_dataset
from workbench.pretrain._checkpoint import load_checkpoint
from workbench.pretrain._dial import BaseSettings, base_settings
from workbench.pretrain._loop import Budget, Run, Texts, train
from workbench.pretrain._model import new_model, save_model
from workbench.pretrain._optimizer import Updates
from workbench.pretrain._rows import tensor
from workbench.pretrain._step import Step, step_precision
from workbench.pretrain._tokenizer import save_tokenizer
from workbench.pretrain._watch import Watch
from workbench.work import Part, check_room, peak_memory, steady_heap, use_cores, writing

if TYPE_CHECKING:
    from workbench.jobs import JobContext
    from workbench.lineage import Training

_log = logging.getLogger(__name__)

_CHECKPOINT = "checkpoint.pt"
_FORMAT = 1  # of checkpoints: raise it when the meaning of their content changes
_SHAPE = ("width", "heads", "key_value_heads", "inner")
LOOKS = 40  # validations in a run
_BYTES = 4 + 8 + 4  # of a parameter in a checkpoint: weight, what optimizers keep, best weight


def pretrain(job: JobContext, *, training: str) -> dict[str, Any]:
    """Train the base model of this training's record; returns what was measured.

    Leaves `model` in the training's folder: weights in fp32, tokenizer and chat template. A file
    `stop` in the folder ends the training at once, and what is learnt so far is kept. Raises
    TrainingError, DataError; JobCancelled when the job is cancelled (resumed, it goes on).
    """
    began = time.monotonic()
    record = lineage.find(training)
    folder, settings = record.folder, base_settings(**record.settings)
    if (folder / "model").is_dir():
        return dict(record.measured)
    use_cores()
    dataset = data.find(record.dataset)
    check_room(folder, disk_needed(settings.parameters, dataset.characters))
    reading = read_dataset(Part(job, 0.0, 0.04), dataset, settings, folder)
    with steady_heap():
        run = _begin(job, record, settings, reading)
        before = run.elapsed
        watch = _watch(record, settings, run)
        steps, (learnt, held_out) = (
            steps_of(settings, len(reading.learnt)),
            reading.streams(settings),
        )
        budget = Budget(60 * (settings.minutes or 0), steps)
        texts = Texts(learnt, None, held_out, settings.batch)
        train(Part(job, 0.05, 0.98), run, texts, budget, folder / _CHECKPOINT, watch)
    job.progress(0.98, "Writing the model")
    measured = _measured(run, watch)
    measured["seconds"] = round(time.monotonic() - began + before, 1)
    _publish(record, run, reading, settings, measured)
    return measured


def steps_of(settings: BaseSettings, learnt: int) -> int | None:
    """Updates in all, for so many tokens to learn from; None where minutes decide."""
    if settings.minutes is not None:
        return None
    tokens = min(settings.tokens, settings.passes * learnt)
    return settings.steps or max(1, -(-tokens // settings.batch))


def disk_needed(parameters: int, characters: int) -> int:
    """Bytes: tokens, the checkpoint and the next one beside it, the model."""
    return 4 * characters + (2 * _BYTES + 4) * parameters + (10 << 20)


def new_run(settings: BaseSettings, vocabulary: int, fingerprint: dict[str, Any]) -> Run:
    """A run of these settings with random weights from their seed."""
    import torch

    torch.manual_seed(settings.seed)
    shape = {
        name: getattr(settings, name) for name in ("width", "heads", "key_value_heads", "inner")
    }
    model = new_model(vocabulary, settings.depth, settings.context, **shape)
    rates = (settings.learning_rate, settings.embedding_rate, settings.weight_decay)
    return Run(model, "", fingerprint, settings.precision, Updates(settings.optimizer, *rates))


def _begin(job: JobContext, record: Training, settings: BaseSettings, reading: Reading) -> Run:
    """The run as its checkpoint has it, or a new one in the way that is quickest here."""
    fingerprint = {"format": _FORMAT, "dataset": record.dataset, **asdict(settings)}
    run = new_run(settings, reading.tokenizer.get_vocab_size(), fingerprint)
    saved = load_checkpoint(record.folder / _CHECKPOINT, fingerprint)
    if saved is not None:
        run.restore(saved)
        _log.info("Going on from step %d.", run.step)
    elif run.precision == "auto":
        job.progress(0.04, "Trying which precision is the quicker one")
        learnt, _ = reading.streams(settings)
        run.precision = step_precision(run.model, tensor(learnt.draw(0, 2)))
    run.quick = Step(run.model, run.precision)
    return run


def _watch(record: Training, settings: BaseSettings, run: Run) -> Watch:
    """What ends the run early, and what its speed is measured by."""
    weights = run.model.num_parameters()
    # twice each weight forward and four times backward; attention looks at half of a row
    flops = 6 * weights + 6 * settings.depth * settings.width * settings.context
    return Watch(
        LOOKS, settings.patience, record.folder / "stop", flops, matmul_peak(run.precision)
    )


def _measured(run: Run, watch: Watch) -> dict[str, Any]:
    ended = "stopped" if watch.stopped else "no gain" if watch.idle(run) else "budget"
    speed = run.tokens / run.elapsed
    return {
        "ended": ended,
        "parameters": run.model.num_parameters(),
        "steps": run.step,
        "best_step": run.best_step or None,
        "tokens": run.tokens,
        "train_loss": round(run.train_loss, 4),
        "validation_loss": round(run.validation_loss, 4),
        "perplexity": round(math.exp(min(run.validation_loss, 700.0)), 3),
        "accuracy": round(run.accuracy, 4),
        "training_seconds": round(run.elapsed, 1),
        "tokens_per_second": round(speed, 1),
        "mfu": round(watch.flops * speed / watch.peak, 4),
        "peak_memory_bytes": peak_memory(),
        "precision": run.precision,
    }


def _publish(
    record: Training, run: Run, reading: Reading, settings: BaseSettings, measured: dict[str, Any]
) -> None:
    """The Hugging Face folder, all or nothing: its name comes last, after the record knows."""
    unfinished = record.folder / "model.part"
    with writing(unfinished):
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        save_model(run.model, unfinished)
        reading.tokenizer.encode_special_tokens = False
        save_tokenizer(reading.tokenizer, unfinished, settings.context)
    lineage.note(record, measured=measured)
    with writing(unfinished):
        unfinished.rename(record.folder / "model")
        (record.folder / _CHECKPOINT).unlink(missing_ok=True)

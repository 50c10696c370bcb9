"""Learning itself: rows of tokens, a network, updates by Transformers' Trainer.

The loss is ours (`_loss`), precision and validation too. A training follows from its seed; on a
processor one that was killed and resumed ends with the same weights, bit for bit.
"""

from __future__ import annotations

import importlib.util
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.errors import TrainingError
from workbench.jobs import JobContext
from workbench.learn._curve import Curve
from workbench.learn._encode import Encoded
from workbench.learn._keep import newest, place
from workbench.learn._network import Network, recompute
from workbench.learn._rows import Rows, collate, pack
from workbench.learn._settings import Settings
from workbench.learn._speed import token_operations
from workbench.learn._watch import Watch, watched
from workbench.precision import matmul_peak
from workbench.work import steady_heap

_log = logging.getLogger(__name__)
_VALIDATIONS = 10  # in a training
VALIDATED = (4_000, 0.2, 100_000)  # tokens of one: at least, share of those learnt between, most


def steps_of(rows: int, settings: Settings) -> int:
    """Updates of a training with so many rows."""
    update = settings.batch * settings.accumulation
    steps = max(1, math.ceil(settings.epochs * rows / update))
    return min(steps, settings.max_steps or steps)


def evaluate_every(settings: Settings, steps: int) -> int:
    """Updates between two validations."""
    return settings.evaluate_every or max(1, steps // _VALIDATIONS)


def rows_of(encoded: Encoded, settings: Settings, context: int, packs: bool) -> Rows:
    """The rows of a training, all its epochs."""
    packed = settings.packing and packs
    rows = pack(encoded, context) if packed else [[n] for n in range(len(encoded))]
    update = settings.batch * settings.accumulation
    total = update * steps_of(len(rows), settings)
    return Rows(encoded, rows, settings.batch, settings.seed, total, packed)


def learn(
    job: JobContext,
    folder: Path,
    network: Network,
    rows: Rows,
    held_out: Rows | None,
    settings: Settings,
    curve: Curve,
    *,
    share: Settings | None = None,
    watching: Callable[..., Watch] = Watch,
) -> Curve:
    """Train until the end of its steps, or until the file `stop` is in `folder`; from the newest
    checkpoint there, if there is one. The network then has the final weights.

    Where several processes learn together, `share` has the batch and accumulation of each and
    `watching` is what they look after it with; the weights are then those of the last step.
    Raises TrainingError, JobCancelled (after a checkpoint).
    """
    from transformers import Trainer

    steps = len(rows) // (settings.batch * settings.accumulation)
    checkpoints = folder / "checkpoints"
    watch = watching(
        job, checkpoints, curve, steps=steps, stop=folder / "stop",
        validate=validation(job, network, held_out, settings, rows, steps),
        validate_every=evaluate_every(settings, steps), checkpoint_every=settings.checkpoint_every,
        patience=settings.patience if held_out is not None else None,
        operations=token_operations(network.causal, float(rows.encoded.lengths.mean())),
        peak=matmul_peak(network.precision, network.device), device=network.device,
    )  # fmt: skip
    each = share or settings
    recompute(network, settings, each.batch * _longest(rows))
    given = arguments(checkpoints, each, steps, use_cpu=network.device == "cpu")
    trainer = _class(watched(Trainer))(
        model=network.model, args=given, train_dataset=rows, data_collator=collate
    )
    watch.attach(trainer)
    with out_of_memory(), steady_heap():
        run_from(trainer, checkpoints, curve, best=share is None)
    job.check_cancelled()
    return curve


def run_from(trainer: Any, checkpoints: Path, curve: Curve, *, best: bool = True) -> None:
    """Train on from the newest checkpoint to the end, and with `best` take the best weights where
    they are wanted (`Watch.patience`)."""
    found = newest(checkpoints)
    if not curve.ended:
        trainer.train(resume_from_checkpoint=str(found[0]) if found else None)
    elif found:
        trainer._load_from_checkpoint(str(found[0]))
    top = curve.best if best and curve.ended and trainer.watch.patience else None
    if top and top[0] < curve.step:
        _log.info("The weights of step %d are taken: they were the best.", top[0])
        trainer._load_from_checkpoint(str(place(checkpoints, top[0])))
        curve.kept = top[0]


def resumed(folder: Path, precision: str) -> Curve:
    """The curve of the newest checkpoint of a training, or a new one."""
    found = newest(folder / "checkpoints")
    if found is None:
        return Curve(precision=precision)
    _log.info("Going on from step %d.", found[1]["step"])
    return Curve.of(found[1])


def arguments(folder: Path, settings: Settings, steps: int, kind: Any = None, **more: Any) -> Any:
    """Transformers' arguments (or `kind`'s) of a training that `Watch` looks after."""
    from transformers import TrainingArguments

    schedules = {"constant": "constant_with_warmup"}
    return (kind or TrainingArguments)(
        output_dir=str(folder), max_steps=steps, learning_rate=settings.learning_rate,
        per_device_train_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulation, weight_decay=settings.weight_decay,
        max_grad_norm=settings.clip, warmup_steps=settings.warmup(steps),
        lr_scheduler_type=schedules.get(settings.schedule, settings.schedule),
        seed=settings.seed, data_seed=settings.seed, optim="adamw_torch_fused",
        logging_strategy="no", save_strategy="no", eval_strategy="no", report_to=[],
        logging_nan_inf_filter=False, disable_tqdm=True, remove_unused_columns=False,
        dataloader_pin_memory=False, **_kernels(), **more,
    )  # fmt: skip


def _kernels() -> dict[str, Any]:
    """Liger's operations on a graphics card, where its package is; the loss stays ours."""
    import torch

    if not torch.cuda.is_available() or importlib.util.find_spec("liger_kernel") is None:
        return {}
    ours = {"cross_entropy": False, "fused_linear_cross_entropy": False}
    return {"use_liger_kernel": True, "liger_kernel_config": ours}


def validation(
    job: JobContext,
    network: Network,
    held_out: Rows | None,
    settings: Settings,
    rows: Rows,
    steps: int,
) -> Any:
    """A function that validates on a part of the held-out rows, always the same; None without."""
    if held_out is None:
        return None
    least, share, most = VALIDATED
    learnt = rows.encoded.counts.tokens / len(rows.rows) * settings.batch * settings.accumulation
    budget = min(most, max(least, share * learnt * evaluate_every(settings, steps)))
    numbers: list[int] = []
    tokens = 0
    for number, sequences in enumerate(held_out.rows):
        if numbers and tokens > budget:
            break
        numbers.append(number)
        tokens += int(held_out.encoded.lengths[sequences].sum())
    batches = [numbers[at : at + settings.batch] for at in range(0, len(numbers), settings.batch)]
    return lambda: measured(job, network, held_out, batches)


def measured(
    job: JobContext, network: Network, rows: Rows, batches: list[list[int]]
) -> Mapping[str, float]:
    """Mean loss in nats per learnt token, its perplexity, and how many best guesses are right."""
    import torch

    from workbench.learn._rows import IGNORED

    network.model.eval()
    loss, right, count = 0.0, 0, 0
    with torch.no_grad():
        for numbers in batches:
            if job.cancelled:
                break
            batch = collate([rows.row(number) for number in numbers])
            batch.pop("tokens")
            found = network.model(**{k: v.to(network.device) for k, v in batch.items()})
            loss, right = loss + float(found["loss"]), right + int(found["correct"])
            count += int((batch["labels"] != IGNORED).sum())
    network.model.train()
    loss, accuracy = loss / max(count, 1), right / max(count, 1)
    perplexity = math.exp(min(loss, 50.0))
    return {"validation_loss": loss, "accuracy": accuracy, "perplexity": perplexity}


@contextmanager
def out_of_memory() -> Iterator[None]:
    """Turn a lack of memory into a sentence that says what to do."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        words = str(error).lower()
        if not isinstance(error, MemoryError) and not (
            "out of memory" in words or "can't allocate memory" in words
        ):
            raise
        raise TrainingError(
            "The memory does not hold this training. Use a smaller batch (with more accumulation), "
            "a shorter context, gradient_checkpointing=true, or LoRA instead of all weights."
        ) from error


def _class(trainer: Any) -> Any:
    """A Trainer that takes the rows in their order and the loss of `_loss`."""
    from torch.utils.data import SequentialSampler

    class Learner(trainer):  # type: ignore[misc]
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            self.model_accepts_loss_kwargs = self.loss_is_scaled_for_ga = True
            self._loss_shifts_labels = False  # ours are the next tokens already

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return SequentialSampler(train_dataset or self.train_dataset)

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:  # fmt: skip
            given = {name: value for name, value in inputs.items() if name != "tokens"}
            loss = model(**given)["loss"] / num_items_in_batch
            if self.args.average_tokens_across_devices:
                loss = loss * self.accelerator.num_processes
            return loss

    return Learner


def _longest(rows: Rows) -> int:
    """Tokens of the longest row."""
    lengths = rows.encoded.lengths
    return max(int(lengths[row].sum()) for row in rows.rows)

"""Fine-tuning: a model learns on from a dataset. One training from its record to its weights.

<training>/checkpoints/    while it runs; removed when the model is whole
<training>/adapter/        what was learnt, of LoRA and QLoRA
<training>/model/          the model with it: a Hugging Face folder, whole or not there
<training>/stop            put there, it ends the training now and keeps what is learnt
"""

from __future__ import annotations

import gc
import logging
import random
import shutil
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench import data, lineage
from workbench.bases import Base, base_of
from workbench.cluster import executor, learn_together
from workbench.data import Dataset
from workbench.examples import Example, Template
from workbench.export import merge
from workbench.jobs import JobContext
from workbench.learn import (
    Counts,
    Curve,
    Encoded,
    Network,
    Rows,
    Settings,
    chosen_precision,
    encode,
    learn,
    load_network,
    pack,
    resumed,
    rows_of,
    settings_of,
    template_for,
    tokenizer_of,
)
from workbench.lineage import Training
from workbench.work import Part, use_cores, writing

_log = logging.getLogger(__name__)
_HELD_OUT, _MOST_HELD_OUT, _ENOUGH = 0.05, 200, 40  # where a dataset has no validation split


def finetune(job: JobContext, *, training: str) -> dict[str, Any]:
    """Train what the record `training` says; its folder then has a whole `model`.

    Returns what was measured, which is noted in the record too. A training that was cut goes on
    from its checkpoint; one that is finished is not done again. Raises TrainingError, DataError,
    JobCancelled.
    """
    run = lineage.find(training)
    if (run.folder / "model").is_dir():
        return dict(run.measured)
    use_cores()
    settings, there = settings_of(run.settings), executor()
    if there:
        there.check(settings)
    base, dataset = base_of(run), data.find(run.dataset)
    job.progress(0.0, f"Reading {dataset.label}")
    tokenizer = tokenizer_of(base.folder)
    template = template_for(base.folder, tokenizer)
    context = min(settings.context, base.context or settings.context)
    learnt, held_out = _encoded(job, dataset, tokenizer, template, context)

    job.progress(0.02, f"Loading {base.name}")
    curve = resumed(run.folder, "")
    curve.precision = curve.precision or chosen_precision(base.folder, settings)
    # 4 bits are asked for where it learns; what is merged here are the whole weights
    here = replace(settings, method="lora") if there and settings.adapter else settings
    network = load_network(base.folder, here, curve.precision)
    rows = rows_of(learnt, settings, context, network.packs)
    checked = _checked_rows(held_out, context, rows.packed)
    part, device = Part(job, 0.05, 0.95), network.device
    if there:
        spread = learn_together(part, run.folder, base.folder, rows, checked, settings, there)
        curve, device = spread.curve, spread.device or device
        network.notes += spread.notes
    learn(part, run.folder, network, rows, checked, here, curve)  # or only take the weights

    job.progress(0.95, "Writing the model")
    kept = held_out.counts if held_out else None
    measured = measured_of(
        network, curve, learnt.counts, kept, len(rows.rows), template, together=bool(there)
    )
    measured |= {"packed": rows.packed, "device": device}
    lineage.note(run, measured=measured)  # first: with the model's folder all is done
    write_model(run, network, settings, base, tokenizer)
    (run.folder / "stop").unlink(missing_ok=True)
    shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)
    return measured


def _encoded(
    job: JobContext, dataset: Dataset, tokenizer: Any, template: Template, context: int
) -> tuple[Encoded, Encoded | None]:
    """What is learnt, and what it is validated on; None where the dataset has too little."""
    examples, held_out = divided(dataset)
    between = job.check_cancelled
    found = encode(examples, tokenizer, template, context, between=between)
    if not held_out:
        return found, None
    return found, encode(held_out, tokenizer, template, context, between=between)


@dataclass(frozen=True, slots=True)
class Examples:
    """Some examples of a dataset, read from the disk each time that they are gone through."""

    dataset: Dataset
    split: str
    numbers: Sequence[int]  # of the split's examples, rising

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Example]:
        wanted = iter(self.numbers)
        number = next(wanted, None)
        for n, one in enumerate(data.examples(self.dataset, self.split)):
            if number is None:
                return
            if n == number:
                yield one
                number = next(wanted, None)


def divided(dataset: Dataset) -> tuple[Examples, Examples]:
    """The examples to learn, and those to validate on: the dataset's own, or a part drawn from
    what is learnt; none where that is too little."""
    learnt = "train" if "train" in dataset.splits else next(iter(dataset.splits))
    count = dataset.splits[learnt]
    if kept := dataset.splits.get("validation"):
        held_out = Examples(dataset, "validation", range(kept))
        return Examples(dataset, learnt, range(count)), held_out
    drawn = min(_MOST_HELD_OUT, int(_HELD_OUT * count)) if count >= _ENOUGH else 0
    chosen = set(random.Random(0).sample(range(count), drawn))  # noqa: S311
    rest = array("q", (n for n in range(count) if n not in chosen)) if chosen else range(count)
    return Examples(dataset, learnt, rest), Examples(dataset, learnt, sorted(chosen))


def _checked_rows(held_out: Encoded | None, context: int, packed: bool) -> Rows | None:
    if held_out is None:
        return None
    rows = pack(held_out, context) if packed else [[n] for n in range(len(held_out))]
    return Rows(held_out, rows, packed=packed)


def write_model(
    run: Training, network: Network, settings: Settings, base: Base, tokenizer: Any
) -> None:
    """The adapter and the whole model; the model's folder is there when all of it is."""
    folder = run.folder / ("adapter" if settings.adapter else "model.part")
    shutil.rmtree(folder, ignore_errors=True)
    network.causal.config.use_cache = True
    with writing(folder):
        network.model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        if not settings.adapter:
            folder.replace(run.folder / "model")
    if settings.adapter:
        network.model = network.causal = None
        gc.collect()  # the base is read once more to merge
        merge(base.folder, folder, run.folder / "model")


def measured_of(
    network: Network,
    curve: Curve,
    learnt: Counts,
    held_out: Counts | None,
    rows: int,
    template: Template,
    *,
    together: bool = False,
) -> dict[str, Any]:
    """What the record keeps. Losses in nats per learnt token. `together`: on an executor."""
    weights = list(network.model.parameters())
    notes = [*template.notes, *network.notes]
    if not together and executor():
        notes.append("Learnt on this machine: only the recipe finetune learns on Ray's workers.")
    if (remark := curve.remark()) and curve.ended != "early":
        notes.append(remark)
    return {
        "seconds": curve.seconds,
        "steps": curve.step,
        "tokens": curve.tokens,
        "tokens_per_second": curve.tokens_per_second,
        "peak_memory_bytes": curve.peak_memory,
        "train_loss": curve.train_loss,
        "validation_loss": curve.validation_loss if curve.validations else None,
        "validation_loss_before": dict(curve.validations).get(0),
        "accuracy": curve.accuracy,
        "best_step": curve.best[0] if curve.best else None,
        "ended": curve.ended,
        "precision": curve.precision,
        "device": network.device,
        "parameters": sum(one.numel() for one in weights),
        "trained_parameters": sum(one.numel() for one in weights if one.requires_grad),
        "rows": rows,
        "data": learnt.to_json(),
        "held_out": held_out.to_json() if held_out else None,
        "notes": notes,
    }

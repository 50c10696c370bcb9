"""Learning what is preferred: direct preference optimisation on pairs of answers.

The loss is TRL's. The model is to make the better answer likelier than the base model does, and
the worse one less likely; `beta` says how dear it is to leave the base. What the base says about
each pair is asked once beforehand (with the adapter switched off, where one is trained), so no
second model is held in memory. All else is as in fine-tuning (`_core`, `_watch`, `_finetune`).
"""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import data, lineage
from workbench.bases import base_of
from workbench.data import Dataset
from workbench.errors import TrainingError
from workbench.jobs import JobContext
from workbench.learn import (
    Curve,
    Network,
    Settings,
    Watch,
    arguments,
    chosen_precision,
    evaluate_every,
    load_network,
    out_of_memory,
    recompute,
    resumed,
    run_from,
    settings_of,
    steps_of,
    template_for,
    token_operations,
    tokenizer_of,
    watched,
)
from workbench.precision import matmul_peak
from workbench.recipes._finetune import divided, measured_of, write_model
from workbench.recipes._pairs import Pairs, encode_pairs
from workbench.recipes._reference import key_of, load_reference, save_reference
from workbench.work import Part, steady_heap, use_cores

if TYPE_CHECKING:
    from torch import Tensor

VALIDATED = 128  # pairs, always the same
REFERENCE = "reference.safetensors"  # what the base model says, in the training's folder
_KEEP_SECONDS = 30.0  # between two writings of it


def preferences(job: JobContext, *, training: str) -> dict[str, Any]:
    """Train what the record `training` says; its folder then has a whole `model`.

    Returns what was measured, which is noted in the record too. A training that was cut goes on
    from its checkpoint; one that is finished is not done again. Raises TrainingError, DataError,
    JobCancelled.
    """
    run = lineage.find(training)
    if (run.folder / "model").is_dir():
        return dict(run.measured)
    use_cores()
    settings = settings_of(run.settings)
    base, dataset = base_of(run), data.find(run.dataset)
    _refuse_other_forms(dataset)
    job.progress(0.0, f"Reading {dataset.label}")
    tokenizer = tokenizer_of(base.folder)
    template = template_for(base.folder, tokenizer)
    context = min(settings.context, base.context or settings.context)
    found = [
        encode_pairs(some, tokenizer, template, context, between=job.check_cancelled)
        for some in divided(dataset)
        if some
    ]
    pairs, held_out = found[0], found[1] if len(found) > 1 else None

    job.progress(0.02, f"Loading {base.name}")
    curve = resumed(run.folder, "")
    curve.precision = curve.precision or chosen_precision(base.folder, settings)
    network = load_network(base.folder, settings, curve.precision)
    learning = Learning(job, run.folder, network, settings, curve, pairs, held_out, base.digest)
    learning.learn(copy.deepcopy(tokenizer))  # TRL gives it a token to fill up with

    job.progress(0.95, "Writing the model")
    kept = held_out.counts if held_out else None
    measured = measured_of(network, curve, pairs.counts, kept, len(pairs), template)
    measured |= learning.validated  # of the weights that are kept
    lineage.note(run, measured=measured)  # first: with the model's folder all is done
    write_model(run, network, settings, base, tokenizer)
    for name in ("stop", REFERENCE):
        (run.folder / name).unlink(missing_ok=True)
    shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)
    return measured


def _refuse_other_forms(dataset: Dataset) -> None:
    if dataset.form != "preference":
        raise TrainingError(
            f"{dataset.label} has examples of the form {dataset.form}, and preferences are learnt "
            "from pairs of a better and a worse answer (preference). Make some of votes "
            "(`workbench train feedback`), import a file with prompt, chosen and rejected, or use "
            "the recipe finetune."
        )


class Learning:
    """One training in `folder`, with all that belongs to it; `base` is the base model's digest."""

    def __init__(
        self,
        job: JobContext,
        folder: Path,
        network: Network,
        settings: Settings,
        curve: Curve,
        pairs: Pairs,
        held_out: Pairs | None,
        base: str,
    ) -> None:
        self.job, self.folder, self.network, self.settings = job, folder, network, settings
        self.base = base
        self.curve, self.pairs, self.held_out = curve, pairs, held_out
        self.steps = steps_of(len(pairs), settings)
        total = self.steps * settings.batch * settings.accumulation
        self.order = pairs.order(total, settings.seed)
        self.validated: Mapping[str, float] = {}
        self.asking = 0.0  # seconds of asking the base
        self.looked: float | None = None  # when it was validated first, as perf_counter tells it

    def learn(self, tokenizer: Any) -> None:
        """Ask the base about the pairs, then train to the end or from the newest checkpoint on.

        Raises TrainingError, JobCancelled (after a checkpoint).
        """
        lengths = self.pairs.lengths
        recompute(self.network, self.settings, 2 * self.settings.batch * max(lengths))
        with out_of_memory(), steady_heap():
            trainer = self._trainer(tokenizer)
            began = time.perf_counter()
            self._ask_base(trainer)
            self.asking = time.perf_counter() - began
            watch = Watch(
                Part(self.job, 0.1, 0.95), self.folder / "checkpoints", self.curve,
                steps=self.steps, stop=self.folder / "stop",
                validate=partial(self._validate, trainer) if self.held_out else None,
                validate_every=evaluate_every(self.settings, self.steps),
                checkpoint_every=self.settings.checkpoint_every,
                patience=self.settings.patience if self.held_out else None,
                operations=token_operations(self.network.causal, sum(lengths) / len(lengths)),
                peak=matmul_peak(self.network.precision, self.network.device),
                device=self.network.device,
            )  # fmt: skip
            watch.attach(trainer)
            run_from(trainer, self.folder / "checkpoints", self.curve)
            if self.held_out:
                self.validated = self._validate(trainer)
            self.job.check_cancelled()

    def _trainer(self, tokenizer: Any) -> Any:
        from datasets import Dataset as Table
        from trl.trainer.dpo_config import DPOConfig
        from trl.trainer.dpo_trainer import DPOTrainer

        given = arguments(
            self.folder / "checkpoints", self.settings, self.steps, DPOConfig,
            beta=self.settings.beta, precompute_ref_log_probs=True, max_length=None,
            bf16=self.network.precision == "bf16", use_cpu=self.network.device == "cpu",
            gradient_checkpointing=False, disable_dropout=not self.settings.dropout,
        )  # fmt: skip
        return _class(watched(DPOTrainer))(
            model=self.network.model, args=given, processing_class=tokenizer,
            train_dataset=Table.from_dict({"pair": self.order}), data_collator=self.pairs.collate,
        )  # fmt: skip

    def _ask_base(self, trainer: Any) -> None:
        """The log-probabilities of all pairs that will be used, by the untrained model; those that
        are known from before a cut are not asked again."""
        import numpy as np

        settings, asked = self.settings, {"learnt": self.pairs}
        wanted = {"learnt": sorted(set(self.order), key=self.pairs.lengths.__getitem__)}
        if self.held_out:
            asked["held_out"] = self.held_out
            wanted["held_out"] = list(range(len(self.held_out)))[:VALIDATED]
        facts = self.base, self.network.precision, self.network.device, settings.batch
        key = key_of(list(asked.values()), *facts, *map(tuple, wanted.values()))
        path = self.folder / REFERENCE
        told = load_reference(path, key, {name: len(pairs) for name, pairs in asked.items()})
        saved = time.monotonic()
        with self.network.model.disable_adapter() if settings.adapter else nullcontext():
            for name, numbers in wanted.items():
                for some in self._batches(numbers):
                    if not np.isnan(told[name][some]).any():
                        continue
                    if self.job.cancelled or time.monotonic() - saved > _KEEP_SECONDS:
                        save_reference(path, key, told)
                        saved = time.monotonic()
                    self.job.check_cancelled()
                    found = _log_probabilities(trainer, asked[name].batch(some))
                    told[name][some] = found.cpu().numpy()
                    self.job.progress(0.05, f"Asking the base model about {len(numbers)} pairs")
        save_reference(path, key, told)
        for name, pairs in asked.items():
            pairs.reference = told[name]

    def _validate(self, trainer: Any) -> Mapping[str, float]:
        """On held-out pairs: the loss; `accuracy`, the share of pairs whose better answer gained
        more than the worse one since the base model (half, where neither did); `margin`, by how
        much, times beta."""
        import torch

        assert self.held_out is not None
        self.looked = self.looked or time.perf_counter()
        margins = []
        for some in self._batches(list(range(len(self.held_out)))[:VALIDATED]):
            if self.job.cancelled:
                return {"validation_loss": 0.0}  # which nobody keeps
            batch = trainer._prepare_inputs(self.held_out.batch(some))
            told = _log_probabilities(trainer, batch)
            gained = told[:, 0] - batch["ref_chosen_logps"]
            margins.append(gained - told[:, 1] + batch["ref_rejected_logps"])
        margin = self.settings.beta * torch.cat(margins).float()
        return {
            "validation_loss": float(-torch.nn.functional.logsigmoid(margin).mean()),
            "accuracy": float(((margin > 0).float() + (margin == 0).float() / 2).mean()),
            "margin": float(margin.mean()),
        }

    def _batches(self, numbers: list[int]) -> Iterator[list[int]]:
        for start in range(0, len(numbers), self.settings.batch):
            yield numbers[start : start + self.settings.batch]


def _log_probabilities(trainer: Any, batch: Mapping[str, Any]) -> Tensor:
    """Of the better and the worse answers (n, 2), in nats, by the model as it is."""
    import torch

    batch, model = trainer._prepare_inputs(dict(batch)), trainer.model
    labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
    given = {name: batch[name] for name in ("input_ids", "attention_mask")}
    was = model.training
    model.eval()
    try:
        with torch.no_grad(), trainer.accelerator.autocast():
            found = model(**given, labels=labels, fused_lm_head=True, use_cache=False).log_probs
    finally:
        model.train(was)
    better, worse = found.float().sum(1).chunk(2)
    return torch.stack([better, worse], 1)


def _class(trainer: Any) -> Any:
    """TRL's trainer with the pairs as they are, in their order, and telling nobody of them."""
    from torch.utils.data import SequentialSampler

    class Preferring(trainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

        def _precompute_ref_logps(self, dataset: Any, *_: Any) -> Any:
            return dataset

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return SequentialSampler(train_dataset or self.train_dataset)

        def _send_telemetry(self) -> None:
            """TRL would tell its makers of every training."""

        def create_model_card(self, *_: Any, **__: Any) -> None:
            """A checkpoint needs none."""

    return Preferring

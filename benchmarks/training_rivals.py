"""One way of training, as a program of its own: `python benchmarks/training_rivals.py WAY FOLDER`.

It loads the model of FOLDER and its rows of tokens, says that it is ready, and then trains as many
steps as each line of stdin allows. It answers each line with the seconds of those steps and the
losses so far; when stdin ends, with the memory that it took at most. So several ways share the
machine in turns, each in a process of its own whose memory is nobody else's.

All begin with the same weights, read the same rows in the same order, and learn with AdamW at the
same constant rate, clipped at 1. What TRL writes by itself stays as it comes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

BETAS, RANK, WINDOW = (0.9, 0.95), 16, 10  # TRL tells the mean loss of every ten steps


class Turns:
    """The steps that are allowed, and what they took."""

    def __init__(self, answers: IO[str]) -> None:
        self._answers, self._left, self._began = answers, 0, 0.0
        self.seconds: list[float] = []
        self.losses: list[float] = []  # means of WINDOW steps
        self._window: list[float] = []

    def begin(self, **facts: Any) -> None:
        """Say that all is loaded, and wait for the first turn."""
        self._tell(ready=True, **facts)
        self._wait()

    def step(self, loss: float | None = None) -> None:
        """A step is done; `loss` for ways that do not tell a window's mean themselves."""
        self.seconds.append(time.perf_counter() - self._began)
        if loss is not None:
            self._window.append(loss)
            if len(self._window) == WINDOW:
                self.losses.append(sum(self._window) / WINDOW)
                self._window.clear()
        self._left -= 1
        if self._left == 0:
            self._tell(seconds=self.seconds, losses=self.losses)
            self.seconds = []
            self._wait()
        self._began = time.perf_counter()

    def _wait(self) -> None:
        line = sys.stdin.readline()
        if not line.strip():
            from workbench.work import peak_memory

            self._tell(peak=peak_memory(), losses=self.losses)
            os._exit(0)  # a trainer has no way to be told, and nothing is left to be kept
        self._left, self._began = int(line), time.perf_counter()

    def _tell(self, **facts: Any) -> None:
        print(json.dumps(facts), file=self._answers, flush=True)


def resident() -> int:
    """Bytes of memory of this process now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def load(folder: Path) -> Any:
    """The model in fp32, as all ways begin with it."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def rows_of(folder: Path) -> Tensor:
    """(rows, context) token ids."""
    import torch
    from safetensors.torch import load_file

    return load_file(folder / "rows.safetensors")["rows"].to(torch.int64)


def facts_of(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "race.json").read_text("utf-8"))
    return facts


def adapted(model: Any) -> Any:
    """The model with a LoRA adapter of random A and zero B, the same in every way."""
    import torch
    from peft import get_peft_model

    torch.manual_seed(1)
    return get_peft_model(model, adapter())


def adapter() -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=RANK, lora_alpha=2 * RANK, lora_dropout=0.0, target_modules="all-linear",
        task_type="CAUSAL_LM",
    )  # fmt: skip


def plain(turns: Turns, folder: Path, *, lora: bool, precision: str) -> None:
    """The loop that one would write first."""
    import torch

    before = resident()
    model = adapted(load(folder)) if lora else load(folder)
    rows, facts = rows_of(folder), facts_of(folder)
    learnt = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learnt, facts["rate"], BETAS, weight_decay=0.0)
    model.train()
    turns.begin(before=before, threads=torch.get_num_threads())
    for batch in rows.split(facts["batch"]):
        half = precision == "bf16"
        with torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
            loss = model(input_ids=batch, labels=batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        turns.step(float(loss.detach()))


def trl(turns: Turns, folder: Path, *, lora: bool, plain_fp32: bool) -> None:
    """TRL's SFTTrainer as it comes; `plain_fp32` without its bf16 and gradient checkpointing."""
    import torch
    from datasets import Dataset
    from transformers import AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            turns.begin(before=before, threads=torch.get_num_threads())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            turns.step()

        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            if "loss" in logs:
                turns.losses.append(logs["loss"])

    facts, before = facts_of(folder), resident()
    given: dict[str, Any] = {"bf16": False, "gradient_checkpointing": False} if plain_fp32 else {}
    arguments = SFTConfig(
        output_dir=str(folder / "trl"), use_cpu=True, report_to="none", save_strategy="no",
        disable_tqdm=True, per_device_train_batch_size=facts["batch"], max_length=None,
        num_train_epochs=1, learning_rate=facts["rate"], lr_scheduler_type="constant",
        adam_beta2=BETAS[1],
        train_sampling_strategy="sequential", **given,
    )  # fmt: skip
    torch.manual_seed(1)
    model = load(folder)
    torch.manual_seed(1)
    SFTTrainer(
        model=model, args=arguments, peft_config=adapter() if lora else None,
        train_dataset=Dataset.from_dict({"input_ids": rows_of(folder).tolist()}),
        processing_class=AutoTokenizer.from_pretrained(folder), callbacks=[Watch()],
    ).train()  # fmt: skip


def from_scratch(turns: Turns, folder: Path, *, optimizer: str) -> None:
    """The workbench's update of a model from nothing; "muon" is the one that it takes by itself."""
    from workbench.pretrain._loop import Run
    from workbench.pretrain._optimizer import Updates
    from workbench.pretrain._step import Step, step_precision
    from workbench.work import steady_heap, use_cores

    threads, before, facts = use_cores(), resident(), facts_of(folder)
    rows, rate = rows_of(folder), facts["rate"]
    updates = Updates() if optimizer == "muon" else Updates("adamw", rate, rate, 0.0)
    run = Run(load(folder), "", {}, "auto", updates)
    run.model.train()
    with steady_heap():
        run.precision = step_precision(run.model, rows[: facts["batch"]])
        run.quick = Step(run.model, run.precision)
        turns.begin(before=before, threads=threads, precision=run.precision)
        for batch in rows.split(facts["batch"]):
            loss = run.learn(batch)
            run.optimizers.step(1.0, run.precision)
            turns.step(loss)


def adapting(turns: Turns, folder: Path) -> None:
    """The workbench's fine-tuning with an adapter: all of it, but rows that are given."""
    import numpy as np

    from workbench.jobs import JobContext
    from workbench.learn._core import learn
    from workbench.learn._curve import Curve
    from workbench.learn._encode import Counts, Encoded
    from workbench.learn._network import chosen_precision, load_network
    from workbench.learn._rows import Rows
    from workbench.learn._settings import Settings
    from workbench.work import use_cores

    class Taking(Curve):
        def add(self, loss: float, tokens: int, seconds: float) -> None:
            super().add(loss, tokens, seconds)
            turns.step(loss)

    threads, before, facts = use_cores(), resident(), facts_of(folder)
    table = rows_of(folder).numpy()
    count, context = table.shape
    settings = Settings(
        learning_rate=facts["rate"], batch=facts["batch"], rank=RANK, alpha=2.0 * RANK,
        schedule="constant", warmup_steps=0, context=context, seed=1,
        checkpoint_every=1_000_000, max_steps=count // facts["batch"],
    )  # fmt: skip
    encoded = Encoded(
        table.astype(np.int32).ravel(), np.ones(table.size, bool),
        np.arange(count + 1, dtype=np.int64) * context,
        Counts(count, table.size, table.size),
    )  # fmt: skip
    rows = Rows(encoded, [[n] for n in range(count)], facts["batch"], total=count, packed=True)
    rows.order = 0, np.arange(count)  # as the others read them
    precision = chosen_precision(folder, settings)
    network = load_network(folder, settings, precision)
    turns.begin(before=before, threads=threads, precision=precision)
    job = JobContext("race", folder)
    learn(job, folder, network, rows, None, settings, Taking(precision=precision))


WAYS: dict[str, Callable[[Turns, Path], None]] = {
    "trl": lambda turns, folder: trl(turns, folder, lora=False, plain_fp32=False),
    "trl-fp32": lambda turns, folder: trl(turns, folder, lora=False, plain_fp32=True),
    "plain-fp32": lambda turns, folder: plain(turns, folder, lora=False, precision="fp32"),
    "plain-bf16": lambda turns, folder: plain(turns, folder, lora=False, precision="bf16"),
    "ours": lambda turns, folder: from_scratch(turns, folder, optimizer="adamw"),
    "ours-muon": lambda turns, folder: from_scratch(turns, folder, optimizer="muon"),
    "lora-trl": lambda turns, folder: trl(turns, folder, lora=True, plain_fp32=False),
    "lora-trl-fp32": lambda turns, folder: trl(turns, folder, lora=True, plain_fp32=True),
    "lora-plain-fp32": lambda turns, folder: plain(turns, folder, lora=True, precision="fp32"),
    "lora-plain-bf16": lambda turns, folder: plain(turns, folder, lora=True, precision="bf16"),
    "lora-ours": adapting,
}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print belongs in the log
    turns = Turns(answers)
    WAYS[sys.argv[1]](turns, Path(sys.argv[2]))
    raise SystemExit("The rows were used up before the turns were.")


if __name__ == "__main__":
    main()

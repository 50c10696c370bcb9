"""Ways of training side by side: tokens a second, loss, share of the machine's peak, memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

_RIVALS = Path(__file__).with_name("training_rivals.py")
_NAMES = {
    "trl": "TRL SFTTrainer as it comes",
    "trl-fp32": "TRL SFTTrainer, fp32, no checkpointing",
    "plain-fp32": "plain loop, fp32",
    "plain-bf16": "plain loop, bf16 autocast",
    "ours": "ours, with AdamW",
    "ours-muon": "ours as it comes, with Muon",
}


@dataclass(frozen=True)
class Race:
    """One model that is trained in several ways."""

    title: str
    ways: tuple[str, ...]
    width: int
    layers: int
    inner: int
    heads: int
    batch: int
    context: int
    rate: float
    lora: bool = False
    vocabulary: int = 4096

    def flops(self) -> float:
        """Floating-point operations that a token needs: forward, and backward to all that learns.

        Twice the matrices' weights forward, twice back to the activations, twice to the weights,
        which frozen ones do not need; attention over half of the context, since it looks back.
        """
        head = self.width // self.heads
        inside = self.layers * self.width * (2 * self.width + self.heads * head + 3 * self.inner)
        matrices = inside + self.vocabulary * self.width
        attention = 2 * self.layers * self.width * self.context
        return (4 if self.lora else 6) * matrices + 3 * attention


SCRATCH = Race(
    "From scratch", ("trl", "trl-fp32", "plain-fp32", "plain-bf16", "ours", "ours-muon"),
    width=256, layers=6, inner=768, heads=4, batch=16, context=256, rate=1e-3,
)  # fmt: skip
LORA = Race(
    "LoRA of rank 16", tuple(f"lora-{way}" for way in SCRATCH.ways[:5]),
    width=512, layers=6, inner=1536, heads=8, batch=8, context=256, rate=2e-3, lora=True,
)  # fmt: skip


@dataclass
class Way:
    """A way of training in its process, and what it told."""

    name: str
    process: subprocess.Popen[str]
    seconds: list[float] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def tell(self, steps: int | None) -> None:
        """Allow so many steps, or end it."""
        assert self.process.stdin is not None
        if steps is None:
            self.process.stdin.close()
        else:
            self.process.stdin.write(f"{steps}\n")
            self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Its next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended before its time, with {self.process.wait()}.")
        facts: dict[str, Any] = json.loads(line)
        self.facts.update(facts)
        return facts


def report(quick: bool) -> str:
    """Both races, and how far each goal was reached."""
    from workbench.precision import matmul_peak
    from workbench.work import use_cores

    use_cores()
    peak = {kind: matmul_peak(kind) for kind in ("fp32", "bf16")}
    rounds, steps = (3, 10) if quick else (8, 10)
    parts = [
        f"Matrix multiplication peaks here: {peak['fp32'] / 1e9:.0f} GFLOP/s in fp32, "
        f"{peak['bf16'] / 1e9:.0f} in bf16; MFU is the share of the higher one that a way's "
        "tokens needed. The first round of each way is not timed."
    ]
    for race in (SCRATCH, LORA):
        with TemporaryDirectory(prefix="workbench-race-") as folder:
            prepare(race, Path(folder), rounds * steps)
            ways = run(race, Path(folder), rounds, steps)
        parts.append(_table(race, ways, max(peak.values()), rounds * steps))
    return "\n\n".join(parts)


def prepare(race: Race, folder: Path, steps: int) -> None:
    """The model with random weights, its tokenizer, and rows of Python's standard library."""
    import torch
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    from workbench.pretrain._rows import Stream, tensor
    from workbench.pretrain._tokenizer import encode_texts, save_tokenizer, train_tokenizer
    from workbench.starter._corpus import read_corpus

    texts = [source.text for source in read_corpus(limit=300).training]
    tokenizer = train_tokenizer(texts, race.vocabulary)
    stream = Stream.pack(encode_texts(tokenizer, texts), race.context, (0,))
    rows = tensor(stream.draw(0, (steps + 1) * race.batch)).to(torch.int32)
    save_file({"rows": rows[:, : race.context].contiguous()}, folder / "rows.safetensors")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=race.vocabulary, hidden_size=race.width, intermediate_size=race.inner,
        num_hidden_layers=race.layers, num_attention_heads=race.heads,
        num_key_value_heads=race.heads // 2, max_position_embeddings=race.context,
        tie_word_embeddings=True, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    save_tokenizer(tokenizer, folder, race.context)
    (folder / "race.json").write_text(json.dumps({"batch": race.batch, "rate": race.rate}))


def run(race: Race, folder: Path, rounds: int, steps: int) -> list[Way]:
    """Start all, let them take turns, end them."""
    with ExitStack() as stack:
        ways = [stack.enter_context(started(name, folder)) for name in race.ways]
        for number in range(rounds):
            for way in ways[::-1] if number % 2 else ways:
                way.tell(steps)
                seconds = way.hear()["seconds"]
                if number:  # the first round warms up
                    way.seconds += seconds
        for way in ways:
            way.tell(1)  # only now TRL tells the loss of the ten steps before
            way.hear()
            way.tell(None)
            way.hear()
    return ways


@contextmanager
def started(name: str, folder: Path) -> Iterator[Way]:
    """The way's process, loaded and waiting; ended at the end."""
    process = subprocess.Popen(
        [sys.executable, str(_RIVALS), name, str(folder)], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=(folder / f"{name}.log").open("w"),
    )  # fmt: skip
    try:
        way = Way(name, process)
        way.hear()
        yield way
    finally:
        process.kill()
        process.wait()


def _table(race: Race, ways: Sequence[Way], peak: float, steps: int) -> str:
    tokens = race.batch * race.context
    speed = {way.name.removeprefix("lora-"): tokens / median(way.seconds) for way in ways}
    lines = [
        f"### {race.title}\n",
        f"A Llama of {race.layers} layers of {race.width}, batches of {race.batch} x "
        f"{race.context} tokens, AdamW at {race.rate:g}, {steps} steps.\n",
        "| way | tokens/s | ours is faster | MFU | loss of the first ten steps | of the last ten "
        "| peak memory, MB | of it above the start, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way in ways:
        name = way.name.removeprefix("lora-")
        losses, most = way.facts["losses"], way.facts["peak"]
        lines.append(
            f"| {_NAMES[name]} | {speed[name]:,.0f} | {speed['ours'] / speed[name]:.2f} x "
            f"| {race.flops() * speed[name] / peak:.0%} | {losses[0]:.3f} | {losses[-1]:.3f} "
            f"| {most >> 20} | {(most - way.facts['before']) >> 20} |"
        )
    return "\n".join(lines)

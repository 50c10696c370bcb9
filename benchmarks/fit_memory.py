"""Predicted against measured peak memory of the engine's child process.

Each case writes a model of a real shape with random weights, predicts from its header, then
loads it as the engine does (`workbench.embedded._child`, through its `Runner`) and lets every
slot at once read a prompt of random tokens (half its context, at most 768 tokens; embedding
models all of it) and write 8. Measured is VmHWM of the child, the most that was ever resident.

Rivals, from the same file in the same run: two rules of thumb, `hf-mem` and `xllamacpp`'s own
`estimate_gpu_layers`, asked for the memory of all layers on one very large card.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

from fit_cases import DERIVED, HELD_OUT, SHAPES, Case
from shaped_models import write_network

from workbench.embedded._runner import Runner, Settings
from workbench.fit import Load, Network, computed_network, memory, network_of
from workbench.gguf import read_header

WRITTEN = 8  # tokens of an answer
OURS, THUMB, NAIVE, PEER, HF = "ours", "file x 1.2", "file + KV", "xllamacpp", "hf-mem"
WHO = (OURS, THUMB, NAIVE, PEER, HF)


@dataclass(frozen=True)
class Row:
    """One case: bytes measured, and predicted by each."""

    case: Case
    held_out: bool
    file: int
    measured: int
    predicted: Mapping[str, float]
    low: float
    high: float

    def error(self, who: str = OURS) -> float:
        return self.predicted[who] / self.measured - 1


def rows(quick: bool = False) -> Iterator[Row]:
    """Run the cases, one model at a time."""
    for held_out, cases in ((False, DERIVED), (True, HELD_OUT)):
        for case in cases:
            if case.quick or not quick:
                yield _row(case, held_out)


def _row(case: Case, held_out: bool) -> Row:
    shape = SHAPES[case.shape]
    load = case.load
    if load.embedding:
        load = replace(load, batch=load.context, prompt_cache=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        network = computed_network(shape.architecture, case.quantisation)
        write_network(path, network, shape.tokenizer, shape.more)
        network = network_of(read_header(path))
        predicted = memory(network, load).ram
        file = path.stat().st_size
        others = rivals(path, network, load)
        measured = measure(path, load, network.architecture.vocabulary)
    estimates = {OURS: predicted.value, **others}
    return Row(case, held_out, file, measured, estimates, predicted.low, predicted.high)


def measure(path: Path, load: Load, vocabulary: int, threads: int = 1) -> int:
    """Peak resident bytes of a child that loads this file and answers in all its slots."""
    return asyncio.run(_measure(path, load, vocabulary, threads))


async def _measure(path: Path, load: Load, vocabulary: int, threads: int) -> int:
    runner = Runner(_settings(path, load))
    chance = random.Random(0)
    with _quiet():
        await runner.start(300, threads)
        try:
            prompts = (_prompt(load, vocabulary, chance) for _ in range(load.slots))
            await asyncio.gather(*(_ask(runner, load, prompt) for prompt in prompts))
            return peak(runner.pid)
        finally:
            await runner.stop()


def peak(process: int) -> int:
    """The most bytes of this process that were ever resident (Linux)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def _settings(path: Path, load: Load) -> Settings:
    return Settings(
        model=str(path),
        adapters=(),
        chat_template="",
        embedding=load.embedding,
        num_ctx=load.context,
        parallel=load.slots,
        num_batch=load.batch,
        num_gpu=load.gpu_layers,
        main_gpu=0,
        num_thread=0,
        use_mmap=load.mmap,
        cache_type=load.cache_type,
        flash_attention=load.flash_attention,
        prompt_cache_mib=load.prompt_cache >> 20,
    )


def _prompt(load: Load, vocabulary: int, chance: random.Random) -> list[int]:
    room = load.context if load.embedding else min(load.context // 2, 768)
    return [chance.randrange(min(300, vocabulary // 2), vocabulary) for _ in range(room - WRITTEN)]


async def _ask(runner: Runner, load: Load, prompt: list[int]) -> None:
    if load.embedding:
        await runner.call("/embedding", {"input": prompt})
        return
    body = {"prompt": prompt, "n_predict": WRITTEN, "ignore_eos": True}
    await runner.call("/completion", body)


@contextmanager
def _quiet() -> Iterator[None]:
    """llama.cpp logs to the child's stderr, which is ours."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


# Rivals


def rivals(path: Path, network: Network, load: Load) -> dict[str, float]:
    """What others predict for the same file and load, as far as they can."""
    shape, file = network.architecture, path.stat().st_size
    head = shape.width // max(shape.heads, 1)
    heads = max(shape.kv_heads, default=0)
    cache = 2 * shape.layers * heads * head * load.context * load.slots * 2
    found: dict[str, float] = {THUMB: 1.2 * file, NAIVE: float(file + cache)}
    with suppress(Exception), redirect_stdout(StringIO()):  # not all know all architectures
        found[PEER] = _xllamacpp(path, load)
    with suppress(Exception):
        found[HF] = _hf_mem(path, load)
    return found


def _xllamacpp(path: Path, load: Load) -> float:
    from xllamacpp import estimate_gpu_layers

    card = {"name": "card", "memory_free": 1 << 40, "memory_total": 1 << 40, "memory_min": 0}
    found = estimate_gpu_layers(
        [card], str(path), [], load.context * load.slots, load.batch, load.slots, load.cache_type
    )
    return float(found.total_size)


def _hf_mem(path: Path, load: Load) -> float:
    """Its parser of headers, which needs no network; it is told the context and cache type."""
    from hf_mem.gguf.metadata import parse_gguf_metadata

    with path.open("rb") as file:
        head = file.read(read_header(path).data_offset)
    found = parse_gguf_metadata(
        head, True, load.context * load.slots, load.cache_type.upper(), batch_size=1
    )
    weights = sum(component.bytes_count for component in found.components.values())
    return float(weights + (found.kv_cache.cache_size if found.kv_cache else 0))


# The report


def report(quick: bool = False) -> str:
    """Run the cases and say in Markdown how far each predictor was off."""
    found = []
    for row in rows(quick):
        found.append(row)
        print(f"{_name(row)}: {row.error():+.1%}", flush=True)
    seen = [row for row in found if not row.held_out]
    held = [row for row in found if row.held_out]
    parts = ["### How far off\n", *_summary(seen, held), ""]
    parts += ["### Shapes that the formulas were derived with\n", *_table(seen), ""]
    parts += ["### Shapes that were held out\n", *_table(held)]
    return "\n".join(parts)


def _summary(seen: Sequence[Row], held: Sequence[Row]) -> list[str]:
    lines = [
        "| predictor | cases | median error | 95th percentile | largest | median, held out |",
        "|---|---|---|---|---|---|",
    ]
    for who in WHO:
        errors = [abs(row.error(who)) for row in (*seen, *held) if who in row.predicted]
        apart = [abs(row.error(who)) for row in held if who in row.predicted]
        if errors and apart:
            cells = (who, len(errors), f"{statistics.median(errors):.1%}", f"{_p95(errors):.1%}")
            lines.append(_line(*cells, f"{max(errors):.1%}", f"{statistics.median(apart):.1%}"))
    inside = sum(row.low <= row.measured <= row.high for row in (*seen, *held))
    count = len(seen) + len(held)
    return [*lines, "", f"The measurement lay inside our interval in {inside} of {count} cases."]


def _p95(errors: Sequence[float]) -> float:
    if len(errors) < 2:
        return max(errors)
    return statistics.quantiles(errors, n=20, method="inclusive")[-1]


def _table(found: Sequence[Row]) -> list[str]:
    lines = [
        "| model | weights | context | slots | KV | file MB | measured MB | predicted MB "
        "| error | " + " | ".join(WHO[1:]) + " |",
        "|---" * (9 + len(WHO[1:])) + "|",
    ]
    for row in found:
        load = row.case.load
        cells = [row.case.shape, row.case.quantisation + ", mapped" * load.mmap, load.context]
        cells += [load.slots, "none" if load.embedding else load.cache_type]
        sizes = (row.file, row.measured, row.predicted[OURS])
        cells += [f"{size / 1e6:.0f}" for size in sizes]
        errors = [f"{row.error(who):+.1%}" if who in row.predicted else "" for who in WHO]
        lines.append(_line(*cells, *errors))
    return lines


def _name(row: Row) -> str:
    load = row.case.load
    return f"{row.case.shape}, {row.case.quantisation}, {load.slots} x {load.context}"


def _line(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"

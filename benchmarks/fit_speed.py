"""Predicted against measured tokens per second of the engine's child process.

A calibration like the user's runs first and again between the cases; each case is predicted from
the newest one before it. A case writes a model of a real shape with random weights, predicts from
its header, then loads it as the engine does (`workbench.embedded._child`, through its `Runner`,
with all threads) and asks for `PROMPT` random tokens to be read and `WRITTEN` to be written,
three times after a first one. Measured are llama.cpp's own clocks, in the middle of the three.

Rival, in the same run: the bandwidth of main memory, as calibrated, divided by the size of the
file, times 0.55, as llmfit (1.1) estimates the writing speed. It says nothing of reading.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fit_cases import SHAPES
from fit_memory import _quiet, _settings
from shaped_models import write_network

from workbench.embedded._runner import Runner
from workbench.fit import Estimate, Load, computed_network, network_of
from workbench.gguf import read_header
from workbench.machines import Calibration, run_calibration, speed

PROMPT, WRITTEN, REPEATS = 512, 64, 3
_EVERY = 6  # cases between two calibrations


@dataclass(frozen=True)
class Case:
    """One load of one shape, and what it is asked."""

    shape: str
    quantisation: str
    quick: bool = False
    prompt: int = PROMPT
    cache_type: str = "f16"


@dataclass(frozen=True)
class Row:
    """Tokens per second of one case."""

    case: Case
    file: int
    prompt: float
    generation: float
    predicted_prompt: Estimate
    predicted_generation: Estimate
    naive: float

    @property
    def errors(self) -> tuple[float, float, float]:
        """Of reading, of writing, of the rival's writing."""
        return (
            self.predicted_prompt.value / self.prompt - 1,
            self.predicted_generation.value / self.generation - 1,
            self.naive / self.generation - 1,
        )


CASES = (
    Case("smollm 135M", "Q8_0", quick=True),
    Case("qwen2.5 0.5B", "Q4_0", quick=True),
    Case("llama 3.2 1B, 6 layers", "Q4_K_M"),
    Case("qwen3 30B-A3B, 4 layers", "Q4_K_M"),
    Case("gemma 3 1B, 12 layers", "Q8_0"),
    Case("smollm2 360M", "Q4_K_M", quick=True),
    Case("granite 3 1B-A400M", "Q4_K_M", quick=True),
    Case("qwen3 0.6B", "Q6_K", prompt=2048),
    Case("phi 3 mini, 3 layers", "Q4_K_M"),
    Case("gemma 3 270M", "Q8_0", quick=True),
    Case("olmo 2 1B, narrow", "F16"),
    Case("starcoder2 3B, 4 layers", "Q5_K_M"),
    Case("qwen2.5 0.5B", "Q4_K_M", prompt=1536, cache_type="q8_0"),
    Case("mixtral, 6 narrow layers", "Q5_K_M"),
    Case("deepseek v2 lite, 4 layers", "Q4_K_M"),
    Case("gpt-oss 20B, 4 layers, 8 experts", "Q8_0"),
    Case("mistral 7B, 2 layers", "Q5_0"),
    Case("stablelm 2 1.6B, 6 layers", "Q4_1"),
)


def rows(quick: bool = False) -> Iterator[tuple[Row, Calibration]]:
    """Run the cases, one model at a time, each with the calibration that it was predicted from."""
    cases = [case for case in CASES if case.quick or not quick]
    with _home():
        for number, case in enumerate(cases):
            if number % _EVERY == 0:
                calibration = run_calibration()
                print(_summary(calibration), flush=True)
            yield _row(case, calibration), calibration


@contextmanager
def _home() -> Iterator[None]:
    """Calibrations go into a folder of their own, not the user's."""
    kept = os.environ.get("WORKBENCH_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WORKBENCH_HOME"] = folder
        try:
            yield
        finally:
            os.environ.pop("WORKBENCH_HOME")
            if kept is not None:
                os.environ["WORKBENCH_HOME"] = kept


def _row(case: Case, calibration: Calibration) -> Row:
    shape = SHAPES[case.shape]
    load = Load(context=case.prompt + 512, cache_type=case.cache_type, prompt_cache=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        network = computed_network(shape.architecture, case.quantisation)
        write_network(path, network, shape.tokenizer, shape.more)
        network = network_of(read_header(path))
        found = speed(network, load, calibration, prompt=case.prompt, written=WRITTEN)
        assert found is not None
        file = path.stat().st_size
        vocabulary = network.architecture.vocabulary
        measured = asyncio.run(_measure(path, case, load, vocabulary, calibration.threads))
    naive = 0.55 * calibration.bandwidth / file
    return Row(case, file, *measured, found.prompt, found.generation, naive)


async def _measure(
    path: Path, case: Case, load: Load, vocabulary: int, threads: int
) -> tuple[float, float]:
    """Tokens per second of reading and of writing."""
    runner = Runner(replace(_settings(path, load), num_thread=threads))
    chance = random.Random(0)
    with _quiet():
        await runner.start(300, threads)
        try:
            await _ask(runner, 32, 4, vocabulary, chance)
            timings = [
                await _ask(runner, case.prompt, WRITTEN, vocabulary, chance) for _ in range(REPEATS)
            ]
        finally:
            await runner.stop()
    names = ("prompt_per_second", "predicted_per_second")
    prompt, generation = (statistics.median(one[name] for one in timings) for name in names)
    return prompt, generation


async def _ask(
    runner: Runner, prompt: int, written: int, vocabulary: int, chance: random.Random
) -> dict[str, Any]:
    tokens = [chance.randrange(min(300, vocabulary // 2), vocabulary) for _ in range(prompt)]
    body = {
        "prompt": tokens, "n_predict": written, "ignore_eos": True, "cache_prompt": False,
        "temperature": 0.8, "top_k": 40, "top_p": 0.9, "min_p": 0.0, "typical_p": 1.0,
    }  # fmt: skip
    answer: dict[str, Any] = await runner.call("/completion", body)
    return dict(answer["timings"])


# The report


def report(quick: bool = False) -> str:
    """Run the cases and say in Markdown how far the predictions were off."""
    found, calibrations = [], []
    for row, calibration in rows(quick):
        found.append(row)
        if calibration not in calibrations:
            calibrations.append(calibration)
        reading, writing, rival = row.errors
        print(f"{_name(row.case)}: {reading:+.1%} {writing:+.1%} ({rival:+.1%})", flush=True)
    lines = [_about(found), "", *_table(found), "", *map(_summary, calibrations)]
    return "\n".join(lines)


def _about(found: Sequence[Row]) -> str:
    kinds = ("reading a prompt", "writing", "writing, bandwidth / file x 0.55 (llmfit's formula)")
    lines = [
        f"{len(found)} loads of {len({SHAPES[row.case.shape].architecture.name for row in found})} "
        f"architectures; {PROMPT} tokens read and {WRITTEN} written where nothing else is said.",
        "",
        "| | median error | 95 % below | within 15 % | median, with its sign |",
        "|---|---|---|---|---|",
    ]
    for number, kind in enumerate(kinds):
        errors = [row.errors[number] for row in found]
        sizes = sorted(map(abs, errors))
        most = sizes[min(len(sizes) - 1, round(0.95 * len(sizes)))]
        within = sum(size <= 0.15 for size in sizes) / len(sizes)
        lines.append(
            f"| {kind} | {statistics.median(sizes):.1%} | {most:.1%} | {within:.0%} "
            f"| {statistics.median(errors):+.1%} |"
        )
    inside = sum(
        estimate.low <= value <= estimate.high
        for row in found
        for estimate, value in (
            (row.predicted_prompt, row.prompt),
            (row.predicted_generation, row.generation),
        )
    )
    return "\n".join([*lines, "", f"{inside} of {2 * len(found)} lay in their intervals."])


def _table(found: Sequence[Row]) -> list[str]:
    lines = [
        "| model | file | reads, tokens/s | predicted | error | writes, tokens/s | predicted "
        "| error | llmfit's | error |",
        "|---" * 10 + "|",
    ]
    for row in found:
        reading, writing, rival = row.errors
        lines.append(
            f"| {_name(row.case)} | {row.file / 1e6:.0f} MB | {row.prompt:.0f} "
            f"| {row.predicted_prompt.value:.0f} | {reading:+.0%} | {row.generation:.1f} "
            f"| {row.predicted_generation.value:.1f} | {writing:+.0%} | {row.naive:.1f} "
            f"| {rival:+.0%} |"
        )
    return lines


def _name(case: Case) -> str:
    words = [case.shape, case.quantisation]
    words += [f"{case.prompt} tokens"] * (case.prompt != PROMPT)
    words += [f"KV {case.cache_type}"] * (case.cache_type != "f16")
    return " ".join(words)


def _summary(one: Calibration) -> str:
    return f"Calibrated in {one.seconds:.0f} s: {one.summary}."

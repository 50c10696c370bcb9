"""The same questions through lm-eval and through ours, to the same engine with the same model.

    python benchmarks/evaluation_lm_eval.py [--quick]

lm-eval asks as its users have it ask a server: `local-completions` and `local-chat-completions`
with the engine's /v1, in a process of its own; once as it comes (one request at a time) and once
with `num_concurrent` set to the engine's slots (4 unless OLLAMA_NUM_PARALLEL says otherwise). It
needs `pip install 'lm-eval[api]'`. Ours is `workbench.bench.measure`. A task's prompts
are the same texts, greedy, with as many tokens at most. The model is loaded anew before each run,
so that nobody finds a prompt in a cache; the ways take turns in changing order.

Counted is the time from the first request to the last answer, which favours lm-eval: reading its
tasks and starting is left out, and so is our canary; our storing of each answer is not. A ratio is
made of each round, and the median counts. Weights are random (speed does not read them), so scores
say nothing of quality, only whether both score the same answers alike. Tokens of prompts are bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import engine as engine_benchmark
from evaluation_lm_eval_ways import (
    KINDS,
    Kind,
    Told,
    question,
    through_lm_eval,
    through_ours,
    write_task,
)
from evaluation_speed import TENTH
from random_models import Shape, write_model

from workbench.engines import Engine

HALF = engine_benchmark.SHAPES[1]
STARTER = engine_benchmark.SHAPES[0]
TEMPLATE = "{{ range .Messages }}<{{ .Role }}> {{ .Content }}\n{{ end }}<assistant> "


@dataclass(frozen=True)
class Plan:
    """What is measured of one model; `only` one of the tasks, or all."""

    shape: Shape
    slots: int
    count: int  # samples of a task
    rounds: int
    only: str = ""


PLANS = (
    Plan(STARTER, 4, 60, 5),
    Plan(TENTH, 4, 60, 3),
    Plan(HALF, 4, 24, 3),
    Plan(STARTER, 8, 60, 5, "completions"),
    Plan(TENTH, 8, 60, 3, "completions"),
    Plan(HALF, 8, 24, 3, "completions"),
)


def compare(url: str, folder: Path, kind: Kind, plan: Plan) -> list[str]:
    """Rows of the table."""
    model, slots, count = f"{plan.shape.name}-{kind.mode}", plan.slots, plan.count
    write_task(folder, kind, count)
    ways = {
        "lm-eval as it comes": lambda: through_lm_eval(url, model, folder, kind, 1),
        f"lm-eval, num_concurrent={slots}": lambda: through_lm_eval(
            url, model, folder, kind, slots
        ),
        "ours": lambda: through_ours(url, model, folder, kind),
    }
    found: dict[str, list[Told]] = {name: [] for name in ways}
    for number in range(plan.rounds):
        names = list(ways)[number % 3 :] + list(ways)[: number % 3]
        for name in names:
            with Engine(url) as engine:
                engine.unload(model)
                engine.load(model)
            found[name].append(ways[name]())
    ours = found.pop("ours")
    rows = []
    for name, theirs in found.items():
        pairs = list(zip(theirs, ours, strict=True))
        ratio = statistics.median(a.seconds / b.seconds for a, b in pairs)
        whole = statistics.median(a.whole / b.whole for a, b in pairs)
        texts = sum(x == y for a, b in pairs for x, y in zip(a.outputs, b.outputs, strict=True))
        scores = sum(x == y for a, b in pairs for x, y in zip(a.scores, b.scores, strict=True))
        cells = [plan.shape.name, str(slots), kind.title, name]
        cells += [f"{statistics.median(count / t.seconds for t in w):.2f}" for w in (theirs, ours)]
        cells += [f"{ratio:.2f}", f"{kind.goal:.1f}", "yes" if ratio >= kind.goal else "no"]
        cells += [f"{whole:.2f}", _of(texts, len(pairs) * count), _of(scores, len(pairs) * count)]
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _of(some: int, all: int) -> str:
    return f"all {all:,}" if some == all else f"{some:,} of {all:,}"


def report(quick: bool) -> str:
    """The tables, as Markdown."""
    plans = (Plan(STARTER, 4, 24, 3),) if quick else PLANS
    head = (
        "model | slots | task | lm-eval | its samples/s | our samples/s | ratio | goal | reached | "
    )
    head += "ratio with starting | equal answers | equal scores"
    lines = [f"| {head} |", "|---" * 12 + "|"]
    for plan in plans:
        lines += _rows(plan)
    counts = sorted({f"{plan.count} samples and {plan.rounds} rounds" for plan in plans})
    told = f"Medians of {' or '.join(counts)}. {_lengths()} {_LIMIT}"
    return "\n".join([told, "", *lines])


_LIMIT = (
    "The goal for shared examples is out of reach here: lm-eval's requests find the examples in "
    "the engine's prompt cache as ours do, so both have the same left to compute for a sample, its "
    "own tokens and its answer, and two cores compute those of several samples at once hardly "
    "faster than one after the other."
)


def _lengths() -> str:
    parts = [
        f"{kind.title}: about {len(question(kind, 1)) * (1 + kind.shots):,} tokens read, "
        f"{kind.written} written"
        for kind in KINDS
    ]
    return "; ".join(parts) + "."


@contextlib.contextmanager
def _served(home: Path, slots: int) -> Iterator[str]:
    """The embedded engine with so many slots a model; its URL."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OLLAMA_", "WORKBENCH_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.embedded", "--port", "0", "--home", str(home)],
        env=kept | {"OLLAMA_NUM_PARALLEL": str(slots)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(20)


def _rows(plan: Plan) -> list[str]:
    rows: list[str] = []
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        folder = Path(place)
        os.environ["WORKBENCH_HOME"] = str(folder / "bench")
        url = stack.enter_context(_served(folder / "home", plan.slots))
        file = folder / f"{plan.shape.name}.gguf"
        write_model(file, plan.shape)
        # as many threads as the engine takes where nothing else runs
        threads = 1 if file.stat().st_size < 2**25 else os.cpu_count() or 1
        with Engine(url) as engine:
            # the engine's /v1/completions puts a prompt into the template, where there is one
            for mode, template in (("complete", None), ("chat", TEMPLATE)):
                name, fixed = f"{plan.shape.name}-{mode}", {"num_thread": threads}
                *_, last = engine.create(name, files=file, parameters=fixed, template=template)
                assert last.status == "success"
        for kind in KINDS:
            if plan.only in {"", kind.name}:
                rows += compare(url, folder, kind, plan)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    print(report(parser.parse_args().quick))


if __name__ == "__main__":
    main()

"""The price tag against what happened: predicted before the start, measured in the training.

Each training is a process of its own, whose time goes from its first line to its last and whose
memory nobody else adds to. None of these models, datasets and settings was used to set the
formulas' constants, and no training corrects the next one's price here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from training_speed import Race, prepare

_PROGRAM = """
import json, sys, time
began = time.perf_counter()
from pathlib import Path
from workbench.jobs import JobContext
from workbench.work import peak_memory
recipe, training, folder = sys.argv[1:]
if recipe == "base":
    from workbench.pretrain import pretrain as train
elif recipe == "finetune":
    from workbench.recipes import finetune as train
else:
    from workbench.recipes import preferences as train
measured = train(JobContext("benchmark", Path(folder)), training=training)
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "memory": peak_memory(), "learning": measured["seconds"]}))
"""


@dataclass(frozen=True)
class Case:
    """A training that is priced and then made."""

    title: str
    recipe: str
    form: str
    settings: dict[str, Any]
    quick: bool = True
    shape: Race | None = None  # of the base model
    examples: int = 600
    held_out: int = 60
    facts: dict[str, Any] = field(default_factory=dict)


def _shape(width: int, layers: int, context: int = 1024) -> Race:
    return Race(
        "", (), width=width, layers=layers, inner=3 * width, heads=width // 64, batch=1,
        context=context, rate=0.0,
    )  # fmt: skip


NARROW, WIDE = _shape(384, 5), _shape(640, 7)
CASES = (
    Case("LoRA, packed", "finetune", "completion",
         {"preset": "lora", "batch": 8, "context": 384, "max_steps": 60}, shape=WIDE),
    Case("all weights, not packed", "finetune", "completion",
         {"preset": "balanced", "batch": 8, "context": 512, "packing": False, "max_steps": 120},
         shape=NARROW),
    Case("from nothing, depth 2", "base", "text",
         {"depth": 2, "steps": 150, "vocab_size": 2048}),
    Case("preferences", "preferences", "preference",
         {"preset": "preferences", "batch": 2, "context": 384, "max_steps": 40}, shape=NARROW),
    Case("LoRA of rank 64, fp32, accumulated", "finetune", "completion",
         {"preset": "lora-large", "batch": 2, "accumulation": 4, "context": 768,
          "precision": "fp32", "max_steps": 40}, quick=False, shape=WIDE),
    Case("LoRA on text", "finetune", "text",
         {"preset": "lora-small", "batch": 4, "context": 1024, "max_steps": 60},
         quick=False, shape=NARROW),
    Case("all weights, text", "finetune", "text",
         {"preset": "high_quality", "batch": 4, "context": 512, "max_steps": 80},
         quick=False, shape=WIDE),
    Case("from nothing, depth 5", "base", "text",
         {"depth": 5, "steps": 40}, quick=False),
)  # fmt: skip


def report(quick: bool) -> str:
    """All cases in a home of their own."""
    with TemporaryDirectory(prefix="workbench-price-") as folder:
        os.environ["WORKBENCH_HOME"] = folder
        cases = [case for case in CASES if case.quick or not quick]
        for case in cases:
            _measure(case, Path(folder))
    lines = [
        "| training | seconds | predicted | error | interval | of them learning | peak memory, MB "
        "| predicted | error | interval | priced in, s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for case in cases:
        lines.append(_row(case.facts))
    return "\n".join([_summary(cases), "", *lines])


def _measure(case: Case, home: Path) -> None:
    from workbench.lineage import begin
    from workbench.price import price
    from workbench.train import plan

    dataset = _dataset(case)
    base = _base(case.shape, home) if case.shape else ""
    planned = plan(case.recipe, dataset=dataset, base=base, settings=case.settings)
    began = time.perf_counter()
    priced = price(case.recipe, planned.settings, planned.base, planned.dataset)
    spent = time.perf_counter() - began
    run = begin(
        case.recipe, "x", dataset=planned.dataset, settings=asdict(planned.settings), base=base
    )  # type: ignore[arg-type]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, case.recipe, run.id, str(run.folder)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
    )  # fmt: skip
    measured = json.loads(done.stdout.splitlines()[-1])
    case.facts.update(title=case.title, price=priced, pricing=spent, **measured)
    print(_row(case.facts), flush=True)


def _base(shape: Race, home: Path) -> str:
    folder = home / f"base-{shape.width}-{shape.layers}"
    if not folder.exists():
        folder.mkdir()
        prepare(shape, folder, 0)
    return str(folder)


def _dataset(case: Case) -> str:
    """Functions of Python's standard library, by what they are to be learnt as."""
    from workbench import data
    from workbench.examples import Example

    with data.writing(case.form, case.form, recipe={"kind": "benchmark"}) as draft:
        for n, fields in enumerate(_fields(case.form)):
            if n >= case.examples + case.held_out:
                break
            split = "train" if n < case.examples else "validation"
            draft.add(Example(case.form, fields, {"line": n}), split)
    return str(draft.made.label)


def _fields(form: str) -> Iterator[dict[str, Any]]:
    from workbench.starter._corpus import read_corpus
    from workbench.starter._functions import functions

    sources = read_corpus(limit=300).training
    if form == "text":
        yield from ({"text": source.text} for source in sources)
        return
    found = list(functions(sources))
    for one, other in pairwise(found):
        question = f"Write {one.call}. {one.docstring}\n"
        if form == "completion":
            yield {"prompt": question, "completion": one.code}
        else:
            yield {"prompt": question, "chosen": one.code, "rejected": other.code}


def _summary(cases: list[Case]) -> str:
    off = {what: [_off(case.facts, what) for case in cases] for what in ("seconds", "memory")}
    inside = {
        what: sum(
            getattr(c.facts["price"], f"{what}_low") <= c.facts[what]
            <= getattr(c.facts["price"], f"{what}_high") for c in cases
        ) for what in off
    }  # fmt: skip
    words = [
        f"{what}: median error {median(map(abs, found)):.0%}, largest {max(map(abs, found)):.0%}, "
        f"{inside[what]} of {len(cases)} inside their interval"
        for what, found in off.items()
    ]
    return f"{len(cases)} trainings. {words[0].capitalize()}; {words[1]}."


def _off(facts: dict[str, Any], what: str) -> float:
    return float(getattr(facts["price"], what) / facts[what] - 1)


def _row(facts: dict[str, Any]) -> str:
    priced = facts["price"]
    return (
        f"| {facts['title']} | {facts['seconds']:.0f} | {priced.seconds:.0f} "
        f"| {_off(facts, 'seconds'):+.0%} | {priced.seconds_low:.0f}-{priced.seconds_high:.0f} "
        f"| {facts['learning']:.0f} | {facts['memory'] >> 20} | {priced.memory >> 20} "
        f"| {_off(facts, 'memory'):+.0%} | {priced.memory_low >> 20}-{priced.memory_high >> 20} "
        f"| {facts['pricing']:.0f} |"
    )

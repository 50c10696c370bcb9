"""The price tag against what happened: predicted before the start, measured in the training.

    python benchmarks/training_price.py --case TITLE [--case TITLE …] [--kept FILE] [--processor]
    WORKBENCH_PRICE_KEPT=FILE python benchmarks/training.py --price --quick --write

Each training is a process of its own, whose time goes from its first line to its last and whose
memory nobody else adds to. No training corrects the next one's price here. The cases that are not
quick were looked at while the price was worked out; the quick ones were not.

As a program of its own it runs single cases and keeps what they showed in a file, so that a machine
need not be quiet for all of them at once; the page is made of what is kept and of what is not yet.
With `--processor` seconds are those of the processor, of all cores together, in the prediction and
in the training alike: on a machine that is never quiet they still tell whether the parts were put
together rightly.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from training_speed import Race, prepare

_ABOUT = """\
Each is predicted as a whole, from the first line of its process to its last: start, reading,
updates, validations, checkpoints, writing and merging, each as it was when the training was tried
in small. The price was worked out on the cases that are not quick, and its intervals without
earlier trainings (0.75 to 1.35 times the time, 0.93 to 1.12 times the memory) were set before the
quick ones were run. Rows of many lengths, where nothing is packed, take more memory in time than
the updates of a trial show: 1.05, 1.08, 1.16 and 1.20 times as much in four trainings, among them
the one of the quick cases. So a fifth of what is beyond the libraries' 550 MB is added; "all
weights, not packed, short rows" was not among those four. The rule was 1.12 times all of it when
these two were run; their memory is worked out anew from the same trials in small. The load average
above is that of the moment the page was written."""
_BUSY = """\
The machine was not quiet: seconds are those of the processor, of both cores together, in the
prediction and in the training alike. They tell whether the parts were put together rightly, and
nothing of how much the clock's time varies."""
Facts = dict[str, Any]  # of a case: what was predicted, what was measured
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
learning = measured.get("training_seconds", measured["seconds"])
print(json.dumps({"seconds": seconds, "memory": peak_memory(), "learning": learning}))
"""
_CLOCK = """
import time
_began = time.time()
time.perf_counter = time.process_time
time.time = lambda: _began + time.process_time()
"""  # a sitecustomize: the processor's time in the place of the clock's


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
    Case("all weights, not packed, short rows", "finetune", "completion",
         {"preset": "balanced", "batch": 16, "context": 256, "packing": False, "max_steps": 80},
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
    Case("from nothing, depth 3", "base", "text",
         {"depth": 3, "steps": 40, "vocab_size": 1024}, quick=False),
    Case("preferences, all weights", "preferences", "preference",
         {"preset": "preferences", "method": "full", "learning_rate": 1e-6, "batch": 4,
          "accumulation": 1, "context": 256, "max_steps": 16}, quick=False, shape=NARROW),
)  # fmt: skip


def report(quick: bool) -> str:
    """All cases; those that a file has are not run again."""
    kept = _kept(os.environ.get("WORKBENCH_PRICE_KEPT"))
    chosen = [case for case in CASES if case.quick or not quick]
    return _page([kept.get(case.title) or _measured(case) for case in chosen])


def _kept(path: str | Path | None) -> dict[str, Facts]:
    found: dict[str, Facts] = json.loads(Path(path).read_text("utf-8")) if path else {}
    return found


def _page(found: list[Facts]) -> str:
    lines = [
        "| training | seconds | predicted | error | interval | of them learning | peak memory, MB "
        "| predicted | error | interval | priced in, s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    about = [_ABOUT, _BUSY] if any(facts.get("processor") for facts in found) else [_ABOUT]
    return "\n".join([_summary(found), "", *about, "", *lines, *map(_row, found)])


def _measured(case: Case, *, processor: bool = False) -> Facts:
    """What one case showed, in a home of its own."""
    with TemporaryDirectory(prefix="workbench-price-") as folder:
        os.environ["WORKBENCH_HOME"] = folder
        if processor:
            clock = Path(folder) / "clock"
            clock.mkdir()
            (clock / "sitecustomize.py").write_text(_CLOCK, "utf-8")
            os.environ["PYTHONPATH"] = str(clock)
        return {**_measure(case, Path(folder)), "processor": processor}


def _measure(case: Case, home: Path) -> Facts:
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
    facts = {"title": case.title, "price": priced.to_json(), "pricing": spent, **measured}
    print(_row(facts), flush=True)
    return facts


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


def _summary(found: list[Facts]) -> str:
    words = []
    for what in ("seconds", "memory"):
        off = [abs(_off(facts, what)) for facts in found]
        inside = sum(
            facts["price"][f"{what}_low"] <= facts[what] <= facts["price"][f"{what}_high"]
            for facts in found
        )
        words.append(
            f"{what}: median error {median(off):.0%}, largest {max(off):.0%}, "
            f"{inside} of {len(found)} inside their interval"
        )
    return f"{len(found)} trainings. {words[0].capitalize()}; {words[1]}."


def _off(facts: Facts, what: str) -> float:
    return float(facts["price"][what] / facts[what] - 1)


def _row(facts: Facts) -> str:
    priced = facts["price"]
    return (
        f"| {facts['title']} | {facts['seconds']:.0f} | {priced['seconds']:.0f} "
        f"| {_off(facts, 'seconds'):+.0%} "
        f"| {priced['seconds_low']:.0f}-{priced['seconds_high']:.0f} "
        f"| {facts['learning']:.0f} | {facts['memory'] >> 20} | {priced['memory'] >> 20} "
        f"| {_off(facts, 'memory'):+.0%} "
        f"| {priced['memory_low'] >> 20}-{priced['memory_high'] >> 20} "
        f"| {facts['pricing']:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    titles = [case.title for case in CASES]
    parser.add_argument("--case", action="append", choices=titles, default=[], metavar="TITLE",
                        help=f"one of: {'; '.join(titles)}")  # fmt: skip
    parser.add_argument("--kept", type=Path, help="a file of what cases showed")
    parser.add_argument("--processor", action="store_true", help="the processor's seconds")
    options = parser.parse_args()
    found = _kept(options.kept if options.kept and options.kept.is_file() else None)
    for case in CASES:
        if case.title in options.case:
            found[case.title] = _measured(case, processor=options.processor)
            if options.kept:
                options.kept.write_text(json.dumps(found, indent=1), "utf-8")


if __name__ == "__main__":
    main()

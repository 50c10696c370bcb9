"""Models that fill gaps still do when they are in the engine, and so do those trained from them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from train.lessons import COLOURS, TUNED, Place

from workbench import data
from workbench.engines import Engine
from workbench.examples import Example
from workbench.jobs import JobContext
from workbench.lineage import begin
from workbench.train import plan, run_training


def tuned(dataset: str, base: str, name: str, folder: Path) -> None:
    planned = plan("finetune", dataset=dataset, base=base, settings={**TUNED, "max_steps": 3})
    assert planned.base is not None
    run = begin(
        "finetune", name, dataset=planned.dataset, settings=asdict(planned.settings), base=base,
        base_digest=planned.base.digest,
    )  # type: ignore[arg-type]  # fmt: skip
    run_training(JobContext("here", folder), run.id, with_card=False)


def test_what_learnt_gaps_fills_them_and_passes_it_on(here: Place, tmp_path: Path) -> None:
    with data.writing("holes", "gap", recipe={"kind": "test"}) as draft:
        for number in range(60):
            before, middle, after = f"{number} and ", COLOURS[number % 8], " are here."
            draft.add(Example("gap", {"prefix": before, "middle": middle, "suffix": after}, {}),
                      "validation" if number % 10 == 9 else "train")  # fmt: skip
    tuned("holes", "grown", "filler", tmp_path / "one")
    tuned("lessons", "filler", "talker", tmp_path / "two")
    with Engine(here.url) as engine:
        assert "insert" not in engine.show("grown").capabilities
        for name in ("filler", "talker"):
            shown = engine.show(name)
            assert "insert" in shown.capabilities and ".Suffix" in shown.template
            answer = engine.generate(name, "1 and ", suffix=" are here.", options={"seed": 1})
            assert answer.metrics.eval_count
        turns = [{"role": "user", "content": "What comes after red?"}]
        assert engine.render("talker", turns) == engine.render("grown", turns)
        for name in ("filler", "talker"):
            engine.delete(name)

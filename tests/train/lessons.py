"""A small dataset, and what is made of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench import data
from workbench.data import Dataset
from workbench.examples import Example
from workbench.jobs import JobContext
from workbench.lineage import begin
from workbench.train import plan, run_training

COLOURS = ["red", "green", "blue", "black", "white", "grey", "brown", "pink"]
BASE = {"depth": 1, "steps": 12, "vocab_size": 512, "context": 128, "batch": 512,
        "precision": "fp32"}  # fmt: skip
TUNED = {"preset": "lora-small", "max_steps": 8, "context": 128, "precision": "fp32",
         "learning_rate": 5e-3}  # fmt: skip


def lesson(number: int) -> Example:
    """A question whose answer is the same for all of a colour."""
    colour = COLOURS[number % 8]
    turns = [
        {"role": "user", "content": f"Number {number}: what comes after {colour}?"},
        {"role": "assistant", "content": f"After {colour} comes {COLOURS[(number + 1) % 8]}."},
    ]
    return Example("conversation", {"messages": turns}, {"line": number})


def lessons(name: str = "lessons", *, validation: bool = True) -> Dataset:
    """The dataset `name` of 200 conversations: a model from nothing needs 10,000 characters."""
    with data.writing(name, "conversation", recipe={"kind": "test"}) as draft:
        for number in range(200):
            draft.add(lesson(number), "validation" if validation and number % 10 == 9 else "train")
    return draft.made


@dataclass(frozen=True)
class Place:
    """What was made in the home."""

    home: Path
    url: str
    grown: str  # ids of the two trainings
    tuned: str


def trained(recipe: str, name: str, folder: Path, settings: dict[str, Any], base: str = "") -> str:
    """Train in this process; the training's id."""
    planned = plan(recipe, dataset="lessons", base=base, settings=settings)
    run = begin(
        recipe, name, dataset=planned.dataset, settings=asdict(planned.settings), base=base,
        base_digest=planned.base.digest if planned.base else "",
    )  # type: ignore[arg-type]  # fmt: skip
    run_training(JobContext("here", folder), run.id)
    return run.id

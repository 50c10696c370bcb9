"""What models are asked, and how their answers are scored.

A task is samples, a prompt and scorers, written in a YAML file (docs/tasks.md) or made of any
dataset; a suite is tasks with weights. Nothing here asks a model: `bench` does, and gives the
answers to `score`.

    task = find_task("arithmetic")
    sample = task.samples(1, seed=7)[0]
    score(task, sample, "The result is 12.")  # {"numeric": Verdict(value=…, detail=…)}
"""

from __future__ import annotations

from workbench.scorers import Mode, Sample, ScorerUse, Tools, Verdict, score
from workbench.tasks._load import load_task
from workbench.tasks._records import Suite, Task
from workbench.tasks._registry import (
    find_any,
    find_suite,
    find_task,
    load_suite,
    problems,
    suites,
    task_from_dataset,
    tasks,
)

__all__ = [
    "Mode",
    "Sample",
    "ScorerUse",
    "Suite",
    "Task",
    "Tools",
    "Verdict",
    "find_any",
    "find_suite",
    "find_task",
    "load_suite",
    "load_task",
    "problems",
    "score",
    "suites",
    "task_from_dataset",
    "tasks",
]

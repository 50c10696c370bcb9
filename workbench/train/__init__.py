"""Trainings as jobs: what they cost, started, stopped, resumed, exported, and what was gained.

price = estimate("finetune", dataset="chats", base="starter")      # time, memory, disk
run = submit("finetune", dataset="chats", base="starter", name="my-model")
stop(run)                # now, and save; or pause(run), resume(run)
find(run.id).card        # tuned against base, when its job is done
"""

from workbench.train._card import Card, Compared
from workbench.train._gain import compare, gain
from workbench.train._manage import (
    compare_again,
    deploy,
    export_again,
    job_of,
    pause,
    remove,
    resume,
    stop,
)
from workbench.train._run import run_compare, run_export, run_training
from workbench.train._submit import FORMS, PRESETS, Plan, estimate, plan, submit

__all__ = [
    "FORMS",
    "PRESETS",
    "Card",
    "Compared",
    "Plan",
    "compare",
    "compare_again",
    "deploy",
    "estimate",
    "export_again",
    "gain",
    "job_of",
    "pause",
    "plan",
    "remove",
    "resume",
    "run_compare",
    "run_export",
    "run_training",
    "stop",
    "submit",
]

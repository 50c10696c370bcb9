"""Questions in other words: another system text, more or fewer solved examples before them.

Examples come first from the task's own, then from its samples that the study does not ask, in an
order that a hash of their ids decides. Only where a target reads like an answer can it be one: of
tasks that run tests or ask a judge there are no more examples than their own.
"""

from __future__ import annotations

import hashlib
import json
import string
from collections.abc import Collection
from dataclasses import replace

from workbench.scorers import Sample, choice_index
from workbench.tasks import Task
from workbench.trial._setting import Setting

_ANSWERS = {
    "exact", "normalised", "includes", "numeric", "letter", "regex", "json_schema", "similarity",
    "rouge_l", "bleu", "chrf", "choice", "choice_normalised",
}  # fmt: skip
_POOL = 2_000  # samples that examples are chosen from


def posed(task: Task, setting: Setting, asked: Collection[str]) -> tuple[Task, str]:
    """The task as this setting asks it, and what to know about that; `asked` are prompts."""
    note = ""
    if setting.system and task.mode == "chat":
        task = replace(task, system=setting.system)
    if setting.shots is not None and task.mode not in {"insert", "perplexity"}:
        shots = task.shots[: setting.shots]
        if len(shots) < setting.shots:
            shots += _examples(task, setting.shots - len(shots), asked)
        if len(shots) < setting.shots:
            note = f"{task.title}: there are {len(shots)} examples to show, not {setting.shots}."
        task = replace(task, shots=shots)
    return task, note


def _examples(task: Task, count: int, asked: Collection[str]) -> tuple[tuple[str, str], ...]:
    if task.scorers[0].name not in _ANSWERS:
        return ()
    shown = {question for question, _ in task.shots}
    pool = [
        one for one in task.samples(_POOL)
        if one.target is not None and one.prompt not in shown and one.prompt not in asked
    ]  # fmt: skip
    pool.sort(key=lambda one: hashlib.sha256(one.id.encode("utf-8", "surrogatepass")).digest())
    return tuple((one.prompt, _answer(task, one)) for one in pool[:count])


def _answer(task: Task, sample: Sample) -> str:
    """A sample's target as an answer is written."""
    target = sample.choices[int(sample.target)] if task.mode == "choice" else sample.target
    if task.scorers[0].name == "letter":
        place = choice_index(target, sample.choices or tuple(string.ascii_uppercase))
        return string.ascii_uppercase[place or 0]
    if isinstance(target, list) and target and task.scorers[0].name != "json_schema":
        every = task.scorers[0].options.get("all")  # else any of them is right
        target = ", ".join(map(str, target)) if every else target[0]
    return target if isinstance(target, str) else json.dumps(target, ensure_ascii=False)

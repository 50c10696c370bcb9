"""From lm-eval's samples to our answers: which of its figures is an answer's value.

lm-eval lists a sample once for each filter (a way to read the answer); the first filter's figures
come first, those of the others are named after them ("exact_match,flexible-extract").
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from workbench.bench import Answer, scored
from workbench.scorers import ScorerUse, Tools
from workbench.tasks import Task
from workbench.types import Json

LIKELIHOOD = "likelihood"  # the scorer of perplexity's
Lmsample = Mapping[str, Any]
Replies = Mapping[tuple[str, int], Sequence[Answer]]


def metric_of(mode: str, samples: Sequence[Lmsample], better: Mapping[str, Any]) -> str:
    """The figure that is the answers' value; "" where none is told for each of them."""
    if mode == "perplexity":
        return LIKELIHOOD
    first = [one for one in samples if one["filter"] == samples[0]["filter"]]
    for name in samples[0]["metrics"]:
        values = [_number(one.get(name)) for one in first]
        fits = all(value is not None and 0 <= value <= 1 for value in values)
        if fits and better.get(name, True):
            return str(name)
    return ""


def answers_of(
    row: Mapping[str, Any], samples: Sequence[Lmsample], metric: str, replies: Replies
) -> list[Answer]:
    """A task's answers with their values, in the order of its samples."""
    by_doc: dict[int, list[Lmsample]] = {}
    for one in samples:
        by_doc.setdefault(int(one["doc_id"]), []).append(one)
    found = []
    for position, (doc, listed) in enumerate(sorted(by_doc.items())):
        told = replies.get((row["name"], doc), ())
        answer = Answer(
            row["name"], str(doc), position, _about(row["mode"], listed[0]), row["how"],
            output=_output(row["mode"], listed[0]),
            figures=_joined([one.figures for one in told], whole=row["mode"] == "perplexity"),
            thinking=told[0].thinking if told else "",
            error=next((one.error for one in told if one.error), None),
        )  # fmt: skip
        found.append(answer if answer.error else _valued(answer, listed, metric))
    return found


def fingerprint(samples: Sequence[Lmsample], config: Mapping[str, Any]) -> str:
    """SHA-256 of what was asked and of how lm-eval scores it."""
    how = [config.get(key) for key in ("output_type", "metric_list", "filter_list", "repeats")]
    asked = [[one["doc_id"], one["arguments"], one["target"]] for one in samples]
    text = json.dumps([how, asked], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _valued(answer: Answer, listed: Sequence[Lmsample], metric: str) -> Answer:
    figures = {
        name if one is listed[0] else f"{name},{one['filter']}": value
        for one in listed
        for name in one["metrics"]
        if (value := _number(one.get(name))) is not None
    }
    if metric == LIKELIHOOD:
        use = ScorerUse(LIKELIHOOD)
        task = Task(answer.task, "", "perplexity", (use,), make=lambda seed: ())
        return scored(task, answer, Tools())
    read = json.dumps(listed[0]["filtered_resps"], ensure_ascii=False, default=str)[:500]
    detail = f"read as {read}" if answer.how == "asked" else ""
    parts = {name: value for name, value in figures.items() if name != metric}
    value = figures.get(metric)
    scores = {metric or "none": {"value": value, "detail": detail, "parts": parts}}
    return replace(answer, value=value, scores=scores)


def _about(mode: str, sample: Lmsample) -> Json:
    """The question as our own samples tell it."""
    arguments, target = _arguments(sample), sample["target"]
    prompt, choices = str(arguments[0][0]), []
    if mode == "perplexity":
        prompt, target = "", prompt
    elif mode == "choice":
        choices = [str(one[1]) for one in arguments]
        if len({one[0] for one in arguments}) > 1:  # the texts before differ, not what follows
            prompt, choices = "", [f"{one[0]}{one[1]}" for one in arguments]
    elif mode == "chat":
        turns = json.loads(prompt)
        prompt = "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)
    shown = target if isinstance(target, str | int | float | list) else str(target)
    return {"prompt": prompt, "target": shown, "choices": choices, "suffix": "", "group": "",
            "more": {}}  # fmt: skip


def _arguments(sample: Lmsample) -> list[tuple[Any, ...]]:
    """What was asked, without the texts that are weighed after nothing for comparison."""
    listed = [tuple(one) for one in sample["arguments"]]
    return [one for one in listed if one[0] != ""] or listed


def _output(mode: str, sample: Lmsample) -> str:
    """What the model wrote, or the text that it finds the likeliest."""
    if mode == "perplexity":
        return ""
    replies, arguments = [one[0] for one in sample["resps"]], _arguments(sample)
    if mode != "choice":
        return str(replies[0])
    best = max(range(len(arguments)), key=lambda place: replies[place][0])
    return str(arguments[best][1])


def _joined(figures: Sequence[Json], *, whole: bool) -> Json:
    """The figures of an answer's parts: costs added, lists behind each other or, `whole`, added."""
    if len(figures) < 2:
        return dict(figures[0]) if figures else {}
    found: dict[str, Any] = {"parts": len(figures)}
    for name, first in figures[0].items():
        values = [one.get(name) for one in figures]
        if isinstance(first, list):
            items = [item for value in values for item in value or ()]
            added = all(items) if name == "greedy" else sum(items)
            found[name] = [added] if whole else items
        elif isinstance(first, int | float):
            found[name] = sum(value for value in values if isinstance(value, int | float))
        else:
            found[name] = first
    return found


def _number(value: Any) -> float | None:
    """A figure of one answer; None for pairs and texts that make one only all together."""
    if isinstance(value, bool | int | float) or hasattr(value, "item"):
        try:
            number = float(value)
        except (TypeError, ValueError):
            return None
        return number if math.isfinite(number) else None
    return None

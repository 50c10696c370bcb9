"""From an answer to its value: the task's scorers, and what log-likelihoods say.

`choice` is right when the right text has the highest log-likelihood, `choice_normalised` when it
has it per byte (long texts are less likely than short ones). `likelihood` is the mean probability
per byte, exp(log-likelihood / bytes): 2 to the power of minus the bits per byte, so that more is
better and texts of any length compare.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from workbench.bench._records import Answer
from workbench.scorers import Sample, ScorerUse, Tools, Verdict, score
from workbench.tasks import Task


def scored(task: Task, answer: Answer, tools: Tools) -> Answer:
    """The answer with its value. What cannot be scored has None and a reason."""
    if answer.error is not None:
        return replace(answer, value=None, scores={})
    sample = sample_of(answer)
    if answer.how == "likelihood":
        verdicts: Mapping[str, Verdict] = {
            use.name: _by_likelihood(use.name, sample, answer.figures) for use in task.scorers
        }
    elif task.mode == "choice":  # asked with letters
        right = replace(sample, target=chr(ord("A") + int(sample.target)))
        lettered = replace(task, scorers=(ScorerUse("letter"),))
        verdicts = {task.scorers[0].name: score(lettered, right, answer.output, tools)["letter"]}
    else:
        verdicts = score(task, sample, answer.output, tools)
    first = verdicts[task.scorers[0].name]
    return replace(
        answer,
        value=first.value,
        scores={name: asdict(verdict) for name, verdict in verdicts.items()},
    )


def sample_of(answer: Answer) -> Sample:
    """The sample that was asked."""
    about: dict[str, Any] = dict(answer.about)
    return Sample(id=answer.sample, **about | {"choices": tuple(about.get("choices") or ())})


def _by_likelihood(name: str, sample: Sample, figures: Mapping[str, Any]) -> Verdict:
    sums, sizes = figures["logprobs"], figures["bytes"]
    if any(value is None or not math.isfinite(value) for value in sums):
        return Verdict(None, "the engine told no log-likelihood")
    if name == "likelihood":
        size, tokens = max(1, sizes[0]), figures["counts"][0]
        bits = -sums[0] / size / math.log(2)
        parts = {"bits_per_byte": bits, "bytes": float(size), "tokens": float(tokens)}
        if tokens:
            parts["perplexity"] = math.exp(min(700.0, -sums[0] / tokens))
        return Verdict(2.0**-bits, f"{bits:.3f} bits per byte", parts)
    weighed = (
        sums if name == "choice" else [s / max(1, b) for s, b in zip(sums, sizes, strict=True)]
    )
    best, right = max(range(len(weighed)), key=weighed.__getitem__), int(sample.target)
    top = max(sums)
    shares = [math.exp(value - top) for value in sums]
    detail = f"chose {chr(ord('A') + best)}, right is {chr(ord('A') + right)}"
    return Verdict(float(best == right), detail, {"probability": shares[right] / sum(shares)})

"""The table of scorers, and scoring one answer.

A scorer is a function of answer, sample and tools with its options as keywords, and returns a
Verdict. Another package adds one through the entry point group `workbench.scorers`; the names of
ours cannot be taken. Whatever a scorer does, one sample's failure stays that sample's.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

from workbench.scorers._answers import meant, unknown
from workbench.scorers._code import python_syntax, python_tests
from workbench.scorers._model import judge
from workbench.scorers._records import Mode, Sample, Scored, Scorer, ScorerUse, Tools, Verdict
from workbench.scorers._rules import constraints, refusal
from workbench.scorers._text import (
    bleu,
    chrf,
    exact,
    includes,
    normalised,
    regex,
    rouge_l,
    search,
    similarity,
)
from workbench.scorers._values import json_schema, letter, numeric
from workbench.texts import nearest

# computed from log-likelihoods where the models are asked, not from an answer
LIKELIHOOD: Mapping[Mode, tuple[str, ...]] = {
    "choice": ("choice", "choice_normalised"),
    "perplexity": ("likelihood",),
}
_OURS: tuple[Scorer, ...] = (
    exact, normalised, includes, regex, numeric, letter, json_schema, python_tests, python_syntax,
    similarity, rouge_l, bleu, chrf, constraints, refusal, judge,
)  # fmt: skip


@lru_cache(maxsize=1)
def _table() -> Mapping[str, Scorer]:
    table = {scorer.__name__: scorer for scorer in _OURS}
    taken = {*table, *(name for names in LIKELIHOOD.values() for name in names)}
    for entry in entry_points(group="workbench.scorers"):
        try:
            if entry.name in taken:
                raise ValueError("the name is taken")
            scorer = entry.load()
            inspect.signature(scorer)
            table[entry.name] = scorer
        except Exception as error:  # whatever a plug-in does, the others must go on working
            warnings.warn(f"The scorer {entry.name!r} is left out: {error}", stacklevel=2)
    return table


def scorers() -> dict[str, Scorer]:
    """All scorers by name, those of plug-ins included; a broken one is warned of and left out."""
    return dict(_table())


def problem_of(use: ScorerUse, mode: Mode) -> str:
    """Why a scorer cannot be used so, "" where it can."""
    reserved = LIKELIHOOD.get(mode, ())
    known = reserved or tuple(_table())
    if use.name not in known:
        return f"Mode {mode} has no scorer {use.name[:60]!r}.{nearest(use.name, known)}"
    if reserved:
        return f"The scorer {use.name} takes no options." if use.options else ""
    taken = _options(_table()[use.name])
    for key, value in use.options.items():
        if taken is not None and key not in taken:
            return f"The scorer {use.name} takes no {key[:60]!r}.{nearest(key, taken)}"
        if taken is not None and (kind := _misfit(value, taken[key])):
            return f"The option {key} of {use.name} must be {kind}."
    try:
        if use.name == "regex" and use.options.get("pattern"):
            search(use.options["pattern"], "")
    except ValueError as error:
        return f"The pattern cannot be used: {error}."
    return ""


def _options(scorer: Scorer) -> dict[str, Any] | None:
    """The options and their defaults; None where the scorer takes any."""
    found = inspect.signature(scorer).parameters.values()
    if any(one.kind is one.VAR_KEYWORD for one in found):
        return None
    return {one.name: one.default for one in found if one.kind is one.KEYWORD_ONLY}


def _misfit(value: Any, default: Any) -> str:
    """What an option should have been, by its default; "" where it fits."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(default, float):
        return "" if number and math.isfinite(value) and value >= 0 else "a number from 0 on"
    if isinstance(default, int):
        return (
            "" if number and isinstance(value, int) and value >= 0 else "a whole number from 0 on"
        )
    if isinstance(default, str):
        return "" if isinstance(value, str) else "a text"
    return ""


def score(
    task: Scored, sample: Sample, answer: str, tools: Tools | None = None
) -> dict[str, Verdict]:
    """What each of the task's scorers says of the answer, in their order.

    A scorer that is there twice gets a number behind its name. Those that need log-likelihoods
    are left out: their values come with the likelihoods.
    """
    text = meant(answer)
    found: dict[str, Verdict] = {}
    for use in task.scorers:
        if use.name in LIKELIHOOD.get(task.mode, ()):
            continue
        name, n = use.name, 1
        while name in found:
            n += 1
            name = f"{use.name}#{n}"
        found[name] = _verdict(use, sample, text, tools or Tools())
    return found


def _verdict(use: ScorerUse, sample: Sample, text: str, tools: Tools) -> Verdict:
    scorer = _table().get(use.name)
    if scorer is None:
        return unknown(f"There is no scorer {use.name!r}.{nearest(use.name, _table())}")
    try:
        verdict = scorer(text, sample, tools, **use.options)
        value = verdict.value
        if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
            return unknown(f"The scorer {use.name} gave {value}, which is not from 0 to 1.")
        return verdict
    except Exception as error:  # a plug-in, a judge, a sandbox may fail in any way
        return unknown(f"{use.name} could not tell: {type(error).__name__}: {error}"[:500])

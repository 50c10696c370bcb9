"""The canary: before a suite, is a model asked and scored as the tasks believe it is?

Servers break quietly: a template is missing, a text begins twice, a prompt is cut, log-likelihoods
are made up. Each gives scores that look like a bad model. `probe` asks the engine some thirty
short questions and says in checks what it found; `Canary.verdict` says for a kind of task whether
it can be scored as it is, another way that is labelled, or not at all, and why.

Which checks decide: without answers nothing is scored; without sane log-likelihoods a choice
becomes a lettered question and perplexity is refused; without a template a chat's question is
asked as a plain completion. All else is a warning that goes with the scores.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workbench.engines import AsyncEngine
from workbench.errors import EngineError, EngineUnreachable, ModelNotFound
from workbench.meter import _numbers, _probes
from workbench.meter._probes import State, Subject
from workbench.scorers import Mode

PATIENCE = 120.0  # seconds for one answer of a probe; eight times that for the model to be loaded
_ALL = "chat complete insert choice perplexity"
_PROBES: dict[str, tuple[Callable[[Subject], Awaitable[tuple[State, str]]], str, str]] = {
    # in this order: the probe, the modes that it is about, what to do where it is not ok
    "answers": (_probes.answers, _ALL, "See the engine's log, and whether the file is whole."),
    "beginning": (_probes.beginning, _ALL, "Convert the model's file with a newer converter."),
    "template": (_probes.template, "chat", "Install the model with another TEMPLATE."),
    "stop": (_probes.stop, "chat complete insert", "Look at answers of tasks with stop strings."),
    "ending": (_probes.ending, "chat", "Give tasks a larger num_predict, or stop strings."),
    "insert": (_probes.insert, "insert", "Use a model that was trained to fill gaps."),
    "repeatable": (_probes.repeatable, _ALL, "Compare by intervals, not by single answers."),
    "seed": (_probes.seed, _ALL, "Do not count repeats of a question as more samples."),
    "logprobs": (_numbers.logprobs, "choice perplexity", "Use the embedded engine."),
    "likelihood": (_numbers.likelihood, "choice perplexity", "Use the embedded engine."),
    "context": (_numbers.context, _ALL, "Keep prompts below what is read, or raise num_ctx."),
    "truncation": (_numbers.truncation, _ALL, "Keep prompts with their answers shorter."),
}


@dataclass(frozen=True, slots=True)
class Check:
    """What one probe found. `words` say it to a person, `advice` what to do about it."""

    name: str
    state: State
    words: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Usable:
    """How tasks of one mode can be scored; the label stands beside each such score.

    "generative" is another way than the task's: a choice as a question with letters, a chat's
    question as a plain completion.
    """

    how: Literal["as asked", "generative", "refused"]
    reason: str = ""  # why not as asked; else what to know about the scores
    label: str = ""  # "without a template", "scored generatively"


@dataclass(frozen=True, slots=True)
class Canary:
    """All checks of one model on one engine."""

    model: str
    checks: tuple[Check, ...]
    context: int | None = None  # tokens of prompt and answer that are really used

    def check(self, name: str) -> Check:
        """The check of this name; "unknown" where it was not made."""
        found = (check for check in self.checks if check.name == name)
        return next(found, Check(name, "unknown", "This was not probed."))

    def verdict(self, mode: Mode) -> Usable:
        """How tasks of this mode can be scored."""
        none, bad = {"bad", "unknown"}, {"bad"}
        generative = {"choice": "scored generatively", "chat": "without a template"}
        deciding = {
            "chat": (("template", bad),),
            "insert": (("insert", none),),
            "choice": (("likelihood", none), ("beginning", bad)),
            "perplexity": (("likelihood", none), ("beginning", bad)),
        }
        answers = self.check("answers")
        if answers.state in none:
            return Usable("refused", answers.words)
        for name, states in deciding.get(mode, ()):
            check = self.check(name)
            if check.state in states and mode in generative:
                return Usable("generative", check.words, generative[mode])
            if check.state in states:
                return Usable("refused", check.words)
        about = [check for check in self.checks if mode in _PROBES[check.name][1].split()]
        return Usable("as asked", " ".join(c.words for c in about if c.state in {"warn", "bad"}))


async def probe(
    engine: AsyncEngine,
    model: str,
    modes: Collection[Mode],
    *,
    options: Mapping[str, Any] | None = None,
    patience: float = PATIENCE,
) -> Canary:
    """Probe a model for tasks of these modes, under the options that the tasks will have.

    An engine that answers rubbish or nothing gets checks that say so. Raises only
    EngineUnreachable and ModelNotFound.
    """
    checks: list[Check] = []
    try:
        async with asyncio.timeout(8 * patience):
            details = await engine.show(model)
            if details.capabilities and "completion" not in details.capabilities:
                return Canary(model, (Check("answers", "bad", "This model writes no text."),))
            await engine.load(model, options=options)
    except (EngineError, TimeoutError) as error:
        return Canary(model, (_failed("answers", error, 8 * patience),))
    it = Subject(engine, model, options or {}, patience, details)
    late = 0
    for name, (ask, about, advice) in _PROBES.items():
        if not set(about.split()) & set(modes):
            continue
        if late > 1 or (checks and checks[0].state in {"bad", "unknown"}):
            checks.append(Check(name, "unknown", "Not tried, as the engine does not answer."))
            continue
        try:
            state, words = await ask(it)
            checks.append(Check(name, state, words, "" if state == "ok" else advice))
        except (EngineError, TimeoutError) as error:
            late += isinstance(error, TimeoutError)
            checks.append(_failed(name, error, patience))
    return Canary(model, tuple(checks), it.context)


def _failed(name: str, error: Exception, patience: float) -> Check:
    """The check of a probe without an answer. Raises what the caller must know."""
    if isinstance(error, EngineUnreachable | ModelNotFound):
        raise error
    late = isinstance(error, TimeoutError)
    words = f"The engine did not answer in {patience:g} s." if late else str(error)
    return Check(name, "unknown", words, "See the engine's log.")

"""Why a model is recommended: sentences that each say one fact, with who says it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workbench.advice._alternatives import memory_of
from workbench.advice._candidates import Candidate, Request, rate_of
from workbench.advice._tasks import Task
from workbench.catalogue import gigabytes, said_by, short
from workbench.fit import Fit, Memory

_CAN = {
    "insert": "fill a gap in a text",
    "vision": "read pictures",
    "tools": "call tools",
    "thinking": "think before it answers",
    "embedding": "make vectors",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """A sentence, the fact that it says, and who says so."""

    text: str
    fact: str  # "scores", "memory", "speed", "categories", …
    value: str | float | None
    source: str | None


def reasons(one: Candidate, request: Request) -> Iterator[Reason]:
    """What speaks for a candidate, the most telling first."""
    card, task = one.card, request.task
    if kinds := [kind for kind in task.wants if kind in card.categories]:
        text = f"It is meant for {' and '.join(kinds).replace('general', 'general use')}."
        yield Reason(text, "categories", kinds[0], said_by(card, "categories"))
    needs = [need for need in (*task.needs, *task.bonus) if need != "completion"]
    if can := [need for need in needs if need in card.capabilities]:
        text = f"It can {' and '.join(_CAN.get(word, f'do {word}') for word in can)}."
        yield Reason(text, "capabilities", can[0], said_by(card, "capabilities"))
    yield _evidence(one, task)
    if one.fit is not None:
        yield from _resources(one, one.fit, request)
    if card.released:
        text = f"It was released in {card.released}."
        yield Reason(text, "released", card.released, said_by(card, "released"))
    if card.installed:
        yield Reason("It is installed here.", "installed", card.installed, "the engine")


def _evidence(one: Candidate, task: Task) -> Reason:
    score = one.performance
    if score is None:
        metrics = tuple(metric.lower() for metric in task.metrics)
        has = any(result.metric.lower().startswith(metrics) for result in one.card.scores)
        known = (
            "No result of it for this can be ranked" if has else "No result of it for this is known"
        )
        text = f"{known}; it is placed by half of what its size and age let expect."
        return Reason(text, "scores", None, None)
    indirect = " No result measures this task itself; general ones stand in." * task.indirect
    text = f"{score.basis[0].upper()}{score.basis[1:]}.{indirect}"
    return Reason(text, "scores", score.value, score.source)


def _resources(one: Candidate, fit: Fit, request: Request) -> Iterator[Reason]:
    card = one.card
    if fit.memory is None:
        yield Reason(" ".join(fit.reasons), "memory", None, None)
    else:
        context = f"a context of {fit.load.context:,} tokens"
        text = f"In {one.quantisation} with {context} it takes about {_places(fit.memory)}."
        yield Reason(text, "memory", memory_of(fit), fit.memory.ram.basis)
    if card.active_parameters and card.parameters:
        text = (
            f"Of its {card.parameters / 1e9:.3g} billion parameters, all of which must be held, "
            f"{card.active_parameters / 1e9:.2g} billion work on each token, so it is quick."
        )
        source = said_by(card, "active_parameters")
        yield Reason(text, "active_parameters", card.active_parameters, source)
    if rate := rate_of(fit, request.task):
        verb = "reads" if request.task.embedding else "writes"
        interval = f"{short(rate.low)} to {short(rate.high)}"
        text = f"It {verb} about {short(rate.value)} tokens/s there ({interval})."
        yield Reason(text, "speed", rate.value, rate.basis)


def _places(memory: Memory) -> str:
    ram = f"{gigabytes(memory.ram.value)} of main memory"
    return f"{gigabytes(memory.gpu.value)} on the graphics card and {ram}" if memory.gpu else ram

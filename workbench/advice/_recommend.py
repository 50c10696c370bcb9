"""Recommendations: a ranked list of models for a task and a machine, with reasons.

Every reason is a fact of a card, a result or an estimate, together with who says so; how the list
is ordered is told in `_candidates`, how results are compared in `_performance`. Where nothing
suits, the answer is that, why, and what would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.advice._alternatives import Alternative, alternatives, memory_of, trade_offs
from workbench.advice._candidates import Candidate, Request, candidates, chosen, confidence_of
from workbench.advice._reasons import Reason, reasons
from workbench.advice._tasks import Task, find_task
from workbench.cards import SIZE_CLASSES, Card, shipped
from workbench.catalogue import (
    ANY_MACHINE,
    Own,
    PerformanceScore,
    Standings,
    by_capacity,
    capacity,
    fit_card,
    gigabytes,
    smaller_ways,
)
from workbench.errors import InvalidRequest
from workbench.fit import Fit, Load, Profile


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One model, why, what to expect of it and what it costs."""

    model_name: str
    quantisation: str | None  # the best that fits
    pull: str  # the name that gets it in this quantisation
    confidence_score: float  # 0 to 1: how sure, not how good
    suitability: float  # 0 to 1: how good, what the list is ordered by
    expected_performance: PerformanceScore | None
    fit: Fit
    reasons: tuple[Reason, ...]
    alternatives: tuple[Alternative, ...]
    trade_offs: tuple[str, ...]
    card: Card

    @property
    def reasoning(self) -> str:
        """The reasons as one text."""
        return " ".join(reason.text for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """The machine that was asked about, in units of 1,000,000,000 bytes."""

    available_memory_gb: float
    gpu_available: bool
    gpu_memory_gb: float | None


@dataclass(frozen=True, slots=True)
class Recommendations:
    """The answer. `why_not` is None when there are recommendations."""

    task_type: str
    title: str
    profile: Profile
    load: Load
    system_info: SystemInfo
    recommendations: tuple[Recommendation, ...]
    considered: int  # cards that were looked at
    why_not: str | None = None
    what_would: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As the REST interface has it."""
        return {
            "task_type": self.task_type,
            "system_info": {name: getattr(self.system_info, name) for name in SystemInfo.__slots__},
            "recommendations": [
                {
                    "model_name": one.model_name,
                    "quantisation": one.quantisation,
                    "confidence_score": one.confidence_score,
                    "reasoning": one.reasoning,
                    "expected_performance": _expected(one),
                    "alternatives": [other.model_name for other in one.alternatives],
                    "trade_offs": list(one.trade_offs),
                }
                for one in self.recommendations
            ],
            "why_not": self.why_not,
            "what_would": list(self.what_would),
        }


def recommend(
    catalogue: Iterable[Card],
    task: str | Task,
    profile: Profile,
    *,
    preferred_size: str | None = None,
    load: Load | None = None,
    limit: int = 5,
    own: Own | tuple[()] = (),
    installed_only: bool = False,
) -> Recommendations:
    """The models of `catalogue` that suit `task` on `profile`, best first.

    `load` says how they are to be loaded (None: as the task typically needs), `own` holds this
    machine's results by model. Where nothing suits, the list is empty, `why_not` says why and
    `what_would` what would help. Raises InvalidRequest for unknown words.
    """
    wanted = find_task(task)
    if preferred_size is not None and preferred_size not in SIZE_CLASSES:
        raise InvalidRequest(
            f"There is no size {preferred_size!r:.60}. Use one of {', '.join(SIZE_CLASSES)}."
        )
    if not 1 <= limit <= 100:
        raise InvalidRequest("A list of recommendations has 1 to 100 entries.")
    cards = tuple(catalogue)
    request = Request(
        wanted,
        profile,
        load or Load(context=wanted.context, embedding=wanted.embedding),
        Standings((*cards, *shipped()), own),
        preferred_size,
        installed_only,
    )
    ranked, out = candidates(cards, request)
    best = chosen(ranked, request, limit)
    gpu = sum(card.memory for card in profile.gpus)
    return Recommendations(
        task_type=wanted.name,
        title=wanted.title,
        profile=profile,
        load=request.load,
        system_info=SystemInfo(
            round(profile.memory / 1e9, 2), bool(gpu), round(gpu / 1e9, 2) if gpu else None
        ),
        recommendations=tuple(_recommendation(one, best, ranked, request) for one in best),
        considered=len(cards),
        why_not=None if best else _why_not(ranked, out, len(cards), request),
        what_would=() if best else _what_would(cards, ranked, request),
    )


def _recommendation(
    one: Candidate, best: Sequence[Candidate], ranked: Sequence[Candidate], request: Request
) -> Recommendation:
    assert one.fit is not None  # what is chosen has been priced
    variant = next((v for v in one.card.variants if v.quantisation == one.quantisation), None)
    same = one.quantisation == one.card.quantisation or variant is None
    return Recommendation(
        model_name=one.card.name,
        quantisation=one.quantisation,
        pull=one.card.name if same or variant is None else variant.name,
        confidence_score=confidence_of(one, request.task),
        suitability=round(one.suitability, 3),
        expected_performance=one.performance,
        fit=one.fit,
        reasons=tuple(reasons(one, request)),
        alternatives=alternatives(one, best, ranked, request),
        trade_offs=trade_offs(one, request),
        card=one.card,
    )


def _expected(one: Recommendation) -> dict[str, Any]:
    score, speed = one.expected_performance, one.fit.speed
    return {
        "score": score.value if score else None,
        "confidence": score.confidence if score else None,
        "basis": score.basis if score else None,
        "source": score.source if score else None,
        "tokens_per_second": speed.generation.value if speed else None,
        "memory_gb": round(needs / 1e9, 2) if (needs := memory_of(one.fit)) is not None else None,
    }


def _why_not(
    ranked: Sequence[Candidate], out: Counter[str], considered: int, request: Request
) -> str:
    if not considered:
        return "The catalogue is empty."
    left = [f"{count} are {why}" for why, count in out.most_common()]
    if ranked:
        left.append(f"{len(ranked)} could do it, but do not fit {request.profile.title}")
    return f"Nothing suits {request.task.title}. Of {considered} models {'; '.join(left)}."


def _what_would(
    cards: Sequence[Card], ranked: Sequence[Candidate], request: Request
) -> tuple[str, ...]:
    """What the user could change so that something suits."""
    said = []
    if request.size is not None or request.installed:
        wider, _ = candidates(cards, replace(request, size=None, installed=False))
        if len(wider) > len(ranked):
            wish = "installed only" if request.installed else f"the size {request.size}"
            said.append(f"Without the wish for {wish} there are {len(wider)} to choose from.")
    known = [one for one in ranked if one.card.download]
    if known:
        least = min(known, key=lambda one: (one.card.download or 0, one.card.name)).card
        needs = memory_of(fit_card(least, ANY_MACHINE, request.load))
        if needs is not None:
            said.append(f"The smallest, {least.name}, takes about {gigabytes(needs)}.")
        said += smaller_ways(least, request.profile, request.load)
    room = capacity(request.profile)
    for machine in by_capacity():
        if ranked and capacity(machine) > room:
            best = chosen(ranked, replace(request, profile=machine), 1)
            if best:
                said.append(f"{machine.title} would run {best[0].card.name}.")
                break
    return tuple(said)

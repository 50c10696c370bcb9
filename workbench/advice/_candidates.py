"""Which cards can do a task on a machine, best first: the ranking behind `recommend`.

A card's **merit** is its results for the task (`_performance`), as far as they go; the rest is
filled with 60 % of what its size and age let expect, or half where there is no result at all. So
what nobody measured comes behind what was measured well and before what was measured badly, and
the reasons say so. Merit
times what the machine takes away is the **suitability**: the loss by quantisation (from the
perplexity of Llama 3 8B in llama.cpp's tables, scaled with size), a tight fit, an answer slower
than the task bears. The quantisation is the one with most suitability. Of one line of models
(`qwen2.5` and `qwen3`, 7 and 14 B) only the best is listed; the others are its alternatives.

Limits: the weights below are judgement, not measurement. Results are mostly of 16-bit weights and
of other tasks than the user's. Own results count instead of published ones where there are any.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from workbench.advice._tasks import Task, is_base, special_for
from workbench.cards import Card
from workbench.catalogue import (
    DEFAULT_QUANTISATION,
    RUNS,
    PerformanceScore,
    Standings,
    capacity,
    download_of,
    embeds,
    fit_card,
    size_of,
)
from workbench.fit import Estimate, Fit, Load, Profile

# 6.2332 over the perplexity of the quantised weights: llama.cpp's tables for Llama 3 8B
QUALITY = {
    "F16": 1.0, "FP16": 1.0, "BF16": 1.0, "MXFP4": 1.0, "Q8_0": 0.9996, "Q6_K": 0.9965,
    "Q5_K_M": 0.991, "Q4_K_M": 0.973, "Q4_0": 0.930, "Q3_K_M": 0.905, "Q2_K": 0.639,
}  # fmt: skip
# what counts of what size and age let expect, beside results and without any
_BESIDE, _ALONE = 0.6, 0.5
_LITTLE = 0.9  # two of one line differ by less than a tenth: the newer one is taken
_COMFORT = {"gpu": 1.0, "ram": 1.0, "split": 0.85, "tight": 0.8, "unknown": 0.8}
_SURE = {"gpu": 1.0, "ram": 1.0, "split": 0.95, "tight": 0.85, "unknown": 0.5}


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for."""

    task: Task
    profile: Profile
    load: Load
    standings: Standings
    size: str | None = None  # a size class
    installed: bool = False  # nothing else


@dataclass(frozen=True, slots=True)
class Candidate:
    """A card that could do the task, and what it is worth there."""

    card: Card
    performance: PerformanceScore | None
    expected: float | None  # by size and age; not a result
    wanted: bool  # it is of a category that the task wishes for
    merit: float
    quantisation: str | None = None
    fit: Fit | None = None
    suitability: float = 0.0

    @property
    def runs(self) -> bool:
        return self.fit is not None and self.suitability > 0


def line_of(card: Card) -> str:
    """The line that a model belongs to: its name without version, size and make."""
    return _line(card.name)


@lru_cache(maxsize=50_000)
def _line(name: str) -> str:
    plain = name.lower().rsplit("/", 1)[-1].split(":")[0]
    plain = re.sub(r"(?<![a-z])[\d.]+x?\d*[bm](?![a-z])|gguf|instruct|chat|latest", " ", plain)
    return "-".join(re.findall(r"[a-z]+", plain)) or plain


def candidates(
    cards: Iterable[Card], request: Request
) -> tuple[tuple[Candidate, ...], Counter[str]]:
    """Those that can do the task, best first, and how many were left out for what."""
    found, out = [], Counter[str]()
    for card in cards:
        if request.installed and not card.installed:
            out["not installed"] += 1
        elif request.size is not None and card.size_class != request.size:
            out[f"not known to be {request.size}"] += 1
        elif lack := _lack(card, request.task):
            out[lack] += 1
        else:
            found.append(_candidate(card, request))
    return tuple(sorted(found, key=_order)), out


def _lack(card: Card, task: Task) -> str | None:
    """Why a card cannot do a task; None when it can."""
    for need in task.needs:
        unknown = need == "completion" and not card.capabilities
        if need not in card.capabilities and not unknown:
            return f"without the capability {need!r}"
    if task.embedding is not embeds(card):
        return "for vectors, not text" if embeds(card) else "for text, not vectors"
    special = special_for(card)
    if special is not None and task.name not in special:
        return "made for another purpose"
    if is_base(card) and not task.base:
        return "not taught to answer"
    return None


def _candidate(card: Card, request: Request) -> Candidate:
    task, standings = request.task, request.standings
    performance = standings.score(card, task.metrics)
    expected = standings.expected(card)
    sure = performance.confidence if performance else 0.0
    rest = (_BESIDE if performance else _ALONE) * (0.2 if expected is None else expected)
    merit = sure * (performance.value if performance else 0.0) + (1 - sure) * rest
    wanted = bool(set(task.wants) & set(card.categories))
    special = task.name in (special_for(card) or ())
    merit *= 1.0 if wanted or special else 0.85
    if task.bonus and set(task.bonus) & set(card.capabilities):
        merit *= 1.05
    if task.thinking == "slow" and "thinking" in card.capabilities:
        merit *= 0.95
    if card.context and card.context < task.context:
        merit *= 0.8
    return Candidate(card, performance, expected, wanted or special, min(1.0, merit))


def _order(one: Candidate) -> tuple[float, float, str, str]:
    """Best first; ties to the better documented, then the newer one."""
    sure = one.performance.confidence if one.performance else 0.0
    newer = "".join(chr(0x10FFFF - ord(sign)) for sign in one.card.released or "")
    worth = one.suitability if one.fit else one.merit
    return (-round(worth, 3), -round(sure, 2), newer or "\U0010ffff", one.card.name)


def _beats(one: Candidate, other: Candidate) -> bool:
    """Within a line the newer one wins where the difference means little."""
    ages = one.card.released or "", other.card.released or ""
    if ages[0] == ages[1] or not all(ages):
        return _order(one) < _order(other)
    return one.suitability > other.suitability * (_LITTLE if ages[0] > ages[1] else 1 / _LITTLE)


def priced(one: Candidate, request: Request) -> Candidate:
    """With the quantisation that suits best there, its fit and suitability."""
    usual = one.card.quantisation or DEFAULT_QUANTISATION
    best = _with(one, usual, request)
    mine = QUALITY.get(usual.upper(), 0.0)
    known = sorted(
        {v.quantisation for v in one.card.variants if v.quantisation.upper() in QUALITY},
        key=lambda name: (-QUALITY[name.upper()], name),
    )
    if best.fit and best.fit.verdict in ("gpu", "ram"):
        tries = [name for name in known if mine < QUALITY[name.upper()] < 1.0]
    elif best.fit and best.fit.verdict in ("no", "tight", "split"):
        tries = [name for name in known if QUALITY[name.upper()] < mine]
    else:
        tries = []
    for name in tries:
        other = _with(one, name, request)
        if other.suitability > best.suitability:
            best = other
    return best


def _with(one: Candidate, quantisation: str | None, request: Request) -> Candidate:
    room, wanted = capacity(request.profile), request.task.speed
    # half a byte per parameter is the least that is of use
    size = download_of(one.card, quantisation) or (one.card.parameters or 0) // 2
    if size > room:
        fit = Fit("no", None, None, request.load, room - size, 0.0)
    else:
        fit = fit_card(one.card, request.profile, request.load, quantisation)
    worth = one.merit * _kept(one.card, quantisation) * _COMFORT.get(fit.verdict, 0.0)
    if wanted:
        rate = rate_of(fit, request.task)
        value = rate.value if rate else _guessed_rate(one.card, fit, request.task, size)
        worth *= min(1.0, value / wanted) ** 0.5
    if fit.verdict == "unknown":
        worth *= min(1.0, max(0.0, 1.6 - size / max(1, room))) if size else 0.0
    if fit.headroom is not None and fit.verdict in RUNS:
        worth *= 0.98 + 0.02 * min(1.0, fit.headroom / max(1, room))
    return replace(one, quantisation=quantisation, fit=fit, suitability=worth)


def _kept(card: Card, quantisation: str | None) -> float:
    """What a quantisation leaves of the quality: small models lose more, large ones less."""
    lost = 1 - QUALITY.get((quantisation or "").upper(), 0.93)
    scale: float = (8e9 / (card.parameters or 8e9)) ** 0.3
    return max(0.1, 1 - lost * scale)


def rate_of(fit: Fit | None, task: Task) -> Estimate | None:
    """The speed that this task waits for: of reading for embeddings, else of writing."""
    if fit is None or fit.speed is None:
        return None
    return fit.speed.prompt if task.embedding else fit.speed.generation


def _guessed_rate(card: Card, fit: Fit, task: Task, size: int) -> float:
    """Where no speed is known: what a plain computer does. It orders the list, nobody is told.

    Writing waits for the weights: 40 GB/s from main memory, 400 GB/s on a graphics card. Reading
    waits for the arithmetic: 2 operations per parameter, 0.4 and 20 tera-operations per second.
    """
    parts = fit.memory.parts if fit.memory else ()
    held = {where: sum(p.bytes for p in parts if p.name == "weights" and p.where == where)
            for where in ("ram", "gpu")}  # fmt: skip
    if not any(held.values()):
        held = {"ram": size or 10**9, "gpu": 0}
    used = (size_of(card) or 0) ** 2 / (card.parameters or 1) ** 2 if card.parameters else 1.0
    used = min(1.0, used or 1.0)
    if task.embedding:
        on_gpu = held["gpu"] / sum(held.values())
        return (0.4e12 + 19.6e12 * on_gpu) / (2 * used * (card.parameters or size))
    return 1 / (used * (held["ram"] / 40e9 + held["gpu"] / 400e9))


def confidence_of(one: Candidate, task: Task) -> float:
    """How sure the recommendation is: how much was measured, how well fit and kind are known."""
    sure = one.performance.confidence if one.performance else 0.0
    known = 0.25 + 0.75 * sure * (0.7 if task.indirect else 1.0)
    fits = _SURE.get(one.fit.verdict, 0.0) if one.fit else 0.0
    return round(known * fits * (1.0 if one.wanted else 0.9), 3)


def chosen(ranked: Sequence[Candidate], request: Request, limit: int) -> tuple[Candidate, ...]:
    """The best of each line that runs.

    Suitability is never above merit, so that pricing ends when no later card can come in, nor
    take the place of an older one of its line.
    """
    lines: dict[str, Candidate] = {}
    for one in ranked:
        if len(lines) >= limit:
            worst = sorted((best.suitability for best in lines.values()), reverse=True)[limit - 1]
            if worst * _LITTLE > one.merit:
                break
        got = priced(one, request)
        line = line_of(one.card)
        if got.runs and (line not in lines or _beats(got, lines[line])):
            lines[line] = got
    return tuple(sorted(lines.values(), key=_order)[:limit])

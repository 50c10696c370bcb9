"""What else could be taken instead of a recommended model, and what choosing it costs.

An alternative differs in one thing that a person may care about more than the ranking does: less
memory, more quality on a larger machine, a licence without conditions of its own, a newer model
that nobody has measured comparably, one that is installed already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workbench.advice._candidates import Candidate, Request, line_of, priced, rate_of
from workbench.advice._tasks import special_for
from workbench.cards import Card
from workbench.catalogue import RUNS, fit_card, gigabytes, short
from workbench.fit import Fit


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another model and what speaks for it."""

    model_name: str
    kind: str  # "smaller", "bigger", "licence", "newer", "installed", "specialist"
    reason: str


def memory_of(fit: Fit | None) -> float | None:
    """Bytes that it takes, of main memory and graphics cards together."""
    if fit is None or fit.memory is None:
        return None
    return fit.memory.ram.value + (fit.memory.gpu.value if fit.memory.gpu else 0)


def open_licence(card: Card) -> bool:
    """Whether the licence is a general one, without conditions of the publisher's own."""
    return bool(card.license) and not str(card.license).startswith("LicenseRef")


def alternatives(
    one: Candidate, best: Sequence[Candidate], ranked: Sequence[Candidate], request: Request
) -> tuple[Alternative, ...]:
    """At most one of each kind, of those that can do the task; never the model itself."""
    taken = {one.card.name}
    found = []
    for make in (_smaller, _bigger, _licence, _newer, _installed, _specialist):
        for other in make(one, best, ranked, request):
            if other.model_name not in taken:
                taken.add(other.model_name)
                found.append(other)
                break
    return tuple(found)


def _relatives(one: Candidate, ranked: Sequence[Candidate]) -> list[Candidate]:
    """Of the same family first, then of the same line."""
    line = line_of(one.card)
    same = [other for other in ranked if line_of(other.card) == line and other.card is not one.card]
    return sorted(same, key=lambda other: other.card.family != one.card.family)


def _smaller(
    one: Candidate, best: Sequence[Candidate], ranked: Sequence[Candidate], request: Request
) -> Iterator[Alternative]:
    mine = memory_of(one.fit)
    if mine is None:
        return
    for other in (*_relatives(one, ranked)[:12], *best):
        parameters = other.card.parameters or 0
        if not 0 < parameters < 0.75 * (one.card.parameters or 0):
            continue
        got = other if other.fit else priced(other, request)
        needs = memory_of(got.fit)
        if got.runs and needs is not None and needs < 0.75 * mine:
            faster = ""
            if got.fit and got.fit.speed and one.fit and one.fit.speed:
                ratio = got.fit.speed.generation.value / one.fit.speed.generation.value
                faster = f" and writes about {ratio:.1f} times as fast" if ratio > 1.2 else ""
            yield Alternative(
                other.card.name,
                "smaller",
                f"takes {gigabytes(needs)} instead of {gigabytes(mine)}{faster}",
            )


def _bigger(
    one: Candidate, best: Sequence[Candidate], ranked: Sequence[Candidate], request: Request
) -> Iterator[Alternative]:
    size = one.card.parameters or 0
    larger = [
        other
        for other in _relatives(one, ranked)
        if (other.card.parameters or 0) > 1.2 * size > 0 and other.merit > one.merit
    ]
    for other in sorted(larger, key=lambda other: other.card.parameters or 0):
        fit = fit_card(other.card, request.profile, request.load)
        needs = memory_of(fit)
        unproven = "is larger, though nobody measured it for this"
        praise = "is stronger" if other.performance else unproven
        if fit.verdict == "no" and needs is not None:
            yield Alternative(
                other.card.name, "bigger", f"{praise}, but needs about {gigabytes(needs)}"
            )
        elif fit.verdict in RUNS:
            but = {"tight": "fits only tightly", "split": "fits the graphics card only in part"}
            rate = rate_of(fit, request.task)
            slower = f"is slower, about {short(rate.value)} tokens/s" if rate else "is slower"
            yield Alternative(
                other.card.name, "bigger", f"{praise}, but {but.get(fit.verdict, slower)}"
            )


def _licence(
    one: Candidate, best: Sequence[Candidate], ranked: Sequence[Candidate], request: Request
) -> Iterator[Alternative]:
    if open_licence(one.card):
        return
    for other in best:
        if open_licence(other.card):
            yield Alternative(other.card.name, "licence", f"is under {other.card.license}")


def _newer(
    one: Candidate, best: Sequence[Candidate], ranked: Sequence[Candidate], request: Request
) -> Iterator[Alternative]:
    """Newer, expected to be stronger by size and age, but without a comparable result."""
    if one.performance is None or not one.card.released:
        return
    mine = one.expected or 0.0
    promising = [
        other
        for other in ranked
        if other.performance is None
        and (other.card.released or "") > one.card.released
        and (other.expected or 0.0) > mine
        and other.wanted
    ]
    near = {line_of(one.card)}
    promising.sort(key=lambda other: (line_of(other.card) not in near, -(other.expected or 0.0)))
    for other in promising[:8]:
        if priced(other, request).suitability > 0.6 * one.suitability:
            yield Alternative(
                other.card.name,
                "newer",
                f"is newer ({other.card.released}); no comparable result of it is known",
            )


def _installed(
    one: Candidate, best: Sequence[Candidate], ranked: Sequence[Candidate], request: Request
) -> Iterator[Alternative]:
    if one.card.installed:
        return
    for other in ranked:
        if other.card.installed and priced(other, request).runs:
            yield Alternative(other.card.name, "installed", "is installed already")


def _specialist(
    one: Candidate, best: Sequence[Candidate], ranked: Sequence[Candidate], request: Request
) -> Iterator[Alternative]:
    if special_for(one.card):
        return
    for other in ranked:
        if special_for(other.card) and priced(other, request).runs:
            yield Alternative(other.card.name, "specialist", "was made for this task alone")


def trade_offs(one: Candidate, request: Request) -> tuple[str, ...]:
    """What choosing this model costs, in words."""
    card, fit = one.card, one.fit
    said = []
    if fit and fit.verdict == "tight":
        said.append("It fits tightly: close other programs, or take a smaller context.")
    if fit and fit.verdict == "split":
        said.append("Only a part fits the graphics card; the rest runs on the processor, slower.")
    if fit and fit.verdict == "unknown":
        said.append("What it takes in memory is not known.")
    if (rate := rate_of(fit, request.task)) and rate.value < request.task.speed:
        said.append(f"At about {short(rate.value)} tokens/s it is slower than this task likes.")
    if one.quantisation and one.quantisation.upper().startswith(("Q2", "Q3")):
        said.append(f"{one.quantisation} loses noticeable quality.")
    if card.context and card.context < request.task.context:
        said.append(f"Its context ends at {card.context:,} tokens.")
    if "thinking" in card.capabilities and request.task.thinking == "slow":
        said.append("It thinks before it answers, which takes time unless it is switched off.")
    if one.performance is None:
        said.append("Nobody is known to have measured it comparably for this.")
    elif one.performance.measured_on:
        said.append(f"Its results are those of a relative, {one.performance.measured_on}.")
    if not card.license:
        said.append("Its licence is not known.")
    elif not open_licence(card):
        said.append(f"Its licence ({card.license}) has conditions of its own.")
    return tuple(said)

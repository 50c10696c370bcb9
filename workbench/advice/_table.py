"""The rows of a comparison: facts of the cards, what they take of the machine, their results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from workbench.cards import Card, Score
from workbench.catalogue import (
    Group,
    Own,
    PerformanceScore,
    download_of,
    gigabytes,
    group_of,
    results_of,
    said_by,
    setting_of,
    short,
)
from workbench.fit import Estimate, Fit, Memory

NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of the table. `value` is None when it is not known."""

    value: str | float | None
    text: str
    source: str | None = None
    low: float | None = None
    high: float | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One fact of all models, in their order."""

    key: str  # "parameters", "memory_usage", "HumanEval · EvalPlus, pass@1 greedy"
    label: str
    kind: str  # "fact", "fit", "result", "own"
    cells: tuple[Cell, ...]
    better: str | None = None  # "high", "low"; None: there is no order
    best: tuple[int, ...] = ()  # places of the best; empty when they do not differ
    unit: str = ""


def _row(
    key: str,
    label: str,
    kind: str,
    cells: Iterable[Cell],
    better: str | None = None,
    unit: str = "",
) -> Row:
    made = tuple(cells)
    return Row(key, label, kind, made, better, _best(made, better, unit), unit)


def _best(cells: Sequence[Cell], better: str | None, unit: str) -> tuple[int, ...]:
    """Where the best values are; none when they do not differ enough to say so."""
    known = [cell.value for cell in cells if isinstance(cell.value, int | float)]
    if better is None or len(known) < 2 or min(known) == max(known):
        return ()
    best = max(known) if better == "high" else min(known)
    if unit == "tokens/s" and sorted(known)[-2] > 0.9 * best:
        return ()
    return tuple(place for place, cell in enumerate(cells) if cell.value == best)


def _plain(value: object, source: str | None = None) -> Cell:
    if value is None or value == "" or value == ():
        return Cell(None, NOT_KNOWN)
    if isinstance(value, int | float):
        return Cell(value, f"{value:,}", source)
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return Cell(text, text, source)


def _amount(value: int | None, text: Callable[[float], str], source: str | None) -> Cell:
    return Cell(None, NOT_KNOWN) if value is None else Cell(value, text(value), source)


def _count(value: float) -> str:
    return f"{value / 1e9:.3g} B" if value >= 1e9 else f"{value / 1e6:.3g} M"


def fact_rows(cards: Sequence[Card]) -> list[Row]:
    """What the cards say, with who says so."""

    def said(fact: str, label: str, better: str | None = None, unit: str = "") -> Row:
        cells = [_plain(getattr(card, fact), said_by(card, fact)) for card in cards]
        return _row(fact, label, "fact", cells, better, unit)

    def counted(fact: str, label: str) -> Row:
        cells = [_amount(getattr(card, fact), _count, said_by(card, fact)) for card in cards]
        return _row(fact, label, "fact", cells)

    downloads = [
        _amount(download_of(card, card.quantisation), gigabytes, said_by(card, "download"))
        for card in cards
    ]
    rows = [
        said("publisher", "publisher"),
        said("categories", "meant for"),
        said("capabilities", "can"),
        counted("parameters", "parameters"),
        said("context", "context", "high", "tokens"),
        said("license", "licence"),
        said("released", "released"),
        said("quantisation", "quantisation"),
        _row("download", "download", "fact", downloads, "low", "bytes"),
    ]
    if any(card.active_parameters for card in cards):
        rows.insert(4, counted("active_parameters", "active parameters"))
    if any(card.installed for card in cards):
        cells = [_plain(card.installed or "no") for card in cards]
        rows.append(_row("installed", "installed as", "fact", cells))
    return rows


def _estimate(value: Estimate | None, text: str) -> Cell:
    if value is None:
        return Cell(None, NOT_KNOWN)
    return Cell(value.value, text, value.basis, value.low, value.high)


def fit_rows(fits: Sequence[Fit]) -> list[Row]:
    """What they take of the machine, and how fast they are there."""

    def size(key: str, label: str, of: Callable[[Memory], Estimate | None]) -> Row:
        found = [of(fit.memory) if fit.memory else None for fit in fits]
        cells = [_estimate(one, gigabytes(one.value) if one else "") for one in found]
        return _row(key, label, "fit", cells, "low", "bytes")

    def rate(key: str, label: str, what: str) -> Row:
        found = [getattr(fit.speed, what) if fit.speed else None for fit in fits]
        cells = [
            _estimate(
                one, f"{short(one.value)} ({short(one.low)} to {short(one.high)})" if one else ""
            )
            for one in found
        ]
        return _row(key, label, "fit", cells, "high", "tokens/s")

    rows = [
        _row("verdict", "fits", "fit", [_verdict(fit) for fit in fits]),
        size("memory_usage", "memory", total_memory),
        rate("generation_speed", "writes", "generation"),
        rate("prompt_speed", "reads", "prompt"),
    ]
    if any(fit.memory and fit.memory.gpu for fit in fits):
        rows.insert(2, size("gpu_memory_usage", "of it on graphics cards", lambda taken: taken.gpu))
    return rows


def total_memory(taken: Memory) -> Estimate:
    """What it takes of main memory and graphics cards together."""
    if taken.gpu is None:
        return taken.ram
    ram, gpu = taken.ram, taken.gpu
    return Estimate(ram.value + gpu.value, ram.low + gpu.low, ram.high + gpu.high, gpu.basis)


def _verdict(fit: Fit) -> Cell:
    words = {"gpu": "on the graphics card", "split": "in part on the graphics card",
             "ram": "in main memory", "tight": "tightly", "no": "no"}  # fmt: skip
    if fit.verdict not in words:
        return Cell(None, NOT_KNOWN, note=" ".join(fit.reasons))
    return Cell(fit.verdict, words[fit.verdict], note=" ".join((*fit.reasons, *fit.warnings)))


def performance_row(scores: Sequence[PerformanceScore | None]) -> Row:
    """One score of all results that a model has."""
    cells = [
        Cell(score.value, f"{score.value:.2f}", score.source, note=score.basis)
        if score
        else Cell(None, NOT_KNOWN)
        for score in scores
    ]
    return _row("performance", "score of all results (0 to 1)", "result", cells, "high")


def result_rows(cards: Sequence[Card], own: Own) -> tuple[list[Row], int]:
    """A row for each metric and setting that two models or more have, and for each own one."""
    found: dict[Group, dict[int, Score]] = {}
    for place, card in enumerate(cards):
        for score in results_of(card, own):
            scores = found.setdefault(group_of(score, card.publisher), {})
            held = scores.get(place)
            if held is None or (not score.measured_on, score.value) > (
                not held.measured_on,
                held.value,
            ):
                scores[place] = score
    shown = {
        group: scores
        for group, scores in found.items()
        if len(scores) > 1 or group[0] or len(cards) == 1
    }
    rows = []
    for group in sorted(shown, key=lambda group: (not group[0], *group[1:])):
        scores = shown[group]
        place, first = next(iter(scores.items()))
        setting = setting_of(first, cards[place].publisher)
        name = f"{first.metric} · {setting}"
        cells = [_score_cell(scores.get(place)) for place in range(len(cards))]
        kind = "own" if group[0] else "result"
        rows.append(_row(f"own: {name}" if group[0] else name, name, kind, cells, "high"))
    return rows, len(found) - len(shown)


def _score_cell(score: Score | None) -> Cell:
    if score is None:
        return Cell(None, NOT_KNOWN)
    note = (
        f"measured on {score.measured_on}; {score.setting}" if score.measured_on else score.setting
    )
    text = f"{score.value:g}{'*' if score.measured_on else ''}"
    return Cell(score.value, text, score.source, note=note)

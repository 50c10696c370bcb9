"""The card of a training: what was gained, what was forgotten, and how sure that is.

Losses are compared example by example (`statistics.paired`). An example counts as better or worse
where it tells the models apart by itself (`_differs`); as right where the model would write exactly
its answer, or finds the better of two answers likelier.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from workbench.statistics import Difference, Interval, mean, paired

_ODDS = math.log(20)  # nats by which a short answer tells two models apart
_LONG = 30  # tokens from which on their differences have a spread of their own
_SURE = 1.96  # standard errors that the difference of a long text must have
_TINY = 0.02  # nats per token: a smaller difference of a long text is none
_SHOWN = 5  # examples of each kind on a card


@dataclass(frozen=True, slots=True)
class Found:
    """One example as one model finds it."""

    loss: float
    right: bool | None = None
    tokens: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Flip:
    """An example on which the two models differ beyond noise."""

    number: int  # of the example within its set, from 1
    verdict: str  # better or worse
    tuned: float
    base: float
    text: str  # its beginning


@dataclass(frozen=True, slots=True)
class Compared:
    """One set of examples: the tuned model beside its base, of which there may be none.

    `tuned` and `base` are losses in `unit`: less is better; of `pairs` the better answer's less
    the worse one's. `difference` is base less tuned, so above 0 the tuned model is better.
    `right…` are shares; None where rightness means nothing.
    """

    set: str
    n: int
    unit: str
    tuned: Interval
    base: Interval | None = None
    difference: Difference | None = None
    better: int = 0
    worse: int = 0
    same: int = 0
    flips: tuple[Flip, ...] = ()
    right_tuned: Interval | None = None
    right_base: Interval | None = None
    right_difference: Difference | None = None
    pairs: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """Tuned against base. `base` is "" for a model from nothing."""

    model: str
    base: str
    dataset: str
    target: Compared | None  # the held-out part of what was learnt from; None without one
    control: Compared | None  # texts of everyday knowledge: what was forgotten
    size: Mapping[str, int | None] = field(default_factory=dict)  # bytes in the engine
    speed: Mapping[str, Any] = field(default_factory=dict)  # tokens per second: median, low, high
    words: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, the form in which `Training.card` holds it."""
        return asdict(self)


def compared(
    name: str,
    unit: str,
    tuned: Sequence[Found],
    base: Sequence[Found] | None,
    texts: Sequence[str],
    *,
    pairs: bool = False,
) -> Compared:
    """What the examples of one set say, in the order in which both models were given them."""
    losses = [one.loss for one in tuned]
    rights = _rights(tuned)
    if base is None:
        return Compared(name, len(tuned), unit, mean(losses),
                        right_tuned=mean(rights) if rights else None, pairs=pairs)  # fmt: skip
    before, rights_before = [one.loss for one in base], _rights(base)
    flips = _flips(tuned, base, texts)
    better = sum(one.verdict == "better" for one in flips)
    known = bool(rights and rights_before)
    return Compared(
        name, len(tuned), unit, mean(losses), mean(before), paired(before, losses),
        better, len(flips) - better, len(tuned) - len(flips), tuple(_shown(flips)),
        mean(rights) if known else None, mean(rights_before) if known else None,
        paired(rights, rights_before) if known else None, pairs,
    )  # fmt: skip


def _rights(found: Sequence[Found]) -> list[float]:
    """0 and 1; empty where rightness means nothing for these examples."""
    told = [one.right for one in found]
    return [] if None in told else [float(bool(one)) for one in told]


def _flips(tuned: Sequence[Found], base: Sequence[Found], texts: Sequence[str]) -> list[Flip]:
    """The examples that tell the models apart, those that differ most first."""
    found = []
    for number, (new, old, text) in enumerate(zip(tuned, base, texts, strict=True), 1):
        better = bool(new.right) if new.right != old.right else new.loss < old.loss
        if new.right != old.right or _differs(new, old):
            verdict = "better" if better else "worse"
            found.append(Flip(number, verdict, new.loss, old.loss, text))
    return sorted(found, key=lambda one: -abs(one.tuned - one.base))


def _differs(new: Found, old: Found) -> bool:
    """Whether an example whose rightness stayed as it was tells the two models apart.

    A short answer does where one model finds it twenty times as likely as the other; a long text
    where its tokens' differences are beyond their own noise. Where the models have other tokens,
    a tenth of the loss counts.
    """
    gap = abs(new.loss - old.loss)
    if new.tokens != old.tokens or not new.tokens:
        return gap > 0.1 * max(abs(new.loss), abs(old.loss))
    steps = [a - b for a, b in zip(new.logprobs, old.logprobs, strict=True)]
    n, whole = len(steps), math.fsum(steps)
    if n < _LONG:
        return abs(whole) > _ODDS
    spread = math.fsum((one - whole / n) ** 2 for one in steps) / (n - 1)
    return gap > _TINY and abs(whole) > _SURE * math.sqrt(spread * n)


def _shown(flips: Sequence[Flip]) -> list[Flip]:
    """The worst ones are shown first: they are what one wants to see."""
    worse = [one for one in flips if one.verdict == "worse"][:_SHOWN]
    return worse + [one for one in flips if one.verdict == "better"][:_SHOWN]


def words_of(target: Compared | None, control: Compared | None) -> list[str]:
    """What the comparisons say, in sentences for a person."""
    words = []
    if target is not None:
        what = "pairs" if target.pairs else "examples"
        words.append(_sentence(target, f"On {target.n} held-out {what} ({target.set})"))
        if target.difference is not None:
            words.append(
                f"{target.better} of them got better, {target.worse} got worse, {target.same} "
                "stayed within noise."
            )
        words += _right(target)
    if control is not None and control.difference is not None:
        forgot = control.difference.verdict
        told = {
            "worse": "something was forgotten",
            "better": "nothing was forgotten, it even became better",
            "undecided": "no forgetting can be told",
        }[forgot]
        if abs(control.difference.value or 0.0) < _TINY and forgot == "worse":
            told = "hardly anything was forgotten"
        words.append(
            _sentence(control, f"On {control.n} texts of everyday knowledge") + f" So {told}."
        )
    return words


def _sentence(one: Compared, where: str) -> str:
    unit, found = one.unit, one.difference
    if one.tuned.value is None:
        return f"{where} nothing could be measured."
    at = f"{one.tuned.value:.3f} {unit}"
    loss = "the better answer's loss less the worse one's" if one.pairs else "the loss"
    if found is None or one.base is None or found.value is None:
        more = f", a perplexity of {math.exp(min(one.tuned.value, 50)):,.1f}"
        known = more if unit == "nats per token" and not one.pairs else ""
        return f"{where} {loss} is {at} ({one.tuned.low:.3f} to {one.tuned.high:.3f}){known}."
    change = f"{where} {loss} is {at} instead of {one.base.value:.3f}"
    if found.verdict == "undecided":
        return f"{change}; the two cannot be told apart ({_range(found)})."
    side = "lower" if found.value > 0 else "higher"
    return f"{change}: {abs(found.value):.3f} {side} ({_range(found)})."


def _range(found: Difference) -> str:
    """The interval of the difference, with the smaller end first, without signs where it can."""
    low, high = found.low, found.high
    if found.value is not None and found.value < 0 and high <= 0:
        low, high = -high, -low
    return f"{low:.3f} to {high:.3f}"


def _right(one: Compared) -> list[str]:
    found, after, before = one.right_difference, one.right_tuned, one.right_base
    if found is None or after is None or before is None or after.value is None:
        return []
    if before.value is None or not (found.wins or found.losses or after.value):
        return []
    what = "The better answer is the likelier one for" if one.pairs else "Right are"
    changed = f": {found.wins} turned right, {found.losses} turned wrong"
    sure = "" if found.verdict != "undecided" else ", which chance can do as well"
    more = f"{changed}{sure}" if found.wins or found.losses else ""
    return [f"{what} {after.value:.1%} instead of {before.value:.1%}{more}."]

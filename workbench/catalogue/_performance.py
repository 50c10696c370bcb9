"""How good a model is, as far as results tell: own ones first, else published ones, else None.

Results that were measured differently are never put into one ranking. A **group** is one metric
under one setting (`setting_of`): inside it the cards that have the result are ranked. To bring
groups together a rank is read off a common ruler: the ruler orders all cards of a kind (those that
write, those that embed) by what their size and age let expect, and the r-th best of a group gets
the place that the r-th highest of the *same* cards has there (equipercentile equating), mixed with
a quarter of the rank itself. So the worst of five new large models is not taken for the worst
model there is. Places are averaged, weighted by how much the metric says about the question, who
measured, how many cards the group has, and halved when a relative was measured. The sum of these
weights gives the confidence.

The ruler is `log2(parameters) + months / 6`: a half-year counts as much as a doubling. It is a
rule of thumb. On the cards that ship, its rank correlation with the results inside the groups of
12 cards or more was 0.73 on average (0.3 to 0.5 for code, where special models beat it), against
0.68 without the age. A mixture of experts counts as the geometric mean of all and active
parameters. The ruler never makes a score: a card without results has none.

What a score says: 0.8 is "as good as what stands at 80 % of the ruler, going by results". What it
cannot say: how good the model is at *your* task, whether a publisher measured itself kindly,
whether the test was in the training data, and what quantisation took away (results are mostly of
16-bit weights). Differences below about 0.1 mean nothing.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from workbench.cards import Card, Score, shipped
from workbench.errors import FitError
from workbench.fit import active_parameter_count, parameter_count

Own = Mapping[str, Sequence[Score]]  # model → results that were measured on this machine
Group = tuple[bool, str, str]  # own, metric, setting

_PRECISION = re.compile(r"[,;]?\s*\b(b?float16|fp16|bf16|float32)\b")
_THIRD_PARTY = re.compile(r"leaderboard|evalplus|lm-eval|independent|third-party|mteb|measured")
_RANK = 0.25  # what the rank alone counts: cards of one size and age differ as well
_FEW = 4  # cards with which a group counts half


@dataclass(frozen=True, slots=True)
class Evidence:
    """One result and what it is worth: its rank among the cards with the same metric and setting.

    `place` is where the rank stands on the ruler (0 to 1).
    """

    score: Score
    rank: int  # 1 is best
    of: int
    place: float
    weight: float


@dataclass(frozen=True, slots=True)
class PerformanceScore:
    """0 to 1, how sure that is, and the result that counted most."""

    value: float
    confidence: float
    own: bool
    metric: str
    setting: str
    source: str
    measured_on: str | None
    results: tuple[Evidence, ...]

    @property
    def basis(self) -> str:
        """In words: what it was derived from."""
        best = self.results[0]
        who = "own result" if self.own else "published result"
        more = f" and {len(self.results) - 1} more" * (len(self.results) > 1)
        rank = f", rank {best.rank} of {best.of}" if best.of > 1 else ", nothing to rank it with"
        of = f" of {self.measured_on}" if self.measured_on else ""
        return f"{who}{of}: {self.metric} {best.score.value:g} ({self.setting}){rank}{more}"


def valid(score: Score) -> bool:
    """Whether the value is one: results are percentages."""
    return math.isfinite(score.value) and 0 <= score.value <= 100


def results_of(card: Card, own: Own) -> list[Score]:
    """A card's results: this machine's, by any of its names, and published ones."""
    names = dict.fromkeys((card.name, card.installed or card.name, *card.aliases))
    mine = [score for name in names for score in own.get(name, ())]
    return [score for score in (*mine, *card.scores) if valid(score)]


def setting_of(score: Score, publisher: str | None = None) -> str:
    """The setting as far as it makes results comparable.

    The precision of the weights is left out (half types differ by rounding only). EvalPlus and
    MTEB fix the protocol themselves, so that it does not matter who ran them. A publisher who
    says nothing of how it was measured compares with itself only.
    """
    text = " ".join(_PRECISION.sub("", score.setting).split()).strip(" ,;")
    low = text.lower()
    if "evalplus" in low:
        return "EvalPlus, pass@1 greedy" + (", base model" if "base model" in low else "")
    if score.metric.upper().startswith("MTEB"):
        return "as MTEB defines it"
    bare = not re.search(r"\d|harness", low) and not _THIRD_PARTY.search(low)
    return f"{text} ({publisher or score.source})" if bare and not score.own else text


def group_of(score: Score, publisher: str | None = None) -> Group:
    """What the result may be compared within."""
    return (score.own, score.metric.strip().lower(), setting_of(score, publisher).lower())


def _months(released: str | None) -> float | None:
    found = re.match(r"(\d{4})-(\d{1,2})", released or "")
    return (int(found[1]) - 2023) * 12.0 + int(found[2]) if found else None


def size_of(card: Card) -> float | None:
    """Parameters as capability goes by them: of a mixture the geometric mean of all and active.

    Where nobody tells, they are counted in the architecture, or guessed from the download.
    """
    total, active, shape = card.parameters, card.active_parameters, card.architecture
    with suppress(FitError):
        if shape and not total:
            total = parameter_count(shape)
        if shape and shape.experts and not active:
            active = active_parameter_count(shape)
    if total and active:
        return math.sqrt(total * active)
    # four to five bits per weight, as most downloads have
    return total or (card.download / 0.6 if card.download else None)


def embeds(card: Card) -> bool:
    """Whether it makes vectors, not text."""
    return "embedding" in card.capabilities and "completion" not in card.capabilities


class Standings:
    """Where each card stands among `cards`. Build once, ask often: answers are kept."""

    def __init__(self, cards: Iterable[Card], own: Own | tuple[()] = ()) -> None:
        """Of two cards of one name the first counts."""
        self._own: Own = own or {}
        self._expected: dict[str, float] = {}
        self._groups: dict[Group, tuple[list[float], list[float]]] = {}
        known = tuple({card.name: card for card in reversed(tuple(cards))}.values())
        self._rule(known)
        self._gather(known)

    def _rule(self, cards: Sequence[Card]) -> None:
        """Order the cards of each kind by size and age."""
        dated: dict[str, list[float]] = defaultdict(list)
        for card in cards:
            if (months := _months(card.released)) is not None:
                dated[card.family].append(months)
        ages = sorted(age for family in dated.values() for age in family)
        undated = _quantile(ages, 0.25) if ages else 0.0
        for kind in (True, False):
            marks: dict[str, float] = {}
            for card in cards:
                if embeds(card) is not kind or not (size := size_of(card)) or size <= 0:
                    continue
                family = dated.get(card.family, [undated])
                months = _months(card.released)
                age = months if months is not None else sum(family) / len(family)
                marks[card.name] = math.log2(size) + age / 6
            ordered = sorted(marks.values())
            for name, mark in marks.items():
                self._expected[name] = _midrank(ordered, mark)

    def _gather(self, cards: Sequence[Card]) -> None:
        found: dict[Group, list[tuple[float, float | None]]] = defaultdict(list)
        for card in cards:
            place = self._expected.get(card.name)
            best: dict[Group, float] = {}
            for score in self._results(card):
                group = group_of(score, card.publisher)
                best[group] = max(score.value, best.get(group, 0.0))
            for group, value in best.items():
                found[group].append((value, place))
        for group, entries in found.items():
            places = sorted(place for _, place in entries if place is not None)
            self._groups[group] = (sorted(value for value, _ in entries), places)

    def _results(self, card: Card) -> list[Score]:
        return results_of(card, self._own)

    def expected(self, card: Card) -> float | None:
        """What size and age let expect, 0 to 1 among the cards of its kind. Not a result."""
        return self._expected.get(card.name)

    def evidence(self, card: Card, score: Score, weight: float = 1.0) -> Evidence:
        """What one of a card's results is worth. Weight 0: there is nothing to rank it with."""
        values, places = self._groups.get(group_of(score, card.publisher), ([score.value], []))
        count = len(values)
        rank = count - bisect_right(values, score.value) + 1
        share = _midrank(values, score.value)
        if score.own and count == 1:
            return Evidence(score, 1, 1, score.value / 100, weight / 2)
        place = (1 - _RANK) * (_quantile(places, share) if places else 0.5) + _RANK * share
        worth = weight * _trust(score) * (count - 1) / (count - 1 + _FEW)
        return Evidence(score, max(1, rank), count, place, worth)

    def score(
        self, card: Card, weights: Mapping[str, float] | None = None, own: Sequence[Score] = ()
    ) -> PerformanceScore | None:
        """The card's score; `weights` say which metrics speak for the question (None: all)."""
        said = [*(score for score in own if valid(score)), *self._results(card)]
        if not said:
            return None
        speaking = None if weights is None else {k.lower(): v for k, v in weights.items()}
        results = [(one, w) for one in said if (w := _weight(one.metric, speaking)) > 0]
        if any(score.own for score, _ in results):
            results = [(score, weight) for score, weight in results if score.own]
        found = [self.evidence(card, score, weight) for score, weight in results]
        found = sorted(
            (e for e in found if e.weight > 0), key=lambda e: (-e.weight, e.score.metric)
        )
        if not found:
            return None
        total = sum(entry.weight for entry in found)
        value = sum(entry.weight * entry.place for entry in found) / total
        top = found[0].score
        return PerformanceScore(
            value=round(value, 4),
            confidence=round(total / (total + 1), 4),
            own=top.own,
            metric=top.metric,
            setting=top.setting,
            source=top.source,
            measured_on=top.measured_on,
            results=tuple(found),
        )


def performance_score(
    card: Card,
    *,
    metric_group: Mapping[str, float] | None = None,
    own: Sequence[Score] = (),
    standings: Standings | None = None,
) -> PerformanceScore | None:
    """The card's score among the cards that ship, or among those of `standings`.

    `metric_group` maps a metric's name to how much it counts, as a task's `metrics` do; None takes
    all. `own` are the card's results on this machine: where there are any, no others count.
    """
    return (standings or _shipped_standings()).score(card, metric_group, own)


@lru_cache(maxsize=1)
def _shipped_standings() -> Standings:
    return Standings(shipped())


def _weight(metric: str, weights: Mapping[str, float] | None) -> float:
    """A metric's weight; "LiveCodeBench v6" counts as "LiveCodeBench" where it is not named."""
    if weights is None:
        return 1.0
    name = metric.strip().lower()
    if name in weights:
        return weights[name]
    return max((value for key, value in weights.items() if name.startswith(key + " ")), default=0.0)


def _trust(score: Score) -> float:
    """Own 2, a harness or a third party 1, a publisher with a protocol 0.7, without one 0.5."""
    low = f"{score.setting} {score.metric}".lower()
    if score.own:
        trust = 2.0
    elif _THIRD_PARTY.search(low):
        trust = 1.0
    else:
        trust = 0.7 if re.search(r"\d-shot|pass@|cot", low) else 0.5
    return trust * (0.5 if score.measured_on or "base model" in low else 1.0)


def _midrank(ordered: Sequence[float], value: float) -> float:
    """The share of `ordered` that lies below `value`, ties counted half."""
    below, up_to = bisect_left(ordered, value), bisect_right(ordered, value)
    return (below + up_to) / 2 / len(ordered)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The value at `share` of the way through `ordered`, as `_midrank` counts."""
    at = share * len(ordered) - 0.5
    low = min(max(int(at), 0), len(ordered) - 1)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * min(max(at - low, 0.0), 1.0)

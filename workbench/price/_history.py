"""What finished trainings teach about the next one's price.

Every training keeps what was predicted before its start beside what was measured. With
r = log(measured / predicted), the next price is moved by the median of r of trainings of the same
kind on this machine, with the weight n / (n + 2), and its interval goes from the one that is
assumed without any to the one that they show, widened by 1 + 3/n. What is compared is always the
value before such a correction, so that a correction does not chase itself. A training that ended
before its last step says nothing about the time, and one of other settings is another member.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeGuard

from workbench.fit import fingerprint
from workbench.lineage import Training, trainings

_SHRINK, _WIDEN = 2.0, 3.0
_LARGEST = math.log(4)  # of a correction
_FLOOR = 0.02  # of an interval's half, as a logarithm
_MOST = 300  # trainings that are looked at, the newest
_MEASURED = {"seconds": "seconds", "memory": "peak_memory_bytes"}


@dataclass(frozen=True, slots=True)
class Value:
    """A prediction with its interval, in bytes or seconds, and how many trainings stand for it."""

    value: float
    low: float
    high: float
    trainings: int


def corrected(quantity: str, predicted: float, *, kind: str, doubt: tuple[float, float]) -> Value:
    """`predicted` seconds or memory as earlier trainings of the kind correct it.

    `doubt` is the interval without any, as factors: (0.8, 1.25).
    """
    found = sorted(_ratios(quantity, kind))
    n = len(found)
    weight = n / (n + _SHRINK)
    centre = weight * median(found) if found else 0.0
    low, high = (math.log(factor) for factor in doubt)
    if found:
        wide = 1 + _WIDEN / n
        low = -weight * wide * max(centre - found[0], _FLOOR) + (1 - weight) * low
        high = weight * wide * max(found[-1] - centre, _FLOOR) + (1 - weight) * high
    return Value(
        predicted * math.exp(centre), predicted * math.exp(centre + low),
        predicted * math.exp(centre + high), n,
    )  # fmt: skip


def _ratios(quantity: str, kind: str) -> Iterator[float]:
    """log(measured / predicted) of each finished training of the kind, one for equal settings."""
    seen: set[str] = set()
    for run in trainings(limit=_MOST):
        ratio = _ratio(run, quantity, kind)
        member = json.dumps([run.base, run.dataset, dict(run.settings)], sort_keys=True)
        if ratio is not None and member not in seen:
            seen.add(member)
            yield max(-_LARGEST, min(_LARGEST, ratio))


def _ratio(run: Training, quantity: str, kind: str) -> float | None:
    before = _object((run.price or {}).get("predicted"))
    if before.get("kind") != kind or before.get("machine") != fingerprint():
        return None
    predicted, measured = before.get(quantity), run.measured.get(_MEASURED[quantity])
    if not _positive(predicted) or not _positive(measured):
        return None
    if quantity == "seconds" and run.measured.get("steps") != before.get("steps"):
        return None
    return math.log(measured / predicted)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _positive(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value) and value > 0

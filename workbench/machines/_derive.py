"""The costs of `_work`'s amounts, solved from what the probe measured.

One after the other: fixed costs come from networks too small to cost anything else; what a
cached token costs from two depths of the context, with many and with few key heads; then each
weight type's from a wide network, less all that is known. A measurement is the quickest of its
repeats, since other work can only slow it down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import mean, median
from typing import Any

from workbench.errors import FitError
from workbench.fit import Load
from workbench.machines._probe import TYPES, Probe, network_of_probe
from workbench.machines._work import Amounts, work

READ, WRITE = 0, 1
# Of a measurement, the share that an unknown cost is given whatever the known ones take: what
# was disturbed makes its kind look dear, and without a bound all others free.
_LEAST = 0.1
_LEAST_OF_WEIGHTS = 0.6
_LEAST_OF_EXPERTS = 0.4
_DEAREST = 5.0  # times the middle of the types
Costs = dict[str, float]


class _Rows:
    """The probes' measurements and amounts, by name."""

    def __init__(self, wanted: Sequence[Probe], rows: Mapping[str, Mapping[str, Any]]) -> None:
        self.probes = {probe.name: probe for probe in wanted}
        self._rows = rows

    def seconds(self, name: str, which: int, place: int = 0) -> float:
        """The quickest repeat: of the whole prompt, or of a written token."""
        return float(min(self._rows[name]["rows"][place][("read", "write")[which]]))

    def amounts(self, name: str, which: int, place: int = 0) -> Amounts:
        """What was measured there consists of."""
        probe = self.probes[name]
        load = Load(context=1 << 16, cache_type=probe.cache_type)
        return work(network_of_probe(probe), load, probe.prompts[place], probe.written)[which]

    def has(self, name: str) -> bool:
        return name in self._rows

    def solve(
        self,
        name: str,
        which: int,
        key: str,
        cost: Callable[[str], float],
        least: float = _LEAST_OF_WEIGHTS,
    ) -> float:
        """The cost of `key` that explains the measurement, where the others are known."""
        amounts, measured = self.amounts(name, which), self.seconds(name, which)
        rest = measured - sum(n * cost(k) for k, n in amounts.items() if k != key)
        return max(rest, least * measured) / amounts[key]


def derive(
    wanted: Sequence[Probe], rows: Mapping[str, Mapping[str, Any]], threads: int
) -> tuple[Costs, Costs, int]:
    """Costs, by how much each kind grows with one thread, and the best number of threads.

    Raises FitError when what all else follows from is missing.
    """
    try:
        return _derive(_Rows(wanted, rows), threads)
    except (KeyError, ValueError, ZeroDivisionError):
        raise FitError(
            "Too little could be measured to calibrate this machine. "
            "Close other programs, see that memory is free, and calibrate again."
        ) from None


def _derive(rows: _Rows, threads: int) -> tuple[Costs, Costs, int]:
    costs = _fixed(rows, threads)
    _attention(rows, costs)

    def cost(key: str) -> float:
        return costs.get(key, 0.0)

    for kind in TYPES:
        if rows.has(f"weights-{kind}"):
            for which, what in ((WRITE, "read"), (READ, "compute")):
                key = f"{what}:{kind}"
                costs[key] = rows.solve(f"weights-{kind}", which, key, cost)
    _drop_disturbed(costs)
    single, best = _single(rows, costs, threads)
    costs["vocabulary"] = _vocabulary(rows, costs, single)
    for which, what in ((WRITE, "read"), (READ, "compute")):
        ratios = []
        for kind in TYPES:
            if rows.has(f"experts-{kind}") and f"{what}:{kind}" in costs:
                key = f"experts-{what}:{kind}"
                costs[key] = rows.solve(f"experts-{kind}", which, key, cost, _LEAST_OF_EXPERTS)
                ratios.append(costs[key] / costs[f"{what}:{kind}"])
        costs[f"experts-{what}"] = mean(ratios)
    return costs, single, best


def _drop_disturbed(costs: Costs) -> None:
    """Forget types that seem far dearer than most: other work held their threads up."""
    for what in ("read:", "compute:"):
        found = {key: cost for key, cost in costs.items() if key.startswith(what)}
        for key, cost in found.items():
            if cost > _DEAREST * median(found.values()):
                del costs[key]


def _fixed(rows: _Rows, threads: int) -> Costs:
    shallow, deep = f"shallow-{threads}", f"deep-{threads}"
    layers = rows.probes[deep].layers - rows.probes[shallow].layers
    quick, slow = rows.seconds(shallow, WRITE), rows.seconds(deep, WRITE)
    layer = max(slow - quick, _LEAST * slow) / layers
    return {"layer": layer, "token": max(quick - 2 * layer, _LEAST * quick)}


def _attention(rows: _Rows, costs: Costs) -> None:
    """Bytes and operations between tokens, from two depths of the context."""
    names = ("attention-f16", "attention-wide")
    (a, b, left), (c, d, right) = (_slope(rows, name, "f16") for name in names)
    per_byte = (left * d - right * b) / (a * d - c * b)
    per_byte = min(max(per_byte, _LEAST * left / a), left / a)
    costs["cache:f16"] = per_byte
    costs["attention"] = max((left - per_byte * a) / b, 0.01 * left / b)
    a, b, left = _slope(rows, "attention-q8_0", "q8_0")
    costs["cache:q8_0"] = max(left - b * costs["attention"], _LEAST * left) / a
    costs["cache:q4_0"] = costs["cache:q8_0"] * 34 / 18  # per number, not per byte
    for kind in ("f16", "q8_0"):
        name, key = f"attention-{kind}", f"attention-compute:{kind}"
        first, last = (rows.amounts(name, READ, place)[key] for place in (0, -1))
        probe = rows.probes[name]
        times = probe.prompts[-1] / probe.prompts[0]
        rest = rows.seconds(name, READ, -1) - times * rows.seconds(name, READ, 0)
        rest = max(rest, _LEAST * rows.seconds(name, READ, -1))
        costs[key] = rest / (last - times * first)
    costs["attention-compute:q4_0"] = costs["attention-compute:q8_0"]


def _slope(rows: _Rows, name: str, kind: str) -> tuple[float, float, float]:
    """Bytes, operations and seconds by which a deep token differs from a shallow one."""
    first, last = (rows.amounts(name, WRITE, place) for place in (0, -1))
    seconds = [rows.seconds(name, WRITE, place) for place in (0, -1)]
    return (
        last[f"cache:{kind}"] - first[f"cache:{kind}"],
        last["attention"] - first["attention"],
        max(seconds[1] - seconds[0], _LEAST * seconds[1]),
    )


def _single(rows: _Rows, costs: Costs, threads: int) -> tuple[Costs, int]:
    """How many times the costs of all threads one thread costs."""
    if threads == 1:
        return {}, 1
    fixed = _fixed(rows, 1)
    single = {key: fixed[key] / costs[key] for key in ("layer", "token")}

    def alone(key: str) -> float:
        return costs.get(key, 0.0) * single.get(key.partition(":")[0], 1.0)

    for _ in range(2):  # each is needed for the other, a little
        for which, what in ((READ, "compute"), (WRITE, "read")):
            key = f"{what}:Q8_0"
            single[what] = rows.solve("single-Q8_0", which, key, alone) / costs[key]
            single |= dict.fromkeys(("cache", "attention", "attention-compute"), single["compute"])
    speeds = {1: rows.seconds("single-Q8_0", WRITE), threads: rows.seconds("weights-Q8_0", WRITE)}
    if rows.has("half-Q8_0"):
        speeds[threads // 2] = rows.seconds("half-Q8_0", WRITE)
    return single, min(speeds, key=lambda many: speeds[many])


def _vocabulary(rows: _Rows, costs: Costs, single: Costs) -> float:
    """Seconds that sampling takes per entry: measured with one thread, which is all it uses."""

    def alone(key: str) -> float:
        return costs.get(key, 0.0) * single.get(key.partition(":")[0], 1.0)

    return rows.solve("vocabulary", WRITE, "vocabulary", alone, _LEAST)

"""The costs of `_work`'s amounts, solved from what the probe measured.

One after the other: fixed costs come from networks too small to cost anything else; what a
cached token costs from two depths of the context, with many, with fewer and with few heads; what
a row costs from a wide and a narrow network; then each weight type's from a wide network, less
all that is known. A measurement is the quickest of its
repeats, since other work can only slow it down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
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
_SMALL = 0.01
_OTHERS = ("attention-wide", "attention-few")
_AS_COMPUTED = ("cache", "attention", "attention-compute", "cells", "rows")
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

    per_layer = _rows_of_layer(rows, threads)  # which the layers' cost has in it so far
    costs["rows"] = _row(rows, cost, per_layer)
    costs["layer"] = max(costs["layer"] - per_layer * costs["rows"], _LEAST * costs["layer"])
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


def _rows_of_layer(rows: _Rows, threads: int) -> float:
    """Rows in a layer of the networks that the fixed costs come from."""
    shallow, deep = f"shallow-{threads}", f"deep-{threads}"
    more = rows.amounts(deep, WRITE)["rows"] - rows.amounts(shallow, WRITE)["rows"]
    return more / (rows.probes[deep].layers - rows.probes[shallow].layers)


def _attention(rows: _Rows, costs: Costs) -> None:
    """Bytes and operations between tokens, from two depths of the context."""
    keys = ("cache:f16", "attention", "cells")
    slopes = [_slope(rows, name, "f16") for name in ("attention-f16", *_OTHERS)]
    costs |= dict(zip(keys, _positive(slopes), strict=True))
    *amounts, left = _slope(rows, "attention-q8_0", "q8_0")
    rest = left - amounts[1] * costs["attention"] - amounts[2] * costs["cells"]
    costs["cache:q8_0"] = max(rest, _LEAST * left) / amounts[0]
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


def _slope(rows: _Rows, name: str, kind: str) -> tuple[float, float, float, float]:
    """Bytes, operations, cells and seconds by which a deep token differs from a shallow one."""
    first, last = (rows.amounts(name, WRITE, place) for place in (0, -1))
    seconds = [rows.seconds(name, WRITE, place) for place in (0, -1)]
    return (
        last[f"cache:{kind}"] - first[f"cache:{kind}"],
        last["attention"] - first["attention"],
        last["cells"] - first["cells"],
        max(seconds[1] - seconds[0], _LEAST * seconds[1]),
    )


def _positive(equations: Sequence[Sequence[float]]) -> list[float]:
    """The costs that explain measurements best: each equation holds amounts, then seconds.

    Least squares of the relative errors, with a least share for each cost, since no cost is
    free and a disturbed measurement would make one so.
    """
    import numpy as np

    rows = np.array([row[:-1] for row in equations])
    seconds = np.array([row[-1] for row in equations])
    least = np.min(_SMALL * seconds[:, None] / rows, axis=0)
    rest = (seconds - rows @ least) / seconds
    relative = rows / seconds[:, None]
    best, found = np.inf, np.zeros(len(least))
    for chosen in product((False, True), repeat=len(least)):  # non-negative, by trying all
        mask = np.array(chosen)
        some = np.zeros(len(least))
        if mask.any():
            some[mask] = np.linalg.lstsq(relative[:, mask], rest, rcond=None)[0]
        off = float(np.sum((relative @ some - rest) ** 2))
        if (some >= 0).all() and off < best:
            best, found = off, some
    return [float(cost) for cost in found + least]


def _row(rows: _Rows, cost: Callable[[str], float], per_layer: float) -> float:
    """What a row costs beside its bytes, from a wide and a narrow network of one type.

    So many rows `per_layer` are paid for already, with the layer.
    """
    equations = []
    for name in ("weights-Q8_0", "short-Q8_0"):
        amounts, measured = rows.amounts(name, WRITE), rows.seconds(name, WRITE)
        asked = ("read:Q8_0", "rows")
        rest = measured - sum(n * cost(key) for key, n in amounts.items() if key not in asked)
        paid = per_layer * amounts["layer"]
        some = (amounts["read:Q8_0"], amounts["rows"] - paid)
        equations.append((*some, max(rest, _LEAST * measured)))
    return _positive(equations)[1]


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
            single |= dict.fromkeys(_AS_COMPUTED, single["compute"])
    speeds = {1: rows.seconds("single-Q8_0", WRITE), threads: rows.seconds("weights-Q8_0", WRITE)}
    if rows.has("half-Q8_0"):
        speeds[threads // 2] = rows.seconds("half-Q8_0", WRITE)
    return single, min(speeds, key=lambda many: speeds[many])


def _vocabulary(rows: _Rows, costs: Costs, single: Costs) -> float:
    """Seconds that sampling takes per entry: measured with one thread, which is all it uses."""

    def alone(key: str) -> float:
        return costs.get(key, 0.0) * single.get(key.partition(":")[0], 1.0)

    return rows.solve("vocabulary", WRITE, "vocabulary", alone, _LEAST)

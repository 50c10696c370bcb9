"""How many points a space has, and a walk over all of them or evenly spread ones.

Evenly spread: point n takes the value at the fraction of n · a_j of parameter j, where
a_j = g^-j and g solves g^(d+1) = g + 1 for d parameters. That is the golden ratio's sequence in
more dimensions (Martin Roberts, 2018): each parameter alone and any two together are covered
about evenly, at whatever number of points one stops; a grid with few levels each would try the
same few values again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

from workbench.space._parameter import Parameter
from workbench.space._values import Point, Rule, key_of

_MOST_WAYS = 50_000  # in which what hangs together is counted one by one
_TRIES = 64  # draws in a row that are all known before the walk ends


def size(parameters: Sequence[Parameter], rules: Sequence[Rule]) -> int | None:
    """See `Space.size`."""
    if any(one.count is None for one in parameters):
        return None
    bound = {name for one in parameters for name in one.when}
    bound |= {name for rule in rules for name in (rule.small, rule.large)}
    ways = prod(one.count or 1 for one in parameters if one.name in bound)
    if ways > _MOST_WAYS:
        return prod(one.count or 1 for one in parameters)
    tied = [one for one in parameters if one.name in bound]
    free = [one for one in parameters if one.name not in bound]
    return sum(
        prod(one.count or 1 for one in free if one.applies(point)) for point in _all(tied, rules)
    )


def grid(
    parameters: Sequence[Parameter], rules: Sequence[Rule], default: Point,
    repaired: Callable[[Point], Point], most: int,
) -> Iterator[Point]:  # fmt: skip
    """See `Space.grid`."""
    known = {key_of(default)}
    yield default
    count = size(parameters, rules)
    whole = count is not None and count <= most
    points = _all(parameters, rules) if whole else map(repaired, _even(parameters))
    tries = 0
    while len(known) < most and tries < _TRIES * (1 + len(known)):
        point = next(points, None)
        if point is None:
            return
        tries += 1
        if (key := key_of(point)) not in known:
            known.add(key)
            yield point


def _all(parameters: Sequence[Parameter], rules: Sequence[Rule]) -> Iterator[dict[str, Any]]:
    """Every point that breaks no rule, the last parameter changing quickest."""
    if not parameters:
        yield {}
        return
    pending: list[tuple[dict[str, Any], int]] = [({}, 0)]
    while pending:
        point, place = pending.pop()
        if any((limit := rule.limit(point)) is not None and point[rule.small] > limit
               for rule in rules):  # fmt: skip
            continue
        if place == len(parameters):
            yield point
        elif parameters[place].applies(point):
            one = parameters[place]
            ways = range((one.count or 1) - 1, -1, -1)
            pending += [({**point, one.name: one.at(way)}, place + 1) for way in ways]
        else:
            pending.append((point, place + 1))


def _even(parameters: Sequence[Parameter]) -> Iterator[dict[str, Any]]:
    root = 2.0
    for _ in range(64):  # x = (1 + x)^(1 / (d + 1)) converges quickly
        root = (1 + root) ** (1 / (len(parameters) + 1))
    steps = [root ** -(place + 1) for place in range(len(parameters))]
    number = 0
    while True:
        number += 1
        point: dict[str, Any] = {}
        for one, step in zip(parameters, steps, strict=True):
            if one.applies(point):
                point[one.name] = one.share((0.5 + number * step) % 1.0)
        yield point

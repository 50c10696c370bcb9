"""The picture of a lineage: nodes in rows from the documents to the model, lines between them.

A node stands as near above what was made of it as it can; a line that passes a row has a place of
its own there, so that it does not cross a box. Within a row the order follows the rows above.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.lineage import Graph, Node

BOX, TALL, LANE = 164.0, 56.0, 24.0  # a box's width and height, the width of a passing line
GAP, BETWEEN = 10.0, 40.0  # beside and between the rows


@dataclass(frozen=True, slots=True)
class Box:
    """A node with its upper left corner."""

    node: Node
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What to draw, in a box of `width` by `height`. `lines` are `d` of SVG paths."""

    boxes: tuple[Box, ...]
    lines: tuple[str, ...]
    width: float
    height: float


def plan(graph: Graph) -> Plan:
    """Where everything stands."""
    depth = _depths(graph)
    rows: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in graph.nodes:
        rows[depth[node.id]].append(node.id)
    paths = [_path(edge.source, edge.target, depth) for edge in graph.edges]
    above: dict[str, list[str]] = {}
    for path in paths:
        for at, (before, here) in enumerate(pairwise(path), depth[path[0]] + 1):
            if here not in rows[at]:
                rows[at].append(here)
            above.setdefault(here, []).append(before)
    boxes = {node.id: node for node in graph.nodes}
    places, width = _places(rows, above, boxes)
    found = tuple(
        Box(node, places[node.id] - BOX / 2, depth[node.id] * (TALL + BETWEEN))
        for node in graph.nodes
    )
    lines = tuple(_line(path, depth[path[0]], places) for path in paths)
    return Plan(found, lines, width, len(rows) * (TALL + BETWEEN) - BETWEEN)


def _depths(graph: Graph) -> dict[str, int]:
    """The row of each node: by the longest way to it, then as near to its own as it can be.

    The graph's nodes come after all that they were made of.
    """
    depth = dict.fromkeys((node.id for node in graph.nodes), 0)
    for node in graph.nodes:
        before = [depth[edge.source] for edge in graph.edges if edge.target == node.id]
        depth[node.id] = max(before, default=-1) + 1
    for node in reversed(graph.nodes):
        after = [depth[edge.target] for edge in graph.edges if edge.source == node.id]
        depth[node.id] = max(min(after) - 1, 0) if after else depth[node.id]
    return depth


def _path(source: str, target: str, depth: Mapping[str, int]) -> list[str]:
    """The nodes of a line, with a place for it in each row that it passes."""
    lanes = [f"{source}>{target}@{row}" for row in range(depth[source] + 1, depth[target])]
    return [source, *lanes, target]


def _places(
    rows: list[list[str]], above: Mapping[str, list[str]], boxes: Mapping[str, Node]
) -> tuple[dict[str, float], float]:
    """The middle of everything, row by row, and the width of the widest row."""
    wide = [sum(BOX if id in boxes else LANE for id in row) + GAP * (len(row) - 1) for row in rows]
    width = max(wide, default=0.0)
    places: dict[str, float] = {}
    for row, own in zip(rows, wide, strict=True):
        row.sort(key=lambda id: _mean([places[one] for one in above.get(id, ())], width / 2))
        at = (width - own) / 2
        for id in row:
            mine = BOX if id in boxes else LANE
            places[id] = at + mine / 2
            at += mine + GAP
    return places, width


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _line(path: list[str], row: int, places: Mapping[str, float]) -> str:
    """From the lower edge of the first box to the upper edge of the last one, in curves."""
    tall = TALL + BETWEEN
    y = row * tall + TALL
    found = f"M{places[path[0]]:.1f} {y:.1f}"
    for at, (before, here) in enumerate(pairwise(path), 1):
        x, half = places[here], y + BETWEEN / 2
        bends = f"{places[before]:.1f} {half:.1f} {x:.1f} {half:.1f}"
        found += f" C{bends} {x:.1f} {y + BETWEEN:.1f}"
        if at < len(path) - 1:
            found += f" L{x:.1f} {y + tall:.1f}"
            y += tall
    return found

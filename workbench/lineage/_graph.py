"""The way from documents to a model as a graph: what was made of what, by hash and digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, Literal

from workbench.data import datasets, history
from workbench.lineage._keep import Training, find, made

Kind = Literal["documents", "dataset", "base", "training", "file", "model"]
_DEEPEST = 20  # trainings that follow each other: a circle cannot be, a damaged store can


@dataclass(frozen=True, slots=True)
class Node:
    """Something that was made or used. `digest` is "" where it has none."""

    id: str
    kind: Kind
    label: str
    detail: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """`target` was made of `source`, both ids of nodes."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes from the documents to the model, each after all that it was made of."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def graph(run: Training | str) -> Graph:
    """All that led to a training and came of it; its base model's own training too.

    Raises TrainingError for an unknown one.
    """
    run = find(run) if isinstance(run, str) else run
    drawing = _Drawing()
    for one in reversed(list(_ancestors(run))):
        drawing.add(one)
    return Graph(tuple(drawing.nodes.values()), tuple(drawing.edges))


def _ancestors(run: Training) -> Iterator[Training]:
    """The training, the one that made its base, and so on."""
    found: Training | None = run
    seen: set[str] = set()
    while found is not None and found.id not in seen and len(seen) < _DEEPEST:
        yield found
        seen.add(found.id)
        found = made(found.base_digest)


class _Drawing:
    """Nodes and edges as they are found."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: dict[Edge, None] = {}
        versions = (history(one.name) for one in datasets())
        self._datasets = {one.digest: one for one in chain.from_iterable(versions)}

    def add(self, run: Training) -> None:
        """A training with its sources before it and its files and model after it."""
        sources = [self._dataset(run.dataset, run.data)]
        if run.base:
            kind: Kind = "model" if made(run.base_digest) else "base"
            key = run.base_digest or run.base
            sources.append(self._node(kind, key, run.base, digest=run.base_digest))
        loss = run.measured.get("train_loss")
        detail = f"loss {loss:.2f}" if isinstance(loss, int | float) else ""
        this = self._node("training", run.id, run.recipe, detail)
        self._join(sources, this)
        export = run.export or {}
        files = {
            kind: self._node("file", one["sha256"], kind, f"{one['bytes']:,} bytes", one["sha256"])
            for kind, one in (export.get("files") or {}).items()
        }
        for file in files.values():
            self._join([this], file)
        if run.digest:
            deployed = files.get(export.get("deployed", ""))
            model = self._node("model", run.digest, run.name, digest=run.digest)
            self._join([deployed] if deployed else list(files.values()) or [this], model)

    def _dataset(self, digest: str, label: str) -> str:
        """The dataset, after the one it was made from or the documents that it was made of."""
        found = self._datasets.get(digest)
        if found is None:
            return self._node("dataset", digest, label, "removed since", digest)
        before = [
            self._node("documents", one["name"], one["name"], "gathered documents")
            for one in found.recipe.get("collections") or ()
        ]
        if found.parent and found.parent != digest:
            before.append(self._dataset(found.parent, found.parent[:8]))
        here = self._node("dataset", digest, found.label, f"{found.examples:,} examples", digest)
        self._join(before, here)
        return here

    def _node(self, kind: Kind, key: str, label: str, detail: str = "", digest: str = "") -> str:
        node = Node(f"{kind}:{key}", kind, label, detail, digest)
        return self.nodes.setdefault(node.id, node).id

    def _join(self, sources: Iterable[str], target: str) -> None:
        self.edges.update(dict.fromkeys(Edge(source, target) for source in sources))

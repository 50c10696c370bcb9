"""Trainings in the store, and the way from documents to a model."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from panels.data_documents import write_docs

from workbench import data, gather
from workbench.data import Dataset
from workbench.errors import TrainingError
from workbench.examples import Example
from workbench.lineage import Training, begin, find, graph, made, note, remove, trainings


@pytest.fixture
def corpus(tmp_path: Path) -> Dataset:
    gather.gather("notes", "files", str(write_docs(tmp_path / "documents")))
    return data.split(data.make_corpus("notes", ["notes"]), validation=0.25)


@pytest.fixture
def small() -> Dataset:
    with data.writing("notes", "text", recipe={}) as draft:
        draft.add(Example("text", {"text": "only one"}))
    return draft.made


def finished(dataset: Dataset, name: str, digest: str, **given: str) -> Training:
    run = begin("finetune" if given else "base", name, dataset=dataset, settings={}, **given)
    file = {"sha256": f"file of {name}", "bytes": 1234}
    export = {"files": {"Q8_0": file, "F16": {**file, "sha256": name}}, "deployed": "Q8_0"}
    return note(run, export=export, digest=digest, measured={"train_loss": 2.5})


def test_what_is_noted_is_found_again(small: Dataset) -> None:
    run = begin("base", "mine", dataset=small, settings={"depth": 2}, price={"seconds": 9.0})
    assert run.folder.is_dir()
    note(run, job="abc", measured={"seconds": 4})
    now = datetime.now(UTC)
    run = note(run, measured={"train_loss": float("nan"), "seconds": 5}, digest="d1", ended_at=now)
    assert (run.measured["seconds"], run.settings, run.job) == (5, {"depth": 2}, "abc")
    assert run == find(run.id) == find(run.id[:5]) == find("mine") == find("mine:latest")
    assert run == made("d1") == made("sha256:d1")
    assert made("d2") is None
    assert made("") is None
    assert run.data == f"notes@{small.digest[:8]}"
    second = begin("finetune", "mine", dataset=small, settings={}, base="starter")
    assert find("mine") == second
    assert trainings() == [second, run]
    assert trainings(recipe="base") == [run]
    assert trainings(dataset="other") == []
    twin = note(run, export={"also": {"twin": "sha256:d3"}})
    assert twin == made("d3") == note(run)


def test_what_is_removed_is_gone(small: Dataset) -> None:
    run = begin("base", "mine", dataset=small, settings={})
    (run.folder / "checkpoint").write_text("x")
    remove(run)
    assert not run.folder.exists()
    assert trainings() == []
    for text in ("mine", run.id, "", "%"):
        with pytest.raises(TrainingError, match="There is no training"):
            find(text)
    with pytest.raises(TrainingError):
        note(run, job="x")


def test_the_graph_leads_from_documents_to_the_model(corpus: Dataset) -> None:
    finished(corpus, "grown", "d1")
    tuned = finished(corpus, "tuned", "d2", base="grown", base_digest="d1")
    drawn = graph("tuned")
    kinds = {node.id: node.kind for node in drawn.nodes}
    assert [node.kind for node in drawn.nodes].count("training") == 2
    place = {node.id: at for at, node in enumerate(drawn.nodes)}
    assert all(place[edge.source] < place[edge.target] for edge in drawn.edges)
    ways = {(kinds[edge.source], kinds[edge.target]) for edge in drawn.edges}
    assert ways == {
        ("documents", "dataset"), ("dataset", "dataset"), ("dataset", "training"),
        ("training", "file"), ("file", "model"), ("model", "training"),
    }  # fmt: skip
    into = [edge.source for edge in drawn.edges if edge.target == "model:d2"]
    assert into == ["file:file of tuned"]
    assert graph(tuned).to_json() == drawn.to_json()
    data.remove(corpus.label)
    assert "removed since" in [node.detail for node in graph("tuned").nodes]


def test_a_training_that_is_its_own_base_ends(small: Dataset) -> None:
    run = finished(small, "loop", "d1", base="loop", base_digest="d1")
    assert len([node for node in graph(run).nodes if node.kind == "training"]) == 1

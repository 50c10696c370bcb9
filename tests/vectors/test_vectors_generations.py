"""Another model's vectors are made beside, taken into use when complete, kept, forgotten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select
from vectors.conftest import sentence

from workbench.engines import Engine
from workbench.errors import VectorError
from workbench.jobs import JobCancelled, JobContext, Report
from workbench.store import StoredText, StoredVector, session
from workbench.vectors import (
    Collection,
    collection,
    dependents,
    forget,
    generations,
    mismatches,
    reembed,
    switch,
)


def kept(generation: int) -> dict[str, np.ndarray]:
    """The vectors of a generation, by key."""
    query = select(StoredText.key, StoredVector.vector).join(
        StoredVector, StoredVector.text == StoredText.id
    )
    with session(read_only=True) as opened:
        found = opened.execute(query.where(StoredVector.generation == generation))
        return {key: np.frombuffer(vector, "<f4") for key, vector in found}


def watching(folder: Path, do: object) -> JobContext:
    """A context that calls `do` at each report."""
    return JobContext("here", folder, report=do)  # type: ignore[arg-type]


def test_made_beside_and_taken_into_use(notes: Collection, engine: Engine) -> None:
    before = notes.search(sentence(3), 4)
    assert reembed(None, "notes", "other", engine) == 2
    new, old = generations("notes")
    assert (new.number, new.model, new.dimensions, new.vectors) == (2, "other:latest", 32, 40)
    assert new.complete and not new.in_use and old.in_use
    assert notes.search(sentence(3), 4) == before, "it is not in use yet"
    vectors = kept(2)
    direct = engine.embed("other", [sentence(n) for n in range(40)]).vectors
    for n in range(40):
        assert vectors[f"n{n}"] == pytest.approx(direct[n], abs=1e-4)
        assert np.linalg.norm(vectors[f"n{n}"]) == pytest.approx(1, abs=1e-6)
    assert switch("notes", 2) == 1
    assert notes.search(sentence(3), 1)[0].key == "n3" and notes.stats().in_use.number == 2
    assert switch("notes", 1) == 2 and notes.search(sentence(3), 4) == before
    assert reembed(None, "notes", "embed", engine) == 1, "the one in use is complete already"


def test_an_incomplete_one_is_not_taken_into_use(notes: Collection, engine: Engine) -> None:
    reembed(None, "notes", "other", engine)
    notes.add([("late", "late", {}), ("n1", "another text", {})])
    assert generations("notes")[0].missing == 2
    with pytest.raises(VectorError, match="lacks the vectors of 2 texts"):
        switch("notes", 2)
    assert reembed(None, "notes", "other", engine) == 2 and switch("notes", 2) == 1
    assert notes.search("another text", 1)[0].key == "n1"
    notes.add([("later", "later", {})])
    with pytest.raises(VectorError, match="lacks the vectors of 1 texts"):
        switch("notes", 1)
    assert reembed(None, "notes", "embed", engine) == 1 and switch("notes", 1) == 2, "and back"
    with pytest.raises(VectorError, match=r"no generation 3 of vectors. There are: 1, 2\."):
        switch("notes", 3)


def test_a_switch_in_a_larger_transaction(notes: Collection, engine: Engine) -> None:
    reembed(None, "notes", "other", engine)
    with pytest.raises(RuntimeError), session() as opened:
        assert switch("notes", 2, opened=opened) == 1
        raise RuntimeError
    assert notes.stats().in_use.number == 1
    with session() as opened:
        switch("notes", 2, opened=opened)
    assert notes.stats().in_use.number == 2


def test_what_changes_meanwhile_is_embedded_again(
    notes: Collection, engine: Engine, tmp_path: Path
) -> None:
    told: list[Report] = []

    def change(step: Report) -> None:
        told.append(step)
        if len(told) == 3:  # n0 has its vector, n39 has none yet
            notes.add([("n0", "first changed", {}), ("n39", "last changed", {}), ("x", "new", {})])
            notes.remove(["n1", "n38"])

    assert reembed(watching(tmp_path, change), "notes", "other", engine, batch=8) == 2
    assert switch("notes", 2) == 1 and notes.stats().texts == 39
    for key, text in {"n0": "first changed", "n39": "last changed", "x": "new"}.items():
        assert kept(2)[key] == pytest.approx(engine.embed("other", text).vectors[0], abs=1e-4)
    assert told[0].fraction == 0 and told[1].fraction == 0.2 and told[-1].fraction == 1
    assert told[-1].message == "39 of 39 texts"


def test_a_cancelled_one_goes_on(notes: Collection, engine: Engine, tmp_path: Path) -> None:
    import threading

    stop = threading.Event()
    told: list[float] = []

    def report(step: Report) -> None:
        told.append(step.fraction or 0)
        if len(told) == 3:
            stop.set()

    job = JobContext("here", tmp_path, report=report, stop=stop)
    with pytest.raises(JobCancelled):
        reembed(job, "notes", "other", engine, batch=8)
    assert generations("notes")[0].vectors == 16 and notes.stats().in_use.number == 1
    before = kept(2)
    again = JobContext("here", tmp_path, report=lambda step: told.append(step.fraction or 0))
    assert reembed(again, "notes", "other", engine, batch=8) == 2
    assert told[3] == pytest.approx(16 / 40), "it goes on where it was"
    assert all((kept(2)[key] == vector).all() for key, vector in before.items())
    assert generations("notes")[0].complete


def test_forgotten_vectors_are_gone_and_their_number_stays(
    notes: Collection, engine: Engine
) -> None:
    reembed(None, "notes", "other", engine)
    with pytest.raises(VectorError, match="Generation 1 of notes is in use"):
        forget("notes", 1)
    forget("notes", 2)
    assert kept(2) == {} and len(kept(1)) == 40
    with pytest.raises(VectorError, match="lacks the vectors of 40 texts"):
        switch("notes", 2)
    assert reembed(None, "notes", "third", engine) == 3
    assert reembed(None, "notes", "other", engine) == 2 and switch("notes", 2) == 1


def test_generations_of_others_stay(notes: Collection, engine: Engine) -> None:
    second = collection("second", model="embed", engine=engine)
    second.add([("n1", "of the second", {})])
    reembed(None, "notes", "other", engine)
    reembed(None, "second", "other", engine)
    forget("notes", 2)
    assert switch("second", 2) == 1 and second.search("of the second")[0].key == "n1"
    assert len(notes.search("of the second", 1000)) == 40


def test_who_depends_on_a_model(notes: Collection, engine: Engine) -> None:
    digests = {one.name: one.digest for one in engine.models()}
    collection("second", model="other", engine=engine)
    assert dependents(digests["embed:latest"]) == ["notes"]
    assert dependents("sha256:" + digests["other:latest"]) == ["second"]
    assert dependents("0" * 64) == []
    reembed(None, "notes", "other", engine)
    assert dependents(digests["other:latest"]) == ["second"], "only what is in use counts"
    switch("notes", 2)
    assert dependents(digests["other:latest"]) == ["notes", "second"]


def test_mismatches_are_told(engine: Engine) -> None:
    for _ in engine.create("moving", from_="third", parameters={"num_ctx": 98}):
        pass
    collection("memory", model="moving", engine=engine)
    assert mismatches(engine) == []
    engine.copy("embed", "moving")
    [found] = mismatches(engine)
    assert (found.name, found.model, found.generation) == ("memory", "moving:latest", 1)
    assert found.installed != found.digest and "digest differs" in found.words
    engine.delete("moving")
    [found] = mismatches(engine)
    assert found.installed == "" and "is not in the engine" in found.words


def test_a_model_that_makes_no_vectors(notes: Collection, engine: Engine, tiny_gguf: Path) -> None:
    from workbench.errors import EngineError

    for _ in engine.create("talker", files=tiny_gguf):
        pass
    with pytest.raises(EngineError, match="embedding"):
        reembed(None, "notes", "talker", engine)
    with pytest.raises(EngineError, match="embedding"):
        collection("talk", model="talker", engine=engine)
    engine.delete("talker")
    assert [one.number for one in generations("notes")] == [1]


def test_as_a_job(notes: Collection, engine: Engine) -> None:
    from workbench import jobs

    job = jobs.submit("workbench.vectors:reembed", {"name": "notes", "model": "other"})
    try:
        done = jobs.wait(job.id, 120)
        assert (done.state, done.result) == ("done", 2), jobs.log_text(job.id)
        assert switch("notes", 2) == 1
    finally:
        jobs.stop_supervisor()

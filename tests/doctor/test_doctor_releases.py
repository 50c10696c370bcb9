"""A release's models that are gone or others, vectors whose model is: told, and had again."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_tools import examine, mend, verdict
from tiny import write_tiny_llama

from workbench import jobs, releases, vectors
from workbench.engines import Engine


def create(engine: Engine, name: str, gguf: Path) -> None:
    for _ in engine.create(name, files=gguf):
        pass


def test_the_models_of_the_release_in_use(live: Engine, tiny_gguf: Path, tmp_path: Path) -> None:
    assert "release" not in examine(), "none is in use"
    create(live, "tiny", tiny_gguf)
    made = releases.make("", releases.describe(live, {"primary": "tiny", "fallback": "tiny"}))
    assert verdict(examine(), "release") is True

    live.copy("tiny", "spare")
    live.delete("tiny")
    (item,) = examine()["release"]
    assert item.ok is False and "is not installed" in item.message
    assert "primary and fallback" in item.message and made.version in item.message
    assert item.action == "sync release" and item.safe, "a copy of it is here"
    assert mend(item).done and verdict(examine(), "release") is True

    live.delete("spare")
    create(live, "tiny", write_tiny_llama(tmp_path / "other.gguf", seed=9))
    (item,) = examine()["release"]
    assert item.ok is False and "is another one now" in item.message
    assert made.members[0].digest[:12] in item.message
    assert not item.action, "nobody knows how it was made"


def test_a_model_of_the_release_that_does_not_fit(
    live: Engine, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(live, "tiny", tiny_gguf)
    releases.make("", releases.describe(live, {"primary": "tiny"}))
    assert not [item for item in examine()["memory"] if "tiny" in item.message]
    monkeypatch.setattr("workbench.hardware.memory", lambda: (10**6, 10**6))
    (item,) = [item for item in examine()["memory"] if "tiny" in item.message]
    assert item.ok is False and "512 tokens" in item.message and "num_ctx" in str(item.fix)


def test_vectors_of_another_model(live: Engine, tiny_embedding_gguf: Path, tmp_path: Path) -> None:
    assert "vectors" not in examine()
    create(live, "embedder", tiny_embedding_gguf)
    notes = vectors.collection("notes", model="embedder", engine=live)
    notes.add([("one", "The backup runs at two.", {})])
    assert verdict(examine(), "vectors") is True

    create(live, "embedder", write_tiny_llama(tmp_path / "other.gguf", seed=5, embedding=True))
    (item,) = examine()["vectors"]
    assert item.ok is False and "mismatch" in item.message and "notes" in item.message
    assert item.action == "embed anew" and not item.safe
    try:
        assert mend(item).done
        (job,) = [one for one in jobs.jobs() if one.target == "workbench.vectors:reembed"]
        assert jobs.wait(job.id, 60).state == "done", jobs.log_text(job.id)
    finally:
        jobs.stop_supervisor()
    newest = max(vectors.generations("notes"), key=lambda one: one.number)
    vectors.switch("notes", newest.number)
    assert verdict(examine(), "vectors") is True

    live.delete("embedder")
    (item,) = examine()["vectors"]
    assert item.ok is False and "is not in the engine" in item.message and not item.action
    vectors.drop("notes")

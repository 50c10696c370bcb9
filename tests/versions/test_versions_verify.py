"""Whether a release's models are whole, the very ones, and fit the vectors; and going back."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import write_tiny_llama
from versions.updated import fill, first_release, in_use, prepared, run

from workbench import releases, storage, vectors, versions
from workbench.engines import Engine
from workbench.errors import ModelNotFound, ReleaseError
from workbench.integrity import Pace


@pytest.fixture
def models(folder: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The engine's folder of models, which is this home's too."""
    monkeypatch.setenv("WORKBENCH_MODELS", str(folder / "home" / "models"))
    return folder / "home" / "models"


def test_every_byte_of_a_release(models: Path, engine: Engine, tmp_path: Path) -> None:
    file = write_tiny_llama(tmp_path / "hurt.gguf", seed=9)
    for _ in engine.create("hurt", files=file):
        pass
    first_release(engine, fallback="hurt")
    fill(engine, 2)
    told: list[Pace] = []
    found = versions.verify(progress=told.append)
    assert found.ok and found.version == "v0.1" and told and "every byte was read" in found.words
    assert found.report is not None and set(found.report.models) == {
        "one:latest", "embed:latest", "hurt:latest",
    }  # fmt: skip
    assert versions.verify("v0.1", thorough=False, names=["one"]).ok
    blobs = [path for path in (models / "blobs").iterdir()
             if path.stat().st_size == file.stat().st_size]  # fmt: skip
    blob = next(path for path in blobs if path.read_bytes() == file.read_bytes())
    whole = bytearray(blob.read_bytes())
    whole[-1] ^= 1
    blob.write_bytes(whole)
    broken = versions.verify()
    assert not broken.ok and broken.report is not None and "hurt:latest" in broken.words
    assert [fault.kind for fault in broken.report.faults if fault.harmful] == ["flipped"]
    assert versions.verify(names=["one"]).ok, "only these files"
    with pytest.raises(ModelNotFound):
        versions.verify(names=["absent"])


def test_another_model_under_the_name(engine: Engine) -> None:
    engine.copy("embed", "mine")
    first_release(engine, embedding="mine")
    vectors.collection("notes", model="mine", engine=engine).add([("n", "a text", {})])
    for _ in engine.create("mine", from_="other", system="Another."):
        pass
    found = versions.verify(engine=engine)
    assert found.report is None and found.limits and not found.ok
    assert [one.kind for one in found.differences] == ["moved"] and "mine:latest" in found.words
    assert not found.vectors, "its vectors can be had: embed is the very model"
    engine.delete("mine")
    assert [one.kind for one in versions.verify("v0.1").differences] == ["absent"]
    with pytest.raises(ReleaseError, match="no release 'v9'"):
        versions.verify("v9")


def test_without_a_release(models: Path, engine: Engine) -> None:
    found = versions.verify(thorough=False)
    assert found.ok and found.version == "" and found.report is not None
    assert len(found.report.models) >= 4


def test_going_back_two_releases_and_forth(engine: Engine) -> None:
    with pytest.raises(ReleaseError, match="nothing to go back from"):
        versions.rollback()
    first_release(engine)
    with pytest.raises(ReleaseError, match="no previous release"):
        versions.rollback()
    fill(engine, 3)
    old = in_use()
    done = run(prepared({"embedding": "other"}, gate="none"))
    run(prepared({"primary": "two"}))
    assert versions.rollback(to="v0.1", why="Both were slow.").version == "v0.1"
    assert in_use() == old
    moved = releases.switches()[0]
    assert moved.why == "Both were slow." and moved.vectors == {"letters": [2, 1], "notes": [2, 1]}
    assert versions.find(done).state == "done", "another release was left"
    assert versions.find("v0.3").state == "undone"
    with pytest.raises(ReleaseError, match="in use already"):
        versions.rollback(to="v0.1")
    assert versions.rollback().version == "v0.3" and set(in_use()["vectors"].values()) == {
        in_use()["embedding"]
    }  # fmt: skip


def test_not_back_to_what_is_gone(models: Path, engine: Engine) -> None:
    def create() -> None:
        for _ in engine.create("candidate", from_="two", system="Nobody asked it yet."):
            pass

    create()
    first = releases.make("", releases.describe(engine, {"primary": "candidate"}))
    run(prepared({"primary": "one"}))
    thrown = storage.prune(storage.plan(names=["candidate"], engine=engine), sure=True)
    with pytest.raises(ReleaseError, match=f"workbench storage undo {thrown.id}`, or `.* sync v0"):
        versions.rollback()
    assert in_use()["version"] == "v0.2" and len(releases.switches()) == 2
    create()
    assert versions.rollback() == first

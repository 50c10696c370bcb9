"""What takes the disk, whom it serves, when it was used: seen right, counted once."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from storage.stored import aged, dataset, install, manifest_of, shelf, training

from workbench import jobs, storage
from workbench.library import Library, note_load
from workbench.settings import home
from workbench.storage import Item, Survey
from workbench.store import StoredRun, StoredStudy, StoredUpdate, session


def found(survey: Survey, name: str, kind: str = "model") -> Item:
    return next(item for item in survey.of(kind) if item.name == name)


def test_shared_blobs_are_counted_once() -> None:
    library = shelf().library
    survey = storage.survey()
    big, other, small = (found(survey, n) for n in ("big:latest", "big:other", "small:latest"))
    assert big.shared == other.shared == 50_000
    assert 0 < big.bytes < 2_000
    assert small.shared == 0 and small.bytes > 7_000
    files = [*library.blobs.folder.iterdir(), *library.root.glob("manifests/*/*/*/*")]
    on_disk = sum(path.stat().st_size for path in files)
    store = survey.of("store")[0]
    assert survey.total == on_disk + store.bytes
    assert [item.family for item in (big, small)] == ["llama", "qwen2"]
    assert survey.of("model")[-1] == small


def test_a_copy_has_nothing_of_its_own_and_a_damaged_model_is_seen() -> None:
    library = shelf().library
    library.copy("small", "twin")
    path = manifest_of(library, "big")
    path.write_bytes(path.read_bytes()[:-10])
    survey = storage.survey()
    twins = [found(survey, "twin:latest"), found(survey, "small:latest")]
    assert all(item.bytes < 1_000 and item.shared > 7_000 for item in twins)
    assert found(survey, "big:latest").shared > 0


def test_who_needs_what() -> None:
    shelf()
    digest = {item.name: item.digest for item in storage.survey().of("model")}
    notes = dataset("notes", collections=[{"name": "pages"}])
    part = dataset("part", words="less", parent=notes.digest)
    (home() / "collections" / "pages").mkdir(parents=True)
    run = training(part, "tuned", base="small", base_digest=digest["small:latest"])
    begun = training(notes, "begun", noted={"measured": {}})
    with session() as opened:
        opened.add(
            StoredStudy(
                id="study", name="faster", model="big:latest", suite="s",
                digest=digest["big:latest"],
                space={}, strategy="", objectives=[], settings={}, state="done", jobs=[],
                finisher="", result={}, created_at=datetime.now(UTC),
            )
        )  # fmt: skip
    survey = storage.survey()
    assert found(survey, "small:latest").needed_by == (f"training {run.id} (tuned)",)
    assert found(survey, "big:latest").needed_by == ("study study (faster)",)
    assert found(survey, "big:other").needed_by == ()
    assert found(survey, notes.label, "dataset").needed_by == (
        f"training {begun.id} (begun)",
        f"dataset {part.label}",
    )
    assert found(survey, "pages", "collection").needed_by == (f"dataset {notes.label}",)
    assert found(survey, f"tuned@{run.id}", "checkpoints").needed_by == ()
    assert found(survey, f"begun@{begun.id}", "checkpoints").needed_by
    assert found(survey, f"tuned@{run.id}", "weights").bytes == 3000
    assert found(survey, f"tuned@{run.id}", "gguf").bytes == 2000


def test_the_last_use_is_the_latest_of_all() -> None:
    library = shelf().library
    big = found(storage.survey(), "big:latest")
    assert big.last_used_why == "installed"
    assert big.last_used is not None
    assert timedelta(89) < datetime.now(UTC) - big.last_used < timedelta(91)
    measured = datetime.now(UTC) - timedelta(60)
    with session() as opened:
        opened.add(
            StoredRun(
                id="run", job="", cell="", name="", model="big:latest", suite="s",
                digest=big.digest,
                state="done", plan={}, tasks=[], facts={}, created_at=measured, ended_at=measured,
            )
        )  # fmt: skip
    big = found(storage.survey(), "big:latest")
    assert (big.last_used, big.last_used_why) == (measured, "measured")
    assert big.used_by == ("1 benchmark runs",) and not big.needed_by
    note_load(library.root, big.digest)
    aged(library.root / "loads" / big.digest, 30)
    big = found(storage.survey(), "big:latest")
    assert big.last_used_why == "used by the engine" and big.last_used is not None
    assert big.last_used > measured


def test_files_among_the_blobs() -> None:
    library = Library(shelf().library.root)
    folder = library.blobs.folder
    names = {"tmp-killed": 100, f"sha256-{'a' * 64}-partial": 200,
             f"sha256-{'a' * 64}-partial-0": 20, f"sha256-{'b' * 64}": 300}  # fmt: skip
    for name, size in names.items():
        (folder / name).write_bytes(b"x" * size)
    kept = {item.name: item.protected_by for item in storage.survey().of("cache")}
    assert all(kept.values()) and len(kept) == 3
    for name in names:
        aged(folder / name, 2)
    caches = {item.name: item for item in storage.survey().of("cache")}
    assert {name: item.bytes for name, item in caches.items()} == {
        "left by killed work: tmp-killed": 100,
        f"broken-off download: {'a' * 12}": 220,
        f"of no model: {'b' * 12}": 300,
    }
    assert not any(item.protected_by for item in caches.values())
    with library.hold([f"sha256:{'b' * 64}"]):
        caches = {item.name: item for item in storage.survey().of("cache")}
        assert caches[f"of no model: {'b' * 12}"].protected_by == "a model is being made or pulled"


def test_a_download_under_way_spares_what_it_may_want() -> None:
    folder = shelf().library.blobs.folder
    (folder / f"sha256-{'b' * 64}").write_bytes(b"x" * 300)
    aged(folder / f"sha256-{'b' * 64}", 2)
    (folder / f"sha256-{'a' * 64}-partial").write_bytes(b"x")
    caches = {item.name: item for item in storage.survey().of("cache")}
    assert caches[f"of no model: {'b' * 12}"].protected_by == "a model is being made or pulled"


def test_linked_files_and_sparse_files_are_not_promised(tmp_path: Path) -> None:
    library = shelf().library
    weights = install(library, "linked", b"l" * 9_000)
    os.link(library.blob(weights), tmp_path / "also here")
    (home() / "cache" / "one").mkdir(parents=True)
    (home() / "cache" / "one" / "file").write_bytes(b"x" * 10)
    os.link(home() / "cache" / "one" / "file", home() / "cache" / "one" / "twice")
    os.link(home() / "cache" / "one" / "file", tmp_path / "thrice")
    (home() / "cache" / "one" / "loop").symlink_to(home())
    survey = storage.survey()
    linked, cache = found(survey, "linked:latest"), found(survey, "cache/one", "cache")
    assert linked.bytes < 1_000 and linked.shared == 9_000
    assert (cache.bytes, cache.shared) == (0, 10)
    (tmp_path / "thrice").unlink()
    assert found(storage.survey(), "cache/one", "cache").bytes == 10


def test_what_a_job_under_way_names_is_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf()
    job = jobs.submit("storage.sleeping:sleep", {"plan": {"models": ["small"]}}, title="Measure")
    try:
        survey = storage.survey()
        assert "Measure" in found(survey, "small:latest").protected_by
        assert not found(survey, "big:latest").protected_by
        assert "Measure" in found(survey, job.id, "job").protected_by
    finally:
        jobs.cancel(job.id)
        jobs.wait(job.id, 30)
        jobs.stop_supervisor()
    assert not found(storage.survey(), "small:latest").protected_by
    for work, model in (("", "big"), (job.id, "small")):
        with session() as opened:
            opened.add(
                StoredUpdate(
                    id=f"of {model}", job=work, version="v2", before="", plan={"primary": model},
                    steps={}, state="running", error=None, created_at=datetime.now(UTC),
                    ended_at=None,
                )
            )  # fmt: skip
    survey = storage.survey()
    assert found(survey, "big:latest").protected_by == "the update of big is under way"
    assert found(survey, "small:latest").needed_by == ("update of small, which can go on",)
    assert not found(survey, "small:latest").protected_by
